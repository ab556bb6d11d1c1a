//! The part of Lambda's Runtime API that a function uses.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

/// How long a test waits for an invocation to end. Then the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_mins(10);

/// The outcome of an invocation.
#[derive(Debug)]
pub(crate) enum Outcome {
    Response(Value),
    /// An error, for which API Gateway would return its own 502.
    Error(Value),
}

/// A running Runtime API. It ends with the test's runtime.
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<Invocation>>,
    added: Notify,
    running: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
}

struct Invocation {
    id: String,
    deadline: Duration,
    event: String,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let queue = Arc::<Queue>::default();
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            // Lambda's own limit is in the assertions on responses.
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&queue));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { address, queue }
    }

    /// Makes the function handle `event`, with a deadline that is `timeout` ahead. Nothing here
    /// depends on whether the function meets the deadline.
    pub(crate) async fn invoke(&self, event: String, timeout: Duration) -> Outcome {
        let id = Uuid::new_v4().to_string();
        let (outcome, posted) = oneshot::channel();
        self.queue.running.lock().unwrap().insert(id.clone(), outcome);
        let invocation = Invocation { id, deadline: since_1970() + timeout, event };
        self.queue.waiting.lock().unwrap().push_back(invocation);
        self.queue.added.notify_one();
        let outcome = tokio::time::timeout(PATIENCE, posted).await;
        outcome.expect("the function still runs").unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines are instants of the wall clock")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

async fn next(State(queue): State<Arc<Queue>>) -> impl IntoResponse {
    let invocation = loop {
        let added = queue.added.notified();
        let first = queue.waiting.lock().unwrap().pop_front();
        match first {
            Some(invocation) => break invocation,
            None => added.await,
        }
    };
    let arn = "arn:aws:lambda:us-west-2:012345678910:function:ecr-registry";
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0";
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.id),
        ("lambda-runtime-deadline-ms", invocation.deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ("lambda-runtime-trace-id", trace.to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (AppendHeaders(headers), invocation.event)
}

async fn response(
    State(queue): State<Arc<Queue>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    // Lambda's limit on a synchronous response.
    assert!(body.len() <= 6_291_556, "a response of {} bytes", body.len());
    queue.finish(&id, Outcome::Response(serde_json::from_slice(&body).unwrap()))
}

async fn error(State(queue): State<Arc<Queue>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    queue.finish(&id, Outcome::Error(serde_json::from_slice(&body).unwrap()))
}

impl Queue {
    fn finish(&self, id: &str, outcome: Outcome) -> StatusCode {
        match self.running.lock().unwrap().remove(id) {
            Some(invoked) => {
                // The invoker may have given up.
                let _ = invoked.send(outcome);
                StatusCode::ACCEPTED
            }
            None => StatusCode::BAD_REQUEST,
        }
    }
}
