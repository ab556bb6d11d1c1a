//! One call: who makes it, what it may answer, and what the log will say of it.

use std::time::Duration;

use crate::access::Caller;
use crate::error::{Error, causes};
use crate::names::{Digest, ImageTag, RegistryId, Repository, RepositoryName};

/// What the edge knows of a call, and what the call leaves for the log.
#[derive(Debug)]
pub struct Call {
    /// Who signed the request; `None` where no AWS account did.
    pub caller: Option<Caller>,
    /// How many bytes the answer's body may take as a JSON string.
    pub answer_limit: usize,
    /// When it began, in milliseconds since 1970.
    pub began_at: u64,
    /// For the one log event.
    pub log: CallLog,
}

impl Call {
    /// The repository that a request names, and the caller.
    ///
    /// # Errors
    /// `AccessDeniedException` where no AWS account signed the request.
    pub fn addressee(
        &mut self,
        action: &'static str,
        registry: Option<RegistryId>,
        name: RepositoryName,
        region: &str,
    ) -> Result<(Repository, Caller), Error> {
        let Some(caller) = self.caller.clone() else {
            let registry = registry.as_ref().map_or("", RegistryId::as_str);
            let resource = format!("arn:aws:ecr:{region}:{registry}:repository/{name}");
            return Err(Error::AccessDenied { caller: "anonymous".into(), action, resource });
        };
        let registry = registry.unwrap_or_else(|| caller.account.clone());
        let repository = Repository { registry, name };
        self.log.repository = Some(repository.clone());
        Ok((repository, caller))
    }
}

impl Call {
    /// Writes the call's one event: `error` with the whole cause for a failure of ours, else
    /// `info`. Nothing in it is unbounded: no manifest, no header, no body.
    pub fn report(
        &self,
        request_id: &str,
        lambda_request_id: &str,
        error: Option<&Error>,
        total: Duration,
    ) {
        let log = &self.log;
        let outcome = match error {
            None => "ok",
            Some(_) if log.outcome_unknown => "unknown",
            Some(Error::Server(_)) => "failed",
            Some(_) => "refused",
        };
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request_id,
                    lambda_request_id,
                    caller = self.caller.as_ref().map(|caller| caller.account.as_str()),
                    action = log.action,
                    registry = log.repository.as_ref().map(|it| it.registry.as_str()),
                    repository = log.repository.as_ref().map(|it| it.name.as_str()),
                    tag = log.tag.as_ref().map(ImageTag::as_str),
                    digest = log.digest.as_ref().map(Digest::as_str),
                    media_type = log.media_type,
                    manifest_bytes = log.manifest_bytes,
                    layers = log.layers,
                    children = log.children,
                    new_image = log.new_image,
                    tag_moved = log.tag_moved,
                    encryption = log.encryption,
                    stored = log.stored,
                    attempts = log.attempts,
                    conflicts = log.conflicts,
                    replays = log.replays,
                    read_units = log.read_units,
                    write_units = log.write_units,
                    read_ms = milliseconds(log.read),
                    layers_ms = milliseconds(log.layers_wait),
                    key_ms = milliseconds(log.key_wait),
                    commit_ms = milliseconds(log.commit),
                    total_ms = milliseconds(total),
                    outcome,
                    error_code = error.map(Error::code),
                    aws_error_code = error.and_then(Error::aws_code),
                    cause = error.map(|error| causes(error)),
                    "call"
                )
            };
        }
        if matches!(error, Some(Error::Server(_))) {
            event!(tracing::Level::ERROR);
        } else {
            event!(tracing::Level::INFO);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The facts of a call, gathered on its way. A fact that the call never got to stays out of the
/// event.
#[derive(Debug, Default)]
pub struct CallLog {
    /// Which action.
    pub action: Option<&'static str>,
    /// Which repository.
    pub repository: Option<Repository>,
    /// The tag of a push.
    pub tag: Option<ImageTag>,
    /// The digest of its manifest.
    pub digest: Option<Digest>,
    /// The manifest's type.
    pub media_type: Option<&'static str>,
    /// The manifest's bytes.
    pub manifest_bytes: Option<usize>,
    /// Distinct layers that the manifest needs, its config included.
    pub layers: Option<usize>,
    /// Distinct children that the manifest needs.
    pub children: Option<usize>,
    /// Whether the image was not stored before.
    pub new_image: Option<bool>,
    /// Whether the tag named another image before.
    pub tag_moved: Option<bool>,
    /// The repository's encryption.
    pub encryption: Option<&'static str>,
    /// Where the manifest was put: `inline` or `s3`.
    pub stored: Option<&'static str>,
    /// Rounds of read, decision and commit.
    pub attempts: u32,
    /// Commits that met another transaction, or a throttle.
    pub conflicts: u32,
    /// Commits sent again because their answer was lost.
    pub replays: u32,
    /// A commit was sent and no answer said what became of it.
    pub outcome_unknown: bool,
    /// Read units that DynamoDB charged.
    pub read_units: f64,
    /// Write units that DynamoDB charged, as far as its answers told.
    pub write_units: f64,
    /// Time spent reading the table.
    pub read: Duration,
    /// Time spent waiting for the layers beyond the read.
    pub layers_wait: Duration,
    /// Time spent waiting for the data key beyond the read and the layers.
    pub key_wait: Duration,
    /// Time spent storing the body and committing.
    pub commit: Duration,
}
