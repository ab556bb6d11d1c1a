//! How the SDK calls AWS: how often it tries, and how long it waits.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

/// The standard retries, `attempts` tries in all, from `first` on and a second at most.
pub(crate) fn retries(attempts: u32, first: Duration) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(first)
        .with_max_backoff(Duration::from_secs(1))
}

/// Each try ends after `attempt`, and a connection is there within a second.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(attempt)
        .build()
}
