//! How the SDK calls AWS: over which connections, how often it tries, how long it waits, and what
//! becomes of its errors.

use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::error::Failure;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// The SDK's configuration from the environment, with one HTTP client for all services.
pub async fn from_environment() -> SdkConfig {
    let behavior = BehaviorVersion::v2026_01_12();
    let mut loader = aws_config::defaults(behavior).http_client(Https::start());
    // Lambda's are here. The default chain looks here first too, but builds all its other places
    // before it does, a client of STS among them.
    let environment = EnvironmentVariableCredentialsProvider::new();
    if environment.provide_credentials().await.is_ok() {
        loader = loader.credentials_provider(environment);
    }
    loader.load().await
}

/// One trust store and one pool of connections. The SDK's own default would read the former for
/// every client, and connect anew for each that calls the same service.
#[derive(Debug)]
struct Https(Arc<LazyLock<SharedHttpConnector>>);

impl Https {
    /// Begins to read the trust store, which takes longer than the rest of a start and is not needed
    /// before the first call.
    fn start() -> Self {
        let connector: Arc<LazyLock<SharedHttpConnector>> = Arc::new(LazyLock::new(connector));
        let early = Arc::clone(&connector);
        // Without a thread, the first call reads it.
        let _ = thread::Builder::new().spawn(move || {
            LazyLock::force(&early);
        });
        Self(connector)
    }
}

impl HttpClient for Https {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::clone(&self.0)
    }
}

/// Over a proxy where the environment names one, as the SDK's default does.
fn connector() -> SharedHttpConnector {
    let connector = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build();
    SharedHttpConnector::new(connector)
}

/// The standard retries, `attempts` tries in all, from `first` on and a second at most.
pub(crate) fn retries(attempts: u32, first: Duration) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(first)
        .with_max_backoff(Duration::from_secs(1))
}

/// Each try ends after `attempt`, and a connection is there within a second.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt).build()
}

/// What a service did not do.
pub(crate) fn failure<E>(doing: &'static str, error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let aws_code = error.code().map(str::to_owned);
    Failure { doing, aws_code, source: Some(error.into()) }
}
