//! The service as the examples run it: `handle` behind an API Gateway door, on the embedded stack.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use ecr_put_image::App;
use ecr_put_image::config::{Config, ConfigError};
use futures_util::future::{BoxFuture, FutureExt as _};
use lambda_runtime::LambdaEvent;
use local_aws::{Options, Stack, api_gateway};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long [`Local::stop`] waits for the calls in flight at the ECR door.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The running service. It ends with [`Local::stop`], or with the process.
pub(crate) struct Local {
    /// `DynamoDB`, S3 and KMS.
    pub(crate) stack: Stack,
    /// The endpoint of ECR, as `AWS_ENDPOINT_URL_ECR` takes it.
    pub(crate) ecr_url: String,
    end: oneshot::Sender<()>,
    door: JoinHandle<io::Result<()>>,
}

impl Local {
    /// Starts the service with its ECR door at `ecr`; port 0 takes a free one. What the stack does
    /// not decide is read through `environment`.
    ///
    /// # Errors
    /// A sentence on what is wrong: the configuration, the port or the data directory.
    pub(crate) async fn start(
        options: Options,
        ecr: SocketAddr,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let config = config(&options, environment).map_err(|error| error.to_string())?;
        let cannot_listen = |error| format!("cannot listen on {ecr}: {error}");
        let listener = TcpListener::bind(ecr).await.map_err(cannot_listen)?;
        let ecr_url = url(listener.local_addr().map_err(cannot_listen)?);
        let data = options.data.clone();
        let stack = Stack::start(options).await.map_err(|error| match &data {
            Some(directory) => format!("cannot keep data in {}: {error}", directory.display()),
            None => format!("cannot start the stack: {error}"),
        })?;

        let handler = handler(config, &stack);
        let (end, ended) = oneshot::channel();
        let shutdown = async move { drop(ended.await) };
        let door = tokio::spawn(api_gateway::serve(listener, None, handler, shutdown));
        Ok(Self { stack, ecr_url, end, door })
    }

    /// Answers the calls in flight, then ends everything. Calls that take longer than two seconds
    /// are cut off.
    pub(crate) async fn stop(self) {
        drop(self.end);
        // Whatever the door has to say, the stack ends too.
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.door).await;
        self.stack.stop().await;
    }
}

/// The function on this stack, as a door takes it.
pub(crate) fn handler(
    config: Config,
    stack: &Stack,
) -> impl Fn(LambdaEvent<ApiGatewayProxyRequest>) -> BoxFuture<'static, ApiGatewayProxyResponse>
+ Clone
+ Send
+ Sync
+ 'static {
    let app = Arc::new(App::new(config, &stack.sdk_config()));
    move |event| {
        let app = Arc::clone(&app);
        let answer = async move {
            let Ok(answer) = ecr_put_image::handle(&app, event).await;
            answer
        };
        answer.boxed()
    }
}

/// The function's configuration on this stack; what the stack does not decide is read through
/// `environment`.
pub(crate) fn config(
    options: &Options,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    Config::read(|name| options.variable(name).or_else(|| environment(name)))
}

/// The URL of a listener; one on all interfaces is reached through loopback.
fn url(mut listener: SocketAddr) -> String {
    if listener.ip().is_unspecified() {
        listener.set_ip(match listener {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{listener}")
}
