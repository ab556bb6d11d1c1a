//! The one log event of a call.

use std::time::Duration;

use super::error::Error;
use crate::ecr::names::{Digest, ImageTag, RepositoryRef};
use crate::ecr::policy::Caller;
use crate::failure::causes;
use crate::stores::table::Usage;

/// The facts of a call, collected while it runs. Fields without a value are left out of the event.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    pub(crate) repository: Option<RepositoryRef>,
    /// `AES256`, `KMS` or `KMS_DSSE`.
    pub(crate) encryption: Option<&'static str>,
    pub(crate) usage: Usage,
    pub(crate) push: PushFacts,
}

/// The fields that only PutImage has.
#[derive(Debug, Default)]
pub(crate) struct PushFacts {
    pub(crate) tag: Option<ImageTag>,
    pub(crate) digest: Option<Digest>,
    pub(crate) media_type: Option<&'static str>,
    pub(crate) manifest_bytes: Option<usize>,
    /// Distinct layers that the manifest needs, its config included.
    pub(crate) layers: Option<usize>,
    /// Distinct children that the manifest needs.
    pub(crate) children: Option<usize>,
    pub(crate) new_image: Option<bool>,
    pub(crate) tag_moved: Option<bool>,
    /// Where the manifest was put: `inline` or `s3`.
    pub(crate) stored: Option<&'static str>,
    /// Rounds of read, check and commit.
    pub(crate) attempts: u32,
    /// Time spent reading the table.
    pub(crate) read: Duration,
    /// Time spent waiting for the layers after the read.
    pub(crate) layers_wait: Duration,
    /// Time spent waiting for the data key after the read and the layers.
    pub(crate) key_wait: Duration,
    /// Time spent storing the body and committing.
    pub(crate) commit: Duration,
}

/// The fields that the gateway adds when the call ends.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) lambda_request_id: &'a str,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) action: Option<&'static str>,
    pub(crate) error: Option<&'a Error>,
    pub(crate) total: Duration,
}

impl CallLog {
    /// Writes the event: at level `ERROR` with the whole cause for a failure of the service, else
    /// at `INFO`. Every field is bounded, so there is no manifest, header or body in it.
    pub(crate) fn write(&self, ended: &Ended<'_>) {
        let Self { repository, encryption, usage, push } = self;
        let error = ended.error;
        let outcome = match error {
            None => "ok",
            Some(_) if usage.outcome_unknown => "unknown",
            Some(Error::Server(_)) => "failed",
            Some(_) => "refused",
        };
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request_id = ended.request_id,
                    lambda_request_id = ended.lambda_request_id,
                    caller = ended.caller.map(|caller| caller.account.as_str()),
                    action = ended.action,
                    registry = repository.as_ref().map(|it| it.registry.as_str()),
                    repository = repository.as_ref().map(|it| it.name.as_str()),
                    tag = push.tag.as_ref().map(ImageTag::as_str),
                    digest = push.digest.as_ref().map(Digest::as_str),
                    media_type = push.media_type,
                    manifest_bytes = push.manifest_bytes,
                    layers = push.layers,
                    children = push.children,
                    new_image = push.new_image,
                    tag_moved = push.tag_moved,
                    encryption,
                    stored = push.stored,
                    attempts = push.attempts,
                    conflicts = usage.conflicts,
                    replays = usage.replays,
                    read_units = usage.read_units,
                    write_units = usage.write_units,
                    read_ms = milliseconds(push.read),
                    layers_ms = milliseconds(push.layers_wait),
                    key_ms = milliseconds(push.key_wait),
                    commit_ms = milliseconds(push.commit),
                    total_ms = milliseconds(ended.total),
                    outcome,
                    error_code = error.map(Error::code),
                    aws_error_code = error.and_then(Error::aws_code),
                    cause = error.map(cause),
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

fn cause(error: &Error) -> String {
    let causes = causes(error);
    match error {
        Error::NoRequest(missing) => format!("{causes}: {missing} is missing"),
        _ => causes,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
