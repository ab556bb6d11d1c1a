//! Failures of the service itself. They are logged and never returned to the caller.

use std::error::Error;

pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// The most bytes of causes in a log event. Without this limit an error could list 28,000 missing
/// children there.
const CAUSE_BYTES: usize = 16 * 1024;

/// A failure of the service: what was being done, the AWS code if there was one, and the whole
/// cause.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct Failure {
    /// What was being done, such as `reading a repository`.
    pub doing: &'static str,
    /// The code in the response of an AWS service.
    pub aws_code: Option<String>,
    /// Why it failed.
    #[source]
    pub source: Option<Cause>,
}

impl Failure {
    /// A failure that has no further cause.
    #[must_use]
    pub fn new(doing: &'static str) -> Self {
        Self { doing, aws_code: None, source: None }
    }

    /// A failure whose cause is not a service.
    #[must_use]
    pub fn caused(doing: &'static str, cause: impl Into<Cause>) -> Self {
        Self { doing, aws_code: None, source: Some(cause.into()) }
    }
}

/// The message of an error and those of all its sources, in one line of at most 16 KiB.
#[must_use]
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    chain.truncate(chain.floor_char_boundary(CAUSE_BYTES));
    chain
}
