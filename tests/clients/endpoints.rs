//! The service at four endpoints on one stack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_ecr::config::retry::RetryConfig;
use ecr_registry::names::{Digest, RegistryId, RepositoryName, RepositoryRef};
use ecr_registry::{App, Config, layer_key};
use local_aws::api_gateway::{self, Api};
use local_aws::{DEFAULT_ACCOUNT, Faults, Options, Stack};
use tokio::net::TcpListener;

use sign_for_execute_api::SignForExecuteApi;

pub(crate) struct Endpoints {
    stack: Stack,
}

/// An endpoint, which lives as long as the test.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    calls: Arc<AtomicU32>,
}

impl Endpoints {
    pub(crate) async fn start() -> Self {
        Self { stack: Stack::start(Options::default()).await.unwrap() }
    }

    /// The endpoint of this name in the table of cases.
    pub(crate) async fn open(&self, name: &str) -> Endpoint {
        let options = self.stack.options();
        let mut config = Config::read(|name| options.variable(name)).unwrap();
        match name {
            "quotas" => {
                config.quotas.images_per_repository = 1;
                config.quotas.tags_per_image = 1;
            }
            "broken" => config.table = "gone".into(),
            _ => {}
        }
        let app = Arc::new(App::new(config, &Faults::new().sdk_config(&self.stack)));
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let handler = move |event| {
            counted.fetch_add(1, Ordering::Relaxed);
            let app = Arc::clone(&app);
            async move { local::invoke(&app, event).await }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stage = (name == "execute-api").then_some("live");
        let url =
            format!("http://{}/{}", listener.local_addr().unwrap(), stage.unwrap_or_default());
        let api = Api { stage, ..Api::default() };
        tokio::spawn(api_gateway::serve(listener, api, handler, std::future::pending()));
        Endpoint { url, calls }
    }

    /// A client with the SDK's defaults, except that it retries once instead of twice.
    pub(crate) fn stock(&self, endpoint: &Endpoint) -> aws_sdk_ecr::Client {
        self.client(&endpoint.url, false)
    }

    /// A client that signs for API Gateway.
    pub(crate) fn signing(&self, url: &str) -> aws_sdk_ecr::Client {
        self.client(url, true)
    }

    fn client(&self, url: &str, signs_for_execute_api: bool) -> aws_sdk_ecr::Client {
        let mut config = aws_sdk_ecr::config::Builder::from(&self.stack.sdk_config())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .endpoint_url(url);
        if signs_for_execute_api {
            config = config.interceptor(SignForExecuteApi);
        }
        aws_sdk_ecr::Client::from_conf(config.build())
    }

    /// Uploads the layers of all manifests to `repository`.
    pub(crate) async fn upload_layers(&self, repository: &str) {
        let s3 = aws_sdk_s3::Client::new(&self.stack.sdk_config());
        let registry = RegistryId::parse(DEFAULT_ACCOUNT.into()).unwrap();
        let name = RepositoryName::parse(repository.into()).unwrap();
        let repository = RepositoryRef { registry, name };
        for layer in ["config", "layer one", "layer two"] {
            let key = layer_key(&repository, &Digest::of(layer.as_bytes()));
            let put = s3.put_object().bucket(&self.stack.options().layer_bucket).key(key);
            put.body(layer.as_bytes().to_vec().into()).send().await.unwrap();
        }
    }

    pub(crate) async fn create_key(&self) -> String {
        let created = self.kms().create_key().send().await.unwrap();
        created.key_metadata.unwrap().arn.unwrap()
    }

    pub(crate) async fn disable_key(&self, key: &str) {
        self.kms().disable_key().key_id(key).send().await.unwrap();
    }

    fn kms(&self) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.stack.sdk_config())
    }
}

impl Endpoint {
    /// The number of requests that have reached the function.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}
