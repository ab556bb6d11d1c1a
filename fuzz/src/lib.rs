//! What the targets share: the service on canned answers, and what must hold of every answer.

mod canned;

use std::sync::LazyLock;
use std::sync::Mutex;

use canned::Canned;
use ecr_put_image::App;
use ecr_put_image::gateway::{Event, handle_event};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The registry of the caller and of what is canned.
pub const ACCOUNT: &str = "012345678910";

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
    let event = json!({
        "path": "/",
        "httpMethod": "POST",
        "headers": { "X-Amz-Target": format!("AmazonEC2ContainerRegistry_V20150921.{action}") },
        "requestContext": { "httpMethod": "POST", "identity": { "accountId": ACCOUNT } },
        "body": body,
    });
    event.to_string().into_bytes()
}

/// Has the service answer `event`, and sees that the answer is one: its status, its code, nothing of
/// ours in a refusal, something written if and only if it is a success. `None` where the runtime would
/// not have taken the event for JSON.
pub fn answer(event: &[u8]) -> Option<(i64, Value)> {
    let event: Event = serde_json::from_slice(event).ok()?;
    let service = SERVICE.lock().unwrap();
    let invocation = LambdaEvent::new(event, Context::default());
    let Ok(answer) = service.runtime.block_on(handle_event(&service.app, invocation));

    let status = answer.status_code;
    let written = service.canned.writes();
    let size = serde_json::to_vec(&answer).unwrap().len();
    assert!(size <= 6_291_556, "an answer of {size} bytes");
    let text = String::from_utf8(answer.body.unwrap().to_vec()).unwrap();
    let body: Value = serde_json::from_str(&text).expect("JSON");
    if status == 200 {
        assert_eq!(written, 1, "a success writes once");
    } else {
        assert!(status == 400 || status == 404, "{status}: {text}");
        assert_eq!(written, 0, "a refusal writes nothing");
        assert!(!body["__type"].as_str().unwrap().is_empty());
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(answer.headers["x-amzn-errortype"], *body["__type"].as_str().unwrap());
        for ours in ["secret-", "arn:aws:kms"] {
            assert!(!text.contains(ours), "{text}");
        }
    }
    assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
    Some((status, body))
}
