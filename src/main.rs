//! The composition root: environment → configuration → clients → service.

use std::process::ExitCode;

use ecr_registry::{App, Config, Event, aws_from_environment, handle};
use lambda_runtime::{LambdaEvent, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing::init_default_subscriber();
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
    let config = match Config::read(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(faults) => {
            tracing::error!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(registry) = &config.default_registry {
        tracing::warn!(%registry, "DEFAULT_REGISTRY_ID is set: unsigned requests count as its own");
    }
    let aws = aws_from_environment().await;
    let app = App::new(config, &aws);
    let handler = service_fn(|event: LambdaEvent<Event>| handle(&app, event));
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
