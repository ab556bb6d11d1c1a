//! The service on the embedded stack, behind a local API Gateway: what the examples `serve` and
//! `push` have in common.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ecr_registry::{App, Config, ConfigError, Event};
use futures_util::future::{BoxFuture, FutureExt as _};
use lambda_runtime::LambdaEvent;
use local_aws::api_gateway::{self, Api};
use local_aws::{Options, Stack};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long [`Endpoint::stop`] waits for the calls in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// An endpoint of the ECR API. It ends with [`Endpoint::stop`], or with the process.
#[derive(Debug)]
pub struct Endpoint {
    /// As `AWS_ENDPOINT_URL_ECR` takes it, with stage and base path.
    pub url: String,
    end: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl Endpoint {
    /// Opens an endpoint of the service on `stack`; port 0 takes a free one.
    ///
    /// # Errors
    /// One sentence about the address.
    pub async fn open(
        address: SocketAddr,
        api: Api,
        config: Config,
        stack: &Stack,
    ) -> Result<Self, String> {
        let cannot_listen = |error| format!("cannot listen on {address}: {error}");
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let mut url = url(listener.local_addr().map_err(cannot_listen)?);
        if let Some(stage) = api.stage {
            url = format!("{url}/{stage}");
        }
        url.push_str(api.base_path.as_deref().unwrap_or_default());
        let (end, ended) = oneshot::channel();
        let shutdown = async move { drop(ended.await) };
        let server = api_gateway::serve(listener, api, handler(config, stack), shutdown);
        Ok(Self { url, end, server: tokio::spawn(server) })
    }

    /// Completes the calls in flight. Calls that take longer than two seconds are cut off.
    pub async fn stop(self) {
        drop(self.end);
        // Whatever the server returns, the process ends.
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.server).await;
    }
}

/// The function on this stack, from an event's JSON to the response's.
pub fn handler(
    config: Config,
    stack: &Stack,
) -> impl Fn(LambdaEvent<Value>) -> BoxFuture<'static, Value> + Clone + Send + Sync + 'static {
    let app = Arc::new(App::new(config, &stack.sdk_config()));
    move |event| {
        let app = Arc::clone(&app);
        async move { invoke(&app, event).await }.boxed()
    }
}

/// Invokes the function with an event's JSON, and returns its response's.
pub async fn invoke(app: &App, event: LambdaEvent<Value>) -> Value {
    let LambdaEvent { payload, context } = event;
    // Neither an event nor a response can fail here: see `Event`.
    let Ok(event) = serde_json::from_value::<Event>(payload) else { return Value::Null };
    let Ok(response) = ecr_registry::handle(app, LambdaEvent::new(event, context)).await;
    serde_json::to_value(response).unwrap_or_default()
}

/// The function's configuration on this stack. Variables that the stack does not set, and
/// `DEFAULT_KMS_KEY`, are read through `environment`.
///
/// # Errors
/// Every variable that is malformed.
pub fn config(
    options: &Options,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    Config::read(|name| match name {
        "DEFAULT_KMS_KEY" => environment(name).or_else(|| options.variable(name)),
        _ => options.variable(name).or_else(|| environment(name)),
    })
}

/// The URL of a listener. One on all interfaces is reached through loopback.
fn url(mut listener: SocketAddr) -> String {
    if listener.ip().is_unspecified() {
        listener.set_ip(match listener.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{listener}")
}
