//! A second ECR endpoint, which answers as a deployed one does: API Gateway with `AWS_IAM`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use local_aws::api_gateway;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::local::{self, Local};

/// The stage's name, as in template.yaml.
const STAGE: &str = "live";
/// How long [`Gateway::stop`] waits for the calls in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The running endpoint. It ends with [`Gateway::stop`], or with the process.
pub(crate) struct Gateway {
    /// With the stage, as the template's output `EndpointUrl`.
    pub(crate) url: String,
    end: oneshot::Sender<()>,
    door: JoinHandle<io::Result<()>>,
}

impl Gateway {
    /// In front of what `local` keeps, at a free port.
    pub(crate) async fn start(
        local: &Local,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let options = local.stack.options();
        let config = local::config(options, environment).map_err(|error| error.to_string())?;
        let cannot_listen = |error| format!("cannot listen on {}: {error}", options.address);
        let listener = TcpListener::bind(SocketAddr::new(options.address, 0)).await;
        let listener = listener.map_err(cannot_listen)?;
        let port = listener.local_addr().map_err(cannot_listen)?.port();
        let (host, _) = local.ecr_url.rsplit_once(':').unwrap_or_default();
        let url = format!("{host}:{port}/{STAGE}");

        let handler = local::handler(config, &local.stack);
        let (end, ended) = oneshot::channel();
        let shutdown = async move { drop(ended.await) };
        let door = api_gateway::serve(listener, Some(STAGE), handler, shutdown);
        Ok(Self { url, end, door: tokio::spawn(door) })
    }

    /// Answers the calls in flight. Calls that take longer than two seconds are cut off.
    pub(crate) async fn stop(self) {
        drop(self.end);
        // Whatever the door has to say, the process ends too.
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.door).await;
    }
}
