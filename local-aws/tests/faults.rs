//! Each fault: what the service did, what the SDK saw, how many attempts left the client.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use aws_sdk_dynamodb::{Client, config};
use aws_sdk_kms as kms;
use aws_sdk_s3 as s3;
use local_aws::{Fault, Faults, Options, Stack};

/// How long a short delay takes.
const BLINK: Duration = Duration::from_millis(300);
/// How long a delay takes that no test waits for.
const HOUR: Duration = Duration::from_hours(1);

struct World {
    stack: Stack,
    faults: Faults,
    /// Has the faults in front of it, and tries once.
    faulted: Client,
    /// The same, with a time-out.
    impatient: Client,
    /// Has no faults.
    db: Client,
}

impl World {
    async fn new() -> World {
        let stack = Stack::start(Options::default()).await.unwrap();
        let faults = Faults::new();
        let faulted = config::Builder::from(&stack.faulted_sdk_config(&faults))
            .retry_config(config::retry::RetryConfig::disabled());
        let timeout = config::timeout::TimeoutConfig::builder().operation_attempt_timeout(BLINK);
        let impatient = faulted.clone().timeout_config(timeout.build());
        let [faulted, impatient] =
            [faulted, impatient].map(|config| Client::from_conf(config.build()));
        let db = Client::new(&stack.sdk_config());
        World { stack, faults, faulted, impatient, db }
    }

    /// Puts an item with this fault, and clears the record of calls before.
    async fn put(&self, fault: Fault) -> Result<(), SdkError<PutItemError>> {
        self.put_through(&self.faulted, fault).await
    }

    async fn put_through(
        &self,
        client: &Client,
        fault: Fault,
    ) -> Result<(), SdkError<PutItemError>> {
        self.faults.reset_calls();
        self.faults.script("PutItem", [Some(fault)]);
        let call = client.put_item().table_name("ecr").item("PK", s("item"));
        call.item("SK", s("item")).send().await.map(|_| ())
    }

    async fn stored(&self) -> bool {
        self.stored_item("item").await
    }

    async fn stored_item(&self, name: &str) -> bool {
        let call = self.db.get_item().table_name("ecr").key("PK", s(name)).key("SK", s("item"));
        call.send().await.unwrap().item.is_some()
    }

    async fn remove(&self) {
        let call = self.db.delete_item().table_name("ecr");
        call.key("PK", s("item")).key("SK", s("item")).send().await.unwrap();
    }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

#[tokio::test]
async fn drops_differ_in_whether_the_call_was_applied() {
    let world = World::new().await;
    let error = world.put(Fault::DropBefore).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(!world.stored().await);
    let error = world.put(Fault::DropAfter).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(world.stored().await);
    assert_eq!(world.faults.count("PutItem"), 1);
    world.stack.stop().await;
}

#[tokio::test]
async fn delays_and_hangs_meet_the_clients_time_out() {
    let world = World::new().await;
    let before = Instant::now();
    world.put(Fault::Delay(BLINK)).await.unwrap();
    world.put(Fault::DelayAnswer(BLINK)).await.unwrap();
    assert!(before.elapsed() >= BLINK * 2);
    world.remove().await;

    for (fault, applied) in
        [(Fault::Delay(HOUR), false), (Fault::Hang, false), (Fault::DelayAnswer(HOUR), true)]
    {
        let error = world.put_through(&world.impatient, fault).await.unwrap_err();
        assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
        world.faults.settle().await;
        assert_eq!(world.stored().await, applied);
    }
    world.stack.stop().await;
}

#[tokio::test]
async fn what_was_sent_arrives_whatever_happens_to_the_client() {
    let world = World::new().await;
    for (fault, applied) in [(Fault::Hang, false), (Fault::HangAfter, true)] {
        tokio::select! {
            response = world.put(fault) => panic!("{response:?}"),
            () = world.faults.hung() => {}
        }
        assert_eq!(world.stored().await, applied);
        world.remove().await;
    }
    // Cut off as soon as it has left.
    let left = async {
        while world.faults.count("PutItem") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        response = world.put(Fault::DelayAnswer(BLINK)) => panic!("{response:?}"),
        () = left => {}
    }
    world.faults.settle().await;
    assert!(world.stored().await);
    world.stack.stop().await;
}

#[tokio::test]
async fn a_rejected_connection_and_a_page_of_html_are_no_responses() {
    let world = World::new().await;
    let error = world.put(Fault::Refuse).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(format!("{error:?}").contains("ConnectionRefused"), "{error:?}");
    assert!(!world.stored().await);
    for status in [400, 500, 200] {
        let response = world.put(Fault::Garbage(status)).await;
        assert!(response.is_err_and(|error| error.code().is_none()), "{status}");
        assert!(world.stored().await);
        world.remove().await;
    }
    world.stack.stop().await;
}

#[tokio::test]
async fn a_late_copy_arrives_after_the_client_has_gone_on() {
    let world = World::new().await;
    let before = Instant::now();
    let error = world.put(Fault::LateCopy(BLINK)).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    world.faults.settle().await;
    assert!(before.elapsed() >= BLINK);
    assert!(world.stored().await);
    world.faults.settle().await;
    world.stack.stop().await;
}

#[tokio::test]
async fn a_duplicate_is_applied_twice() {
    let world = World::new().await;
    world.faults.script("UpdateItem", [Some(Fault::Duplicate)]);
    let call = world.faulted.update_item().table_name("ecr").key("PK", s("item"));
    let call = call.key("SK", s("item")).update_expression("ADD #count :one");
    let call = call.expression_attribute_names("#count", "count");
    let call = call.expression_attribute_values(":one", AttributeValue::N("1".into()));
    let response = call.return_values("UPDATED_NEW".into()).send().await.unwrap();
    assert_eq!(response.attributes.unwrap()["count"], AttributeValue::N("2".into()));
    assert_eq!(world.faults.count("UpdateItem"), 1);
    world.stack.stop().await;
}

#[tokio::test]
async fn a_truncated_response_is_unreadable_though_the_call_was_applied() {
    let world = World::new().await;
    world.put(Fault::TruncateBody).await.unwrap_err();
    assert!(world.stored().await);

    let objects = s3::Client::new(&world.stack.faulted_sdk_config(&world.faults));
    let put = objects.put_object().bucket("layers").key("k").body(b"body".to_vec().into());
    put.send().await.unwrap();
    world.faults.script("GetObject", [Some(Fault::TruncateBody)]);
    let read = objects.get_object().bucket("layers").key("k").send().await.unwrap();
    read.body.collect().await.unwrap_err();
    world.stack.stop().await;
}

#[tokio::test]
async fn responses_have_dynamodbs_shape() {
    let world = World::new().await;
    let response = |status, code| Fault::Answer { status, code, message: "by a fault" };
    for (status, code) in [
        (500, "InternalServerError"),
        (400, "ThrottlingException"),
        (400, "ProvisionedThroughputExceededException"),
        (400, "TransactionInProgressException"),
    ] {
        let error = world.put(response(status, code)).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Some(code), Some("by a fault")));
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert!(!world.stored().await);
    }
    let after = Fault::AnswerAfter { status: 500, code: "InternalServerError", message: "" };
    assert_eq!(world.put(after).await.unwrap_err().code(), Some("InternalServerError"));
    assert!(world.stored().await);
    world.stack.stop().await;
}

#[tokio::test]
async fn s3_and_kms_errors_have_their_own_shapes() {
    let world = World::new().await;
    let config = world.stack.faulted_sdk_config(&world.faults);
    let objects = s3::config::Builder::from(&config);
    let objects = s3::Client::from_conf(
        objects.retry_config(s3::config::retry::RetryConfig::disabled()).build(),
    );
    let slow_down = Fault::Answer { status: 503, code: "SlowDown", message: "Reduce your rate." };
    world.faults.script("HeadObject", [Some(slow_down.clone())]);
    world.faults.script("PutObject", [Some(slow_down)]);
    let error = objects.head_object().bucket("layers").key("k").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 503);
    let put = objects.put_object().bucket("layers").key("k").body(b"body".to_vec().into());
    let error = put.send().await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Some("SlowDown"), Some("Reduce your rate.")));

    let keys = kms::Client::new(&config);
    let response = Fault::Answer { status: 400, code: "KeyUnavailableException", message: "no" };
    world.faults.always("GenerateDataKey", response);
    let error = keys.generate_data_key().key_id("k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("KeyUnavailableException"));
    world.stack.stop().await;
}

#[tokio::test]
async fn s3_puts_pass_unchanged_and_can_be_lost_and_repeated() {
    let world = World::new().await;
    let objects = s3::Client::new(&world.stack.faulted_sdk_config(&world.faults));
    world.faults.script("PutObject", [Some(Fault::DropAfter), Some(Fault::DropBefore), None]);
    let body = vec![7; 300_000];
    let put = objects.put_object().bucket("manifests").key("a/b c").body(body.clone().into());
    put.send().await.unwrap();
    assert_eq!(world.faults.count("PutObject"), 3);
    let call = &world.faults.calls()[0];
    assert_eq!((call.service, call.body.len()), ("s3", 64 * 1024));
    assert!(call.path.starts_with("/manifests/a/b%20c"), "{}", call.path);

    world.faults.script("GetObject", [Some(Fault::Duplicate)]);
    let read = objects.get_object().bucket("manifests").key("a/b c").send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().to_vec(), body);
    world.stack.stop().await;
}

#[tokio::test]
async fn every_retry_counts() {
    let world = World::new().await;
    let client = Client::new(&world.stack.faulted_sdk_config(&world.faults));
    let throttled = Fault::Answer { status: 400, code: "ThrottlingException", message: "" };
    world.faults.script("GetItem", [Some(throttled), Some(Fault::DropBefore), None]);
    let get = || client.get_item().table_name("ecr").key("PK", s("a")).key("SK", s("b")).send();
    get().await.unwrap();
    assert_eq!(world.faults.count("GetItem"), 3);
    get().await.unwrap();
    assert_eq!(world.faults.count("GetItem"), 4);
    world.stack.stop().await;
}

#[tokio::test]
async fn scripts_come_before_always_and_that_before_the_hook() {
    let world = World::new().await;
    let response = |code| Fault::Answer { status: 400, code, message: "" };
    world.faults.on_call(move |call| {
        (call.service == "dynamodb" && call.operation != "GetItem").then(|| response("Hook"))
    });
    assert_eq!(world.put(response("Script")).await.unwrap_err().code(), Some("Script"));
    let put = async || {
        let call = world.faulted.put_item().table_name("ecr").item("PK", s("item"));
        call.item("SK", s("item")).send().await
    };
    assert_eq!(put().await.unwrap_err().code(), Some("Hook"));
    world.faults.always("PutItem", response("Always"));
    assert_eq!(put().await.unwrap_err().code(), Some("Always"));
    world.faults.clear();
    put().await.unwrap();
    world.stack.stop().await;
}

/// A transaction of puts, as a future.
fn transaction(
    client: &Client,
    names: &[&str],
) -> impl Future<Output = Result<(), SdkError<TransactWriteItemsError>>> + Send + 'static {
    let actions = names.iter().map(|name| {
        let put = Put::builder().table_name("ecr").item("PK", s(name)).item("SK", s("item"));
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    });
    let call = client.transact_write_items().set_transact_items(Some(actions.collect()));
    async move { call.send().await.map(|_| ()) }
}

fn reasons(error: SdkError<TransactWriteItemsError>) -> Vec<String> {
    match error.into_service_error() {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons.unwrap();
            reasons.into_iter().map(|reason| reason.code.unwrap()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_scripted_cancellation_has_its_reasons() {
    let world = World::new().await;
    let cancelled = Fault::Cancelled(vec!["None", "TransactionConflict"]);
    world.faults.script("TransactWriteItems", [Some(cancelled)]);
    let error = transaction(&world.faulted, &["a", "b"]).await.unwrap_err();
    assert_eq!(reasons(error), ["None", "TransactionConflict"]);
    assert_eq!(world.faults.conflicted(), 0);
    assert!(!world.stored_item("a").await);
    world.stack.stop().await;
}

#[tokio::test]
async fn overlapping_transactions_conflict_and_the_later_is_rejected() {
    let world = World::new().await;
    world.faults.conflicts(BLINK..BLINK + BLINK / 4);
    let read = world.faulted.get_item().table_name("ecr").key("PK", s("b")).key("SK", s("item"));
    // One thread sends all four before it handles the first response.
    let (first, second, read, other) = tokio::join!(
        transaction(&world.faulted, &["a", "b"]),
        transaction(&world.faulted, &["c", "b"]),
        read.send(),
        transaction(&world.faulted, &["d"]),
    );
    first.unwrap();
    assert_eq!(reasons(second.unwrap_err()), ["None", "TransactionConflict"]);
    assert_eq!(world.faults.conflicted(), 1);
    read.unwrap();
    other.unwrap();
    for (name, stored) in [("a", true), ("b", true), ("c", false), ("d", true)] {
        assert_eq!(world.stored_item(name).await, stored, "{name}");
    }
    transaction(&world.faulted, &["c", "b"]).await.unwrap();
    world.stack.stop().await;
}
