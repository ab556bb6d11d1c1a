//! The sweeper's process: what a scheduled run does, what it logs, and what it survives.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use local_aws::{Options, Stack};
use serde_json::{Value, json};

use crate::function::{Function, sweeper_command};
use crate::runtime_api::Outcome;

/// The sweeper's time-out in the template.
const TIMEOUT: Duration = Duration::from_mins(15);

fn schedule() -> Value {
    serde_json::from_str(include_str!("../../events/sweeper/schedule.json")).unwrap()
}

#[tokio::test]
async fn a_body_younger_than_a_day_is_counted_and_kept() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let s3 = Client::new(&stack.sdk_config());
    let bucket = &stack.options().manifest_bucket;
    let key = format!("manifests/{}/{}/{}", uuid::Uuid::new_v4(), "0".repeat(64), "1".repeat(32));
    let body = ByteStream::from_static(b"{}");
    s3.put_object().bucket(bucket).key(&key).body(body).send().await.unwrap();

    let sweeper = Function::start_sweeper(&stack).await;
    let did = json!({
        "orphans": 0, "referenced": 0, "young": 1, "foreign": 0, "failed": 0, "complete": true,
    });
    // The event does not matter.
    for event in [schedule(), json!(null), json!([1])] {
        assert_eq!(sweeper.response_within(TIMEOUT, &event).await, did);
    }
    let listed = s3.list_objects_v2().bucket(bucket).send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some(&*key));

    let log: Vec<Value> =
        sweeper.log().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let runs = log.iter().filter(|event| event["fields"]["message"] == "sweep");
    let young: Vec<_> = runs.map(|run| (&run["level"], &run["fields"]["young"])).collect();
    assert_eq!(young, [(&json!("INFO"), &json!(1)); 3]);
}

#[tokio::test]
async fn a_failed_run_is_an_error_of_the_function() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let s3 = Client::new(&stack.sdk_config());
    s3.delete_bucket().bucket(&stack.options().manifest_bucket).send().await.unwrap();
    let sweeper = Function::start_sweeper(&stack).await;
    let outcome = sweeper.invoke(TIMEOUT, &schedule()).await;
    let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error["errorMessage"], "listing bodies");
    // The cause is in the log.
    let log = sweeper.log();
    let run = log.iter().find(|line| line.contains(r#""message":"sweep""#)).unwrap();
    let run: Value = serde_json::from_str(run).unwrap();
    assert_eq!(run["level"], "ERROR");
    assert_eq!(run["fields"]["aws_error_code"], "NoSuchBucket");
    assert!(run["fields"]["cause"].as_str().unwrap().contains("NoSuchBucket"));
}

#[tokio::test]
async fn one_message_names_every_missing_variable() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let mut command = sweeper_command(&stack);
    command.env_remove("TABLE_NAME").env("MANIFEST_BUCKET", "");
    let ended = command.output().unwrap();
    assert!(!ended.status.success());
    let log = String::from_utf8(ended.stdout).unwrap();
    let event: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(
        event["fields"]["message"],
        "bad configuration: TABLE_NAME is not set; MANIFEST_BUCKET is not set"
    );
}
