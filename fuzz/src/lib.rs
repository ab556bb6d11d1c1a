//! What the targets share: the service on canned responses, and what must hold for every response.

use std::sync::LazyLock;
use std::sync::Mutex;

use ecr_registry::{App, Event, handle};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use testing::{ACCOUNT, Canned};
use tokio::runtime::Runtime;

struct Service {
    runtime: Runtime,
    canned: Canned,
    app: App,
}

static SERVICE: LazyLock<Mutex<Service>> = LazyLock::new(|| {
    let canned = Canned::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    Mutex::new(Service { runtime, app: canned.app(), canned })
});

/// A request of the action `action` with `body`, as API Gateway sends it.
pub fn event(action: &str, body: &str) -> Vec<u8> {
    testing::event(action, ACCOUNT, body).to_string().into_bytes()
}

/// The status and body of the service's response to `event`. Asserts what must hold for every
/// response: its status and code, nothing internal in an error, and one write if and only if it is
/// a success. `None` if the runtime would reject the event, because it is not JSON.
pub fn respond(event: &[u8]) -> Option<(i64, Value)> {
    let event: Event = serde_json::from_slice(event).ok()?;
    let service = SERVICE.lock().unwrap();
    let invocation = LambdaEvent::new(event, Context::default());
    let Ok(response) = service.runtime.block_on(handle(&service.app, invocation));

    let written = service.canned.writes();
    let response = serde_json::to_string(&response).unwrap();
    assert!(response.len() <= 6_291_556, "a response of {} bytes", response.len());
    let response: Value = serde_json::from_str(&response).unwrap();
    let status = response["statusCode"].as_i64().unwrap();
    let text = response["body"].as_str().unwrap();
    let body: Value = serde_json::from_str(text).expect("JSON");
    if status == 200 {
        assert_eq!(written, 1, "a success writes once");
    } else {
        assert!(status == 400 || status == 404, "{status}: {text}");
        assert_eq!(written, 0, "an error writes nothing");
        assert!(!body["__type"].as_str().unwrap().is_empty());
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(response["headers"]["x-amzn-errortype"], body["__type"]);
        for internal in ["secret-", "arn:aws:kms"] {
            assert!(!text.contains(internal), "{text}");
        }
    }
    assert_eq!(response["headers"]["content-type"], "application/x-amz-json-1.1");
    Some((status, body))
}
