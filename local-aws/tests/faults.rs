//! Each fault: what the service did, what the SDK saw, how many attempts left the client.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use aws_sdk_dynamodb::{Client, config};
use aws_sdk_kms as kms;
use aws_sdk_s3 as s3;
use aws_smithy_async::rt::sleep::AsyncSleep as _;
use aws_types::SdkConfig;
use local_aws::{Fault, Faults, Options, Stack};

const BLINK: Duration = Duration::from_millis(30);
/// Longer than any test takes.
const HOUR: Duration = Duration::from_hours(1);

struct World {
    stack: Stack,
    faults: Faults,
    /// Goes through the faults, and tries once.
    faulted: Client,
    /// The same, with a time-out that ends in any case.
    impatient: Client,
    /// Does not.
    db: Client,
}

type PutResult = Result<(), SdkError<aws_sdk_dynamodb::operation::put_item::PutItemError>>;

/// A client that tries once, for at most so long.
fn client(aws: &SdkConfig, time_out: Duration) -> Client {
    let time_outs = config::timeout::TimeoutConfig::builder().operation_attempt_timeout(time_out);
    let config = config::Builder::from(aws).retry_config(config::retry::RetryConfig::disabled());
    Client::from_conf(config.timeout_config(time_outs.build()).build())
}

impl World {
    async fn new() -> World {
        let stack = Stack::start(Options::default()).await.unwrap();
        let faults = Faults::new();
        let faulted = client(&faults.sdk_config(&stack), Duration::from_secs(1));
        let impatient = client(&stack.faulted_sdk_config(&faults), BLINK);
        let db = Client::new(&stack.sdk_config());
        World { stack, faults, faulted, impatient, db }
    }

    /// Puts an item through the faults; the attempts so far are forgotten.
    async fn put(&self, fault: Fault) -> PutResult {
        self.put_by(&self.faulted, fault).await
    }

    async fn put_by(&self, client: &Client, fault: Fault) -> PutResult {
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
        let error = world.put_by(&world.impatient, fault).await.unwrap_err();
        assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
        world.faults.settle().await;
        assert_eq!(world.stored().await, applied);
    }
    world.stack.stop().await;
}

#[tokio::test]
async fn a_time_out_waits_for_all_that_does_not_hang() {
    let world = World::new().await;
    world.put(Fault::Delay(Duration::from_millis(1_100))).await.unwrap();
    for (fault, applied) in [(Fault::HangAfter, true), (Fault::Hang, false)] {
        world.faults.script("GetItem", [Some(Fault::Hold)]);
        let get = world.faulted.get_item().table_name("ecr").key("PK", s("a")).key("SK", s("b"));
        let get = tokio::spawn(get.send());
        world.faults.held().await;
        {
            let mut put = std::pin::pin!(world.put(fault));
            tokio::select! {
                response = &mut put => panic!("{response:?}"),
                () = tokio::time::sleep(Duration::from_millis(1_100)) => {}
            }
            world.faults.release();
            let error = put.await.unwrap_err();
            assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
        }
        get.await.unwrap().unwrap();
        assert_eq!(world.stored().await, applied);
        world.remove().await;
    }
    world.stack.stop().await;
}

#[tokio::test]
async fn what_is_held_goes_on_when_it_is_released() {
    let world = World::new().await;
    for (fault, applied) in [(Fault::Hold, false), (Fault::HoldResponse, true)] {
        let test = async {
            world.faults.held().await;
            assert_eq!(world.stored().await, applied);
            world.faults.release();
        };
        let (response, ()) = tokio::join!(world.put(fault), test);
        response.unwrap();
        assert!(world.stored().await);
        assert_eq!(world.faults.count("PutItem"), 1);
        world.remove().await;
    }
    world.stack.stop().await;
}

#[tokio::test]
async fn a_call_that_nobody_polls_is_not_waited_for() {
    let world = World::new().await;
    let get = world.faulted.get_item().table_name("ecr").key("PK", s("a")).key("SK", s("b"));
    let mut get = std::pin::pin!(get.send());
    tokio::select! {
        biased;
        response = &mut get => panic!("{response:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(world.faults.count("GetItem"), 1);
    let test = async {
        world.faults.held().await;
        world.faults.release();
    };
    world.faults.script("PutItem", [Some(Fault::Hold)]);
    let put = world.faulted.put_item().table_name("ecr").item("PK", s("item"));
    let (put, ()) = tokio::join!(put.item("SK", s("item")).send(), test);
    put.unwrap();
    get.await.unwrap();
    world.stack.stop().await;
}

#[tokio::test]
async fn a_pause_as_long_as_a_time_out_ends() {
    Faults::new().sleep(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_batch_leaves_out_its_last_keys() {
    let world = World::new().await;
    world.put(Fault::Duplicate).await.unwrap();
    let key = |name: &str| HashMap::from(["PK", "SK"].map(|part| (part.to_owned(), s(name))));
    let keys = ["item", "b", "c"].map(key);
    let asked = KeysAndAttributes::builder().consistent_read(true);
    let asked = asked.set_keys(Some(keys.to_vec())).build().unwrap();
    world.faults.script("BatchGetItem", [Some(Fault::LeaveOut(2))]);
    let batch = world.faulted.batch_get_item().request_items("ecr", asked).send().await.unwrap();
    assert_eq!(batch.responses.unwrap()["ecr"], [keys[0].clone()]);
    let left_out = &batch.unprocessed_keys.unwrap()["ecr"];
    assert_eq!((left_out.keys(), left_out.consistent_read()), (&keys[1..], Some(true)));
    world.stack.stop().await;
}

#[tokio::test]
async fn what_was_sent_arrives_whatever_becomes_of_the_client() {
    let world = World::new().await;
    for (fault, applied) in [(Fault::Hang, false), (Fault::HangAfter, true)] {
        tokio::select! {
            answer = world.put(fault) => panic!("{answer:?}"),
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
        answer = world.put(Fault::DelayAnswer(HOUR)) => panic!("{answer:?}"),
        () = left => {}
    }
    world.faults.settle().await;
    assert!(world.stored().await);
    world.stack.stop().await;
}

#[tokio::test]
async fn a_refused_connection_and_a_page_of_html_are_no_answers() {
    let world = World::new().await;
    let error = world.put(Fault::Refuse).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(format!("{error:?}").contains("ConnectionRefused"), "{error:?}");
    assert!(!world.stored().await);
    for status in [400, 500, 200] {
        let answer = world.put(Fault::Garbage(status)).await;
        assert!(answer.is_err_and(|error| error.code().is_none()), "{status}");
        assert!(world.stored().await);
        world.remove().await;
    }
    world.stack.stop().await;
}

#[tokio::test]
async fn a_late_copy_arrives_after_the_client_has_gone_on() {
    let world = World::new().await;
    for fault in [Fault::HeldCopy, Fault::LateCopy(BLINK)] {
        let is_held = fault == Fault::HeldCopy;
        let error = world.put(fault).await.unwrap_err();
        assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
        assert!(!is_held || !world.stored().await);
        world.faults.settle().await;
        assert!(world.stored().await);
        world.remove().await;
    }
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
    let answer = call.return_values("UPDATED_NEW".into()).send().await.unwrap();
    assert_eq!(answer.attributes.unwrap()["count"], AttributeValue::N("2".into()));
    assert_eq!(world.faults.count("UpdateItem"), 1);
    world.stack.stop().await;
}

#[tokio::test]
async fn a_truncated_answer_is_unreadable_though_applied() {
    let world = World::new().await;
    world.put(Fault::TruncateBody).await.unwrap_err();
    assert!(world.stored().await);

    let objects = s3::Client::new(&world.faults.sdk_config(&world.stack));
    let put = objects.put_object().bucket("layers").key("k").body(b"body".to_vec().into());
    put.send().await.unwrap();
    world.faults.script("GetObject", [Some(Fault::TruncateBody)]);
    let read = objects.get_object().bucket("layers").key("k").send().await.unwrap();
    read.body.collect().await.unwrap_err();
    world.stack.stop().await;
}

#[tokio::test]
async fn answers_have_dynamodbs_shape() {
    let world = World::new().await;
    let answer = |status, code| Fault::Answer { status, code, message: "by a fault" };
    for (status, code) in [
        (500, "InternalServerError"),
        (400, "ThrottlingException"),
        (400, "ProvisionedThroughputExceededException"),
        (400, "TransactionInProgressException"),
    ] {
        let error = world.put(answer(status, code)).await.unwrap_err();
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
    let config = world.faults.sdk_config(&world.stack);
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
    let answer = Fault::Answer { status: 400, code: "KeyUnavailableException", message: "no" };
    world.faults.always("GenerateDataKey", answer);
    let error = keys.generate_data_key().key_id("k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("KeyUnavailableException"));
    world.stack.stop().await;
}

#[tokio::test]
async fn s3_puts_pass_unchanged_and_can_be_lost_and_repeated() {
    let world = World::new().await;
    let objects = s3::Client::new(&world.faults.sdk_config(&world.stack));
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
    let client = Client::new(&world.faults.sdk_config(&world.stack));
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
    let answer = |code| Fault::Answer { status: 400, code, message: "" };
    world.faults.on_call(move |call| {
        (call.service == "dynamodb" && call.operation != "GetItem").then(|| answer("Hook"))
    });
    assert_eq!(world.put(answer("Script")).await.unwrap_err().code(), Some("Script"));
    let put = async || {
        let call = world.faulted.put_item().table_name("ecr").item("PK", s("item"));
        call.item("SK", s("item")).send().await
    };
    assert_eq!(put().await.unwrap_err().code(), Some("Hook"));
    world.faults.always("PutItem", answer("Always"));
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
async fn overlapping_transactions_conflict_and_the_later_is_refused() {
    let world = World::new().await;
    world.faults.conflicts(Duration::ZERO..BLINK);
    world.faults.script("TransactWriteItems", [Some(Fault::HoldResponse)]);
    let first = tokio::spawn(transaction(&world.faulted, &["a", "b"]));
    world.faults.held().await;
    let error = transaction(&world.faulted, &["c", "b"]).await.unwrap_err();
    assert_eq!(reasons(error), ["None", "TransactionConflict"]);
    assert_eq!(world.faults.conflicted(), 1);
    let read = world.faulted.get_item().table_name("ecr").key("PK", s("b")).key("SK", s("item"));
    read.send().await.unwrap();
    transaction(&world.faulted, &["d"]).await.unwrap();
    world.faults.release();
    first.await.unwrap().unwrap();
    for (name, stored) in [("a", true), ("b", true), ("c", false), ("d", true)] {
        assert_eq!(world.stored_item(name).await, stored, "{name}");
    }
    transaction(&world.faulted, &["c", "b"]).await.unwrap();
    world.stack.stop().await;
}
