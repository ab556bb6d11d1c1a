//! The one event per call that operators read.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::tracing::subscriber;
use local_aws::Fault;
use serde_json::{Value, json};

use crate::encryption::encrypted;
use crate::harness::*;

thread_local! {
    /// What this thread has logged. Each test has its own thread.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ToThread;

impl Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects what this test's thread logs from here on, in Lambda's JSON format.
///
/// There is one subscriber for the whole process. Subscribers of single threads would come and go
/// while other threads check whether anything listens.
pub(crate) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| subscriber::fmt().json().with_writer(|| ToThread).init());
    LOGGED.take();
}

/// The text logged since `listen`, and the events of calls in it.
pub(crate) fn logged() -> (String, Vec<Value>) {
    let text = String::from_utf8(LOGGED.take()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let events = events.filter(|event: &Value| !event["fields"]["outcome"].is_null()).collect();
    (text, events)
}

#[tokio::test]
async fn a_push_is_logged_field_by_field() {
    let service = Service::start().await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    listen();
    service.put(request("app", &manifest, Some("v1"))).await;
    let (_, events) = logged();
    assert_eq!(events.len(), 1, "one event a call");
    assert_eq!(events[0]["level"], "INFO");
    let fields = &events[0]["fields"];
    for (field, value) in [
        ("action", json!("PutImage")),
        ("caller", json!(ACCOUNT)),
        ("registry", json!(ACCOUNT)),
        ("repository", json!("app")),
        ("tag", json!("v1")),
        ("digest", json!(sha256(&manifest))),
        ("media_type", json!(OCI_IMAGE)),
        ("manifest_bytes", json!(manifest.len())),
        ("layers", json!(2)),
        ("children", json!(0)),
        ("new_image", json!(true)),
        ("tag_moved", json!(false)),
        ("encryption", json!("AES256")),
        ("stored", json!("inline")),
        ("attempts", json!(1)),
        ("conflicts", json!(0)),
        ("replays", json!(0)),
        ("outcome", json!("ok")),
        ("request_id", json!("c6af9ac6-7b61-11e6-9a41-93e8deadbeef")),
    ] {
        assert_eq!(fields[field], value, "{field}");
    }
    for timing in ["read_ms", "layers_ms", "key_ms", "commit_ms", "total_ms"] {
        assert!(fields[timing].is_u64(), "{timing}");
    }
    assert!(fields["error_code"].is_null() && fields["cause"].is_null());
}

#[tokio::test]
async fn the_log_names_the_account_that_moved_a_tag() {
    let other = "444455556666";
    let service = Service::start().await;
    let allow = json!({ "Statement": {
        "Effect": "Allow", "Principal": { "AWS": other }, "Action": "ecr:PutImage",
    } });
    let policy = AttributeValue::S(allow.to_string());
    service.change_repository("app", "policy", policy).await;
    service.push("app", &image("a"), Some("v1")).await;
    service.push("app", &image("b"), Some("v2")).await;
    let conflict = Fault::Cancelled(vec!["None", "TransactionConflict", "None", "None"]);
    service.faults.script("TransactWriteItems", [Some(conflict)]);
    listen();
    let mut body = request("app", &image("a"), Some("v2"));
    body["registryId"] = json!(ACCOUNT);
    let response = service.send(event("PutImage", other, &body.to_string())).await;
    assert_eq!(response.status, 200, "{}", response.text);
    let (_, events) = logged();
    for (field, value) in [
        ("caller", json!(other)),
        ("registry", json!(ACCOUNT)),
        ("new_image", json!(false)),
        ("tag_moved", json!(true)),
        ("attempts", json!(2)),
        ("conflicts", json!(1)),
        ("stored", Value::Null),
        ("lambda_request_id", json!("")),
    ] {
        assert_eq!(events[0]["fields"][field], value, "{field}");
    }
}

#[tokio::test]
async fn creations_and_keys_are_logged() {
    listen();
    let (service, key) = encrypted("KMS").await;
    let (_, events) = logged();
    assert_eq!(events[0]["fields"]["action"], "CreateRepository");
    assert_eq!(events[0]["fields"]["encryption"], "KMS");

    let big = crate::large::image_of_bytes(100 * 1024);
    service.push("app", &big, Some("big")).await;
    let (_, events) = logged();
    assert_eq!(events[0]["fields"]["stored"], "s3");
    assert_eq!(events[0]["fields"]["encryption"], "KMS");

    service.upload_layers_of("app", &image("a")).await;
    service.kms.disable_key().key_id(key).send().await.unwrap();
    service.put(request("app", &image("a"), Some("v1"))).await;
    let (_, events) = logged();
    assert_eq!(events[0]["level"], "INFO");
    assert_eq!(events[0]["fields"]["error_code"], "KmsException");
    assert_eq!(events[0]["fields"]["aws_error_code"], "DisabledException");
}

#[tokio::test]
async fn the_log_says_where_the_time_went() {
    let (service, _) = encrypted("KMS").await;
    for (n, (operation, expected)) in [
        ("BatchGetItem", "read_ms"),
        ("HeadObject", "layers_ms"),
        ("GenerateDataKey", "key_ms"),
        ("TransactWriteItems", "commit_ms"),
    ]
    .into_iter()
    .enumerate()
    {
        let manifest = image(&n.to_string());
        service.upload_layers_of("app", &manifest).await;
        service.faults.clear();
        service.faults.always(operation, Fault::HoldResponse);
        listen();
        let clock = StoppedClock::stop();
        let a_second = async {
            service.faults.held().await;
            tokio::time::advance(Duration::from_secs(1)).await;
            service.faults.release();
        };
        let put = service.put(request("app", &manifest, Some("v1")));
        let (response, ()) = tokio::join!(put, a_second);
        clock.resume();
        assert_eq!(response.status, 200, "{}", response.text);
        let (_, events) = logged();
        let ms = |field: &str| events[0]["fields"][field].as_u64().unwrap();
        for wait in ["read_ms", "layers_ms", "key_ms", "commit_ms"] {
            assert_eq!(ms(wait), if wait == expected { 1_000 } else { 0 }, "{operation}: {wait}");
        }
        assert_eq!(ms("total_ms"), 1_000, "{operation}");
    }
}

#[tokio::test]
async fn failures_of_the_service_are_logged_whole_and_those_of_clients_are_not_errors() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    listen();
    service.put(request("app", &image("b"), Some("v1"))).await;
    let (_, events) = logged();
    assert_eq!(events[0]["level"], "INFO");
    assert_eq!(events[0]["fields"]["outcome"], "refused");
    assert_eq!(events[0]["fields"]["error_code"], "LayersNotFoundException");

    let message = "no such table: ecr in account 012345678910";
    let fault = Fault::Answer { status: 400, code: "ResourceNotFoundException", message };
    service.faults.script("TransactWriteItems", [Some(fault)]);
    service.put(request("app", &image("a"), Some("v1"))).await.is_server_exception();
    let (_, events) = logged();
    let fields = &events[0]["fields"];
    assert_eq!(events[0]["level"], "ERROR");
    assert_eq!(
        (&fields["outcome"], &fields["error_code"]),
        (&json!("failed"), &json!("ServerException"))
    );
    assert_eq!(fields["aws_error_code"], "ResourceNotFoundException");
    assert!(fields["cause"].as_str().unwrap().contains(message), "{}", fields["cause"]);

    service.faults.script(
        "TransactWriteItems",
        [
            Some(Fault::DropAfter),
            Some(Fault::Cancelled(vec!["ConditionalCheckFailed", "None", "None", "None"])),
        ],
    );
    service.put(request("app", &image("a"), Some("v1"))).await.is_server_exception();
    let (_, events) = logged();
    assert_eq!(events[0]["fields"]["outcome"], "unknown");
    assert_eq!(events[0]["fields"]["replays"], 1);
}

#[tokio::test]
async fn nothing_secret_or_unbounded_is_logged() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    listen();
    let names: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    let secret = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE";
    for body in [
        request("app", &image("a"), Some("v1")),
        request("app", &image("a"), Some("v1")),
        request("app", &format!("{}x", image("a")), Some("v1")),
        request("app", &image("a"), Some(&"x".repeat(100_000))),
        json!({ "repositoryName": "x".repeat(100_000), "imageManifest": "secret" }),
        json!({ "repositoryName": ["secret"] }),
        json!({ "repositoryName": 7, "imageTag": "secret" }),
        request("app", &index(&many), Some("i")),
    ] {
        let mut event = event("PutImage", ACCOUNT, &body.to_string());
        event["headers"]["Authorization"] = json!(secret);
        service.send(event).await;
    }
    let (text, events) = logged();
    assert!(text.lines().all(|line| line.len() < 20_000));
    assert_eq!(events.len(), 8);
    for word in ["schemaVersion", "AKIDEXAMPLE", "secret", &"x".repeat(300)] {
        assert!(!text.contains(word), "{word}");
    }
}
