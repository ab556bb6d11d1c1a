//! The caller of a request, and the request as policies see it.

use std::net::IpAddr;

use super::principals::Arn;
use crate::ecr::names::RegistryId;

/// The signer of a request, as far as the event describes it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its account.
    pub account: RegistryId,
    /// Its user, role session or federated session.
    pub arn: Option<String>,
    /// The id of its account's organization.
    pub organization: Option<String>,
    /// Where the request came from.
    pub source_ip: Option<IpAddr>,
}

impl Caller {
    /// The caller as error messages name it: by its account where the event has no ARN.
    #[must_use]
    pub fn arn_or_root(&self, partition: &str) -> String {
        let root = || format!("arn:{partition}:iam::{}:root", self.account);
        self.arn.clone().unwrap_or_else(root)
    }
}

/// What statements are compared with.
pub(super) struct Request<'a> {
    pub(super) caller: &'a Caller,
    /// The caller's ARN, where it is of the caller's account.
    pub(super) arn: Option<Arn<'a>>,
    pub(super) action: String,
}

impl<'a> Request<'a> {
    pub(super) fn new(caller: &'a Caller, action: &str) -> Self {
        let arn = caller.arn.as_deref().and_then(Arn::parse);
        let arn = arn.filter(|arn| arn.account == caller.account.as_str());
        Self { caller, arn, action: action.to_ascii_lowercase() }
    }
}
