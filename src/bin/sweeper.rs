//! The sweeper's composition root: environment → configuration → clients → one run for each event.

use std::process::ExitCode;
use std::time::Duration;

use ecr_registry::{
    SWEPT_AFTER, Sweeper, SweeperConfig, aws_from_environment, since_1970, time_left,
};
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde::de::IgnoredAny;
use tokio::time::Instant;

/// Lambda's longest time-out.
const LONGEST: Duration = Duration::from_mins(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing::init_default_subscriber();
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
    let config = match SweeperConfig::read(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(faults) => {
            tracing::error!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    let aws = aws_from_environment().await;
    let sweeper = Sweeper::new(config, &aws);
    // The schedule's event contains nothing that is needed.
    let handler = service_fn(|event: LambdaEvent<IgnoredAny>| {
        let now = since_1970();
        let deadline = Instant::now() + time_left(event.context.deadline, now, LONGEST);
        let run = sweeper.sweep(now.saturating_sub(SWEPT_AFTER), deadline);
        async { run.await.map_err(Error::from) }
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
