//! How the SDK calls AWS: its connections, time-outs and retries, and how its errors become
//! failures.

use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
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

use crate::failure::Failure;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// The SDK's configuration from the environment, with one HTTP client for all services.
pub async fn from_environment() -> SdkConfig {
    let behavior = BehaviorVersion::v2026_01_12();
    let mut loader = aws_config::defaults(behavior).http_client(Https::start());
    // Lambda sets these. The default chain reads them first, too, but builds all its other sources
    // before that, a client of STS among them.
    let environment = EnvironmentVariableCredentialsProvider::new();
    if environment.provide_credentials().await.is_ok() {
        loader = loader.credentials_provider(environment);
    }
    loader.load().await
}

/// One trust store and one pool of connections. The SDK's own default would read the trust store
/// for every client, and would not share connections between clients.
#[derive(Debug)]
struct Https(Arc<LazyLock<SharedHttpConnector>>);

impl Https {
    /// Begins to read the trust store, which takes longer than the rest of the start and is not
    /// needed before the first call.
    fn start() -> Self {
        let connector: Arc<LazyLock<SharedHttpConnector>> = Arc::new(LazyLock::new(connector));
        let early = Arc::clone(&connector);
        // If no thread can be started, the first call reads it.
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

/// Uses the proxy that the environment names, as the SDK's default does.
fn connector() -> SharedHttpConnector {
    let connector = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build();
    SharedHttpConnector::new(connector)
}

/// How often a call is attempted and how long that may take.
struct Limits {
    /// All attempts of a call, the first included.
    attempts: u32,
    /// The longest pause before the first repetition. It doubles from then on, up to a second.
    first_pause: Duration,
    /// Each attempt.
    attempt: Duration,
}

// All limits in one place. The SDK never repeats a transaction that writes.
const TABLE: Limits = limits(4, 25, 2_000);
const LAYERS: Limits = limits(3, 50, 1_500);
const MANIFESTS: Limits = limits(3, 50, 5_000);
const KMS: Limits = limits(3, 50, 2_000);

const fn limits(attempts: u32, first_pause_ms: u64, attempt_ms: u64) -> Limits {
    let first_pause = Duration::from_millis(first_pause_ms);
    Limits { attempts, first_pause, attempt: Duration::from_millis(attempt_ms) }
}

impl Limits {
    fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.attempts)
            .with_initial_backoff(self.first_pause)
            .with_max_backoff(Duration::from_secs(1))
    }

    fn timeouts(&self) -> TimeoutConfig {
        let attempt = self.attempt;
        TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt).build()
    }
}

/// Two clients of DynamoDB: one that retries, and one that never does.
pub(crate) fn dynamodb(aws: &SdkConfig) -> (aws_sdk_dynamodb::Client, aws_sdk_dynamodb::Client) {
    let config = aws_sdk_dynamodb::config::Builder::from(aws)
        .retry_config(TABLE.retries())
        .timeout_config(TABLE.timeouts());
    let commits = config.clone().retry_config(RetryConfig::disabled());
    let client = aws_sdk_dynamodb::Client::from_conf;
    (client(config.build()), client(commits.build()))
}

/// S3 for the bucket of layers.
pub(crate) fn s3_for_layers(aws: &SdkConfig) -> aws_sdk_s3::Client {
    s3(aws, &LAYERS)
}

/// S3 for the bucket of manifests.
pub(crate) fn s3_for_manifests(aws: &SdkConfig) -> aws_sdk_s3::Client {
    s3(aws, &MANIFESTS)
}

fn s3(aws: &SdkConfig, limits: &Limits) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(aws)
        .retry_classifier(TooManyRequests)
        .retry_config(limits.retries())
        .timeout_config(limits.timeouts());
    aws_sdk_s3::Client::from_conf(config.build())
}

/// The configuration of a KMS client.
pub(crate) fn kms(aws: &SdkConfig) -> aws_sdk_kms::Config {
    aws_sdk_kms::config::Builder::from(aws)
        .retry_config(KMS.retries())
        .timeout_config(KMS.timeouts())
        .build()
}

/// S3 throttles with 429, too. The SDK decides by the code in the body, but the response to a HEAD
/// has no body.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if response.status().as_u16() == 429 => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "429 is a throttle"
    }
}

/// A failed call to a service.
pub(crate) fn failure<E>(doing: &'static str, error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let aws_code = error.code().map(str::to_owned);
    Failure { doing, aws_code, source: Some(error.into()) }
}
