//! The function's process: how it starts, how it fails to start, what it logs, and what it
//! survives.

use std::net::TcpListener;
use std::time::Duration;

use local_aws::{ACCESS_KEY_ID, Options, SECRET_ACCESS_KEY, Stack};
use serde_json::{Value, json};

use testing::{ACCOUNT, event};

use crate::function::{Function, command};
use crate::prepared::Prepared;

const ID: &str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";

async fn stack() -> Stack {
    Stack::start(Options::default()).await.unwrap()
}

/// The body of a response that must have this status.
#[track_caller]
fn body(response: &Value, status: u16) -> Value {
    assert_eq!(response["statusCode"], status, "{response}");
    assert_eq!(response["headers"]["content-type"], "application/x-amz-json-1.1");
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn one_message_names_every_error_in_the_environment() {
    let stack = stack().await;
    let ended = command(&stack)
        .env_remove("TABLE_NAME")
        .env("MANIFEST_BUCKET", "")
        .env("DEFAULT_REGISTRY_ID", "1234")
        .env("LAYERS_PER_IMAGE", "many")
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    let log = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    let event: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(event["level"], "ERROR");
    assert_eq!(
        event["fields"]["message"],
        "bad configuration: TABLE_NAME is not set; MANIFEST_BUCKET is not set; \
         DEFAULT_REGISTRY_ID is not an account id of 12 digits; \
         LAYERS_PER_IMAGE is not a whole number from 1 to 4294967295"
    );
}

#[tokio::test]
async fn a_default_registry_logs_a_warning_and_serves_unsigned_requests() {
    let stack = stack().await;
    let create = |name| {
        let mut event =
            event("CreateRepository", ACCOUNT, &json!({ "repositoryName": name }).to_string());
        event["requestContext"]["identity"] = json!({ "accountId": null });
        event
    };
    let function = Function::start(&stack).await;
    let failed = body(&function.response_to(&create("app")).await, 400);
    assert_eq!(failed["__type"], "AccessDeniedException");
    assert!(!function.log().iter().any(|line| line.contains("DEFAULT_REGISTRY_ID")));

    let function = Function::start_with(&stack, &[("DEFAULT_REGISTRY_ID", "109876543210")]).await;
    let created = body(&function.response_to(&create("app")).await, 200);
    assert_eq!(created["repository"]["registryId"], "109876543210");
    let log = function.log();
    let first: Value = serde_json::from_str(&log[0]).unwrap();
    assert_eq!(first["level"], "WARN");
    assert!(first["fields"]["message"].as_str().unwrap().contains("DEFAULT_REGISTRY_ID"));
}

#[tokio::test]
async fn credentials_missing_from_the_environment_are_found_in_a_profile() {
    let stack = stack().await;
    let home = tempfile::tempdir().unwrap();
    let profile = home.path().join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    std::fs::write(&profile, text).unwrap();
    let environment = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_SHARED_CREDENTIALS_FILE", profile.to_str().unwrap()),
    ];
    let function = Function::start_with(&stack, &environment).await;
    let create = json!({ "repositoryName": "app" });
    function.call("CreateRepository", &create).await;
    let again =
        function.response_to(&event("CreateRepository", ACCOUNT, &create.to_string())).await;
    assert_eq!(body(&again, 400)["__type"], "RepositoryAlreadyExistsException");
}

#[tokio::test]
async fn an_event_without_a_request_gets_an_error_and_the_next_one_its_response() {
    let stack = stack().await;
    let function = Function::start(&stack).await;
    let strange_headers = {
        let mut event = event("PutImage", ACCOUNT, "{}");
        event["headers"] = json!(["X-Amz-Target"]);
        event
    };
    for event in [strange_headers, json!({}), json!(null), json!([]), json!("text")] {
        let response = function.response_to(&event).await;
        let message =
            "The request could not be read: the event that carries it is not an HTTP request";
        assert_eq!(
            body(&response, 400),
            json!({ "__type": "SerializationException", "message": message }),
            "{event}"
        );
        assert_eq!(response["headers"]["x-amzn-errortype"], "SerializationException");
    }
    function.call("CreateRepository", &json!({ "repositoryName": "app" })).await;
}

/// A push of the sample's layers by a manifest of four MiB that is padded with this text.
fn push_of_four_mebibytes(prepared: &Prepared, padding: &str) -> Value {
    let sample = prepared.sample_manifest.trim_end_matches('}');
    let padding = padding.repeat((4_194_304 - sample.len() - 1) / padding.len());
    let manifest = format!("{sample}{padding}}}");
    json!({ "repositoryName": "amazonlinux", "imageTag": "v1", "imageManifest": manifest })
}

#[tokio::test]
async fn a_manifest_of_four_mebibytes_comes_back_byte_for_byte() {
    let prepared = Prepared::start().await;
    let push = push_of_four_mebibytes(&prepared, " ");
    let pushed = prepared.function.call("PutImage", &push).await;
    let is_the_same = pushed["image"]["imageManifest"] == push["imageManifest"];
    assert!(is_the_same, "the manifest is another one");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_push_takes_at_most_four_times_its_event_of_memory() {
    let prepared = Prepared::start().await;
    let function = &prepared.function;
    let warm = json!({
        "repositoryName": "amazonlinux",
        "imageTag": "warm",
        "imageManifest": prepared.sample_manifest,
    });
    function.call("PutImage", &warm).await;
    let idle = function.peak_memory();
    let members = r#","annotation":"of some length, as annotations have""#;
    let event = event("PutImage", ACCOUNT, &push_of_four_mebibytes(&prepared, members).to_string());
    assert_eq!(function.response_to(&event).await["statusCode"], 200);
    let event = event.to_string().len();
    let more = function.peak_memory() - idle;
    println!("{more} bytes for an event of {event}: {} %", more * 100 / event);
    assert!(more <= 4 * event, "{more} bytes for an event of {event}");
}

#[tokio::test]
async fn every_call_logs_one_line_of_json_without_secrets() {
    let prepared = Prepared::start().await;
    let secret = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE";
    for file in ["put-image", "kms", "server", "serialization"] {
        let path = format!("{}/events/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let mut event: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        event["headers"]["Authorization"] = json!(secret);
        prepared.function.response_to(&event).await;
    }
    let log = prepared.function.log();
    for line in &log {
        assert!(!line.contains("schemaVersion"), "a manifest: {line}");
        assert!(!line.contains("AWS4-HMAC-SHA256"), "a header: {line}");
    }
    let events: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let calls: Vec<_> = events[events.len() - 4..]
        .iter()
        .map(|event| {
            let fields = &event["fields"];
            let text = |field: &str| fields[field].as_str().unwrap_or("");
            [event["level"].as_str().unwrap(), text("outcome"), text("error_code")]
        })
        .collect();
    assert_eq!(
        calls,
        [
            ["INFO", "ok", ""],
            ["INFO", "refused", "KmsException"],
            ["ERROR", "failed", "ServerException"],
            ["INFO", "refused", "SerializationException"],
        ]
    );
}

#[tokio::test]
async fn a_missing_table_is_a_failure_of_the_service() {
    let stack = stack().await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let function = Function::start_with(&stack, &[("AWS_ENDPOINT_URL_DYNAMODB", &url)]).await;
    let create = event("CreateRepository", ACCOUNT, r#"{"repositoryName":"app"}"#);
    let failed = body(&function.response_to(&create).await, 500);
    assert_eq!(
        failed,
        json!({
            "__type": "ServerException",
            "message": format!(
                "The request could not be completed because of a failure of the service. \
                 Request id: {ID}"
            ),
        })
    );
}

#[tokio::test]
async fn the_response_comes_two_seconds_before_the_invocation_would_be_cut_off() {
    let stack = stack().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let function = Function::start_with(&stack, &[("AWS_ENDPOINT_URL_DYNAMODB", &url)]).await;
    let create = event("CreateRepository", ACCOUNT, r#"{"repositoryName":"app"}"#);
    let response = function.response_within(Duration::from_secs(3), &create).await;
    assert_eq!(body(&response, 500)["__type"], "ServerException");
    let log = function.log();
    let call: Value = serde_json::from_str(log.last().unwrap()).unwrap();
    let cause = call["fields"]["cause"].as_str().unwrap();
    assert!(cause.ends_with(": responding before the deadline"), "{cause}");
    // The function had one second of three. An attempt that timed out after two seconds would have
    // been followed by another.
    silent.set_nonblocking(true).unwrap();
    assert!(silent.incoming().take_while(Result::is_ok).count() <= 1);
}
