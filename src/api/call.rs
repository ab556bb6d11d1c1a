//! One call: its action, its caller, and the prologue that all actions share.

use super::error::Error;
use super::log::CallLog;
use crate::ecr::names::{RegistryId, RepositoryName, RepositoryRef};
use crate::ecr::partition::Region;
use crate::ecr::policy::Caller;
use crate::ecr::repository::RepositoryRecord;

/// Lambda's limit on a synchronous response, in bytes: 6 MiB and 100 bytes, as the runtime's error
/// message says.
pub(crate) const MAX_RESPONSE: usize = 6_291_556;

/// What the gateway knows of a call, and what the call leaves for the log.
#[derive(Debug)]
pub(crate) struct Call {
    /// The action's name, such as `PutImage`. Its name in IAM is `ecr:` and this.
    pub(crate) action: &'static str,
    /// `None` where no AWS account signed the request.
    pub(crate) caller: Option<Caller>,
    pub(crate) region: Region,
    /// The most bytes that the response's body may take as a JSON string.
    pub(crate) response_limit: usize,
    /// When it began, in milliseconds since 1970.
    pub(crate) began_at: u64,
    pub(crate) log: CallLog,
}

impl Call {
    /// The repository that the request names; by default in the caller's own registry.
    ///
    /// # Errors
    /// `AccessDeniedException` where no AWS account signed the request.
    pub(crate) fn repository(
        &mut self,
        registry: Option<RegistryId>,
        name: RepositoryName,
    ) -> Result<RepositoryRef, Error> {
        let Some(caller) = &self.caller else {
            let registry = registry.as_ref().map_or("", RegistryId::as_str);
            let (region, partition) = (&self.region, self.region.partition());
            let resource = format!("arn:{partition}:ecr:{region}:{registry}:repository/{name}");
            return Err(self.denied(resource, "resource"));
        };
        let registry = registry.unwrap_or_else(|| caller.account.clone());
        let repository = RepositoryRef { registry, name };
        self.log.repository = Some(repository.clone());
        Ok(repository)
    }

    /// Checks that the caller may do this action to a repository with this policy.
    ///
    /// # Errors
    /// `AccessDeniedException`.
    pub(crate) fn authorize(
        &self,
        repository: &RepositoryRef,
        policy: Option<&str>,
    ) -> Result<(), Error> {
        let may = |caller: &Caller| caller.may(&format!("ecr:{}", self.action), repository, policy);
        if self.caller.as_ref().is_some_and(may) {
            Ok(())
        } else {
            Err(self.denied(repository.arn(&self.region), "resource"))
        }
    }

    /// The repository's record, where the repository exists and the caller has access to it.
    ///
    /// # Errors
    /// `AccessDeniedException`, the same whether or not another account's repository exists, or
    /// `RepositoryNotFoundException`.
    pub(crate) fn accessible<'r>(
        &mut self,
        repository: &RepositoryRef,
        record: Option<&'r RepositoryRecord>,
    ) -> Result<&'r RepositoryRecord, Error> {
        let record = record.filter(|record| record.active);
        self.authorize(repository, record.and_then(|record| record.policy.as_deref()))?;
        let record = record.ok_or_else(|| Error::RepositoryNotFound(repository.clone()))?;
        self.log.encryption = Some(record.encryption.kind().as_str());
        Ok(record)
    }

    /// `AccessDeniedException`: no policy of this kind (`resource` or `identity`) allows the
    /// action.
    pub(crate) fn denied(&self, resource: String, policy: &'static str) -> Error {
        let caller = match &self.caller {
            None => "anonymous".to_owned(),
            Some(caller) => caller.arn_or_root(self.region.partition()),
        };
        Error::AccessDenied { caller, action: self.action, resource, policy }
    }
}
