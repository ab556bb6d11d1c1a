//! The facts about the DynamoDB engine on which PutImage's commit rests.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Get, KeysAndAttributes, Put,
    ReturnValuesOnConditionCheckFailure, TransactGetItem, TransactWriteItem, Update,
};
use local_aws::{Options, Stack};

type Item = HashMap<String, AttributeValue>;

async fn start() -> (Stack, Client) {
    let stack = Stack::start(Options::default()).await.unwrap();
    let client = Client::new(&stack.sdk_config());
    (stack, client)
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key(sk: &str) -> Item {
    HashMap::from([("PK".into(), s("R#1")), ("SK".into(), s(sk))])
}

fn put_if_absent(sk: &str) -> TransactWriteItem {
    let put = Put::builder().table_name("ecr").set_item(Some(key(sk)));
    let put = put.condition_expression("attribute_not_exists(PK)").build().unwrap();
    TransactWriteItem::builder().put(put).build()
}

fn check(sk: &str, condition: &str) -> TransactWriteItem {
    let check = ConditionCheck::builder().table_name("ecr").set_key(Some(key(sk)));
    let check = check.condition_expression(condition).build().unwrap();
    TransactWriteItem::builder().condition_check(check).build()
}

/// `SET count = count + :one` where `count < :limit`.
fn count_up(sk: &str, limit: i64) -> TransactWriteItem {
    let update = Update::builder()
        .table_name("ecr")
        .set_key(Some(key(sk)))
        .update_expression("SET #count = #count + :one")
        .condition_expression("#count < :limit")
        .expression_attribute_names("#count", "count")
        .expression_attribute_values(":one", n(1))
        .expression_attribute_values(":limit", n(limit))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap();
    TransactWriteItem::builder().update(update).build()
}

async fn put(db: &Client, sk: &str, attributes: &[(&str, AttributeValue)]) {
    let mut item = key(sk);
    item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    db.put_item().table_name("ecr").set_item(Some(item)).send().await.unwrap();
}

async fn get(db: &Client, sk: &str) -> Option<Item> {
    let call = db.get_item().table_name("ecr").set_key(Some(key(sk))).consistent_read(true);
    call.send().await.unwrap().item
}

async fn write(
    db: &Client,
    actions: Vec<TransactWriteItem>,
    token: Option<&str>,
) -> Result<(), SdkError<TransactWriteItemsError>> {
    let call = db.transact_write_items().set_transact_items(Some(actions));
    call.set_client_request_token(token.map(str::to_owned)).send().await.map(|_| ())
}

/// The reasons of a cancelled transaction.
fn reasons(error: SdkError<TransactWriteItemsError>) -> Vec<CancellationReason> {
    match error.into_service_error() {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            cancelled.cancellation_reasons.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn codes(reasons: &[CancellationReason]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.code().unwrap()).collect()
}

#[tokio::test]
async fn a_transaction_is_written_wholly_or_not_at_all() {
    let (stack, db) = start().await;
    write(&db, vec![put_if_absent("A"), put_if_absent("B")], None).await.unwrap();
    let error = write(&db, vec![put_if_absent("C"), put_if_absent("B")], None).await.unwrap_err();
    let reasons = reasons(error);
    assert_eq!(codes(&reasons), ["None", "ConditionalCheckFailed"]);
    assert_eq!(reasons[1].message(), Some("The conditional request failed"));
    assert_eq!(get(&db, "C").await, None);
    stack.stop().await;
}

#[tokio::test]
async fn a_failed_condition_gives_back_the_item_when_asked() {
    let (stack, db) = start().await;
    put(&db, "IMAGE", &[("count", n(5))]).await;
    let error = write(&db, vec![put_if_absent("A"), count_up("IMAGE", 5)], None).await.unwrap_err();
    let reasons = reasons(error);
    assert_eq!(codes(&reasons), ["None", "ConditionalCheckFailed"]);
    assert_eq!(reasons[1].item().unwrap()["count"], n(5));
    assert_eq!(reasons[0].item(), None);

    write(&db, vec![count_up("IMAGE", 6)], None).await.unwrap();
    assert_eq!(get(&db, "IMAGE").await.unwrap()["count"], n(6));
    let error = write(&db, vec![count_up("absent", 6)], None).await.unwrap_err();
    assert_eq!(codes(&self::reasons(error)), ["ConditionalCheckFailed"]);
    stack.stop().await;
}

#[tokio::test]
async fn a_token_makes_a_replay_a_success_that_writes_once() {
    let (stack, db) = start().await;
    put(&db, "META", &[("count", n(0))]).await;
    let actions = || vec![count_up("META", 9), put_if_absent("IMAGE")];
    write(&db, actions(), Some("token-0")).await.unwrap();
    write(&db, actions(), Some("token-0")).await.unwrap();
    assert_eq!(get(&db, "META").await.unwrap()["count"], n(1));
    let error = write(&db, vec![put_if_absent("OTHER")], Some("token-0")).await.unwrap_err();
    assert_eq!(error.code(), Some("IdempotentParameterMismatchException"));
    let error = write(&db, actions(), Some("token-1")).await.unwrap_err();
    assert_eq!(codes(&reasons(error)), ["None", "ConditionalCheckFailed"]);
    stack.stop().await;
}

#[tokio::test]
async fn a_cancelled_transaction_does_not_use_up_its_token() {
    let (stack, db) = start().await;
    let actions = || vec![check("META", "attribute_exists(PK)"), put_if_absent("IMAGE")];
    write(&db, actions(), Some("token-0")).await.unwrap_err();
    put(&db, "META", &[]).await;
    write(&db, actions(), Some("token-0")).await.unwrap();
    assert!(get(&db, "IMAGE").await.is_some());
    stack.stop().await;
}

#[tokio::test]
async fn one_transaction_takes_94_actions_and_rejects_101() {
    let (stack, db) = start().await;
    let actions = |count: usize| (0..count).map(|number| put_if_absent(&format!("{number:03}")));
    write(&db, actions(94).collect(), None).await.unwrap();
    let error = write(&db, actions(94).collect(), None).await.unwrap_err();
    assert_eq!(reasons(error).len(), 94);
    let error = write(&db, actions(101).collect(), None).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    stack.stop().await;
}

#[tokio::test]
async fn two_actions_on_one_item_are_rejected() {
    let (stack, db) = start().await;
    let error = write(&db, vec![put_if_absent("A"), check("A", "attribute_exists(PK)")], None);
    let error = error.await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(
        error.message(),
        Some("Transaction request cannot include multiple operations on one item")
    );
    stack.stop().await;
}

#[tokio::test]
async fn batch_get_reads_what_is_there() {
    let (stack, db) = start().await;
    put(&db, "A", &[("digest", s("sha256:1"))]).await;
    put(&db, "B", &[]).await;
    let keys = KeysAndAttributes::builder().consistent_read(true);
    let keys = keys.keys(key("A")).keys(key("B")).keys(key("absent")).build().unwrap();
    let response = db.batch_get_item().request_items("ecr", keys).send().await.unwrap();
    assert_eq!(response.responses.unwrap()["ecr"].len(), 2);
    assert!(response.unprocessed_keys.unwrap_or_default().is_empty());

    let twice = KeysAndAttributes::builder().keys(key("A")).keys(key("A")).build().unwrap();
    let error = db.batch_get_item().request_items("ecr", twice).send().await.unwrap_err();
    assert_eq!(error.message(), Some("Provided list of item keys contains duplicates"));
    let many = (0..101).map(|number| key(&number.to_string())).collect();
    let many = KeysAndAttributes::builder().set_keys(Some(many)).build().unwrap();
    let error = db.batch_get_item().request_items("ecr", many).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    stack.stop().await;
}

#[tokio::test]
async fn batch_get_stops_at_16_mb_and_names_the_rest() {
    let (stack, db) = start().await;
    let names: Vec<String> = (0..45).map(|number| format!("{number:02}")).collect();
    for name in &names {
        put(&db, name, &[("body", AttributeValue::B(Blob::new(vec![0; 390_000])))]).await;
    }
    let keys = names.iter().map(|name| key(name)).collect();
    let mut left = Some(KeysAndAttributes::builder().set_keys(Some(keys)).build().unwrap());
    let (mut read, mut rounds) = (0, 0);
    while let Some(keys) = left {
        let response = db.batch_get_item().request_items("ecr", keys).send().await.unwrap();
        read += response.responses.unwrap()["ecr"].len();
        rounds += 1;
        left = response.unprocessed_keys.unwrap_or_default().remove("ecr");
    }
    assert_eq!((read, rounds), (45, 2));
    stack.stop().await;
}

#[tokio::test]
async fn transact_get_keeps_the_order_and_names_absent_items() {
    let (stack, db) = start().await;
    put(&db, "A", &[("count", n(1))]).await;
    let item = |sk: &str| {
        let get = Get::builder().table_name("ecr").set_key(Some(key(sk))).build().unwrap();
        TransactGetItem::builder().get(get).build()
    };
    let call = db.transact_get_items().transact_items(item("absent")).transact_items(item("A"));
    let response = call.send().await.unwrap().responses.unwrap();
    assert_eq!(response[0].item(), None);
    assert_eq!(response[1].item().unwrap()["count"], n(1));
    stack.stop().await;
}

#[tokio::test]
async fn string_sets_grow_and_have_a_size() {
    let (stack, db) = start().await;
    put(&db, "META", &[("rev", s("1")), ("delEpoch", n(7))]).await;
    let add = |digest: &str| {
        let update = Update::builder()
            .table_name("ecr")
            .set_key(Some(key("META")))
            .update_expression("ADD bigIndexes :digest")
            .condition_expression(
                "rev = :rev AND delEpoch = :seen \
                 AND (attribute_not_exists(bigIndexes) OR size(bigIndexes) < :max)",
            )
            .expression_attribute_values(":digest", AttributeValue::Ss(vec![digest.into()]))
            .expression_attribute_values(":rev", s("1"))
            .expression_attribute_values(":seen", n(7))
            .expression_attribute_values(":max", n(2));
        vec![TransactWriteItem::builder().update(update.build().unwrap()).build()]
    };
    for digest in ["sha256:1", "sha256:2"] {
        write(&db, add(digest), None).await.unwrap();
    }
    let error = write(&db, add("sha256:3"), None).await.unwrap_err();
    assert_eq!(codes(&reasons(error)), ["ConditionalCheckFailed"]);
    let item = get(&db, "META").await.unwrap();
    assert_eq!(item["bigIndexes"].as_ss().unwrap().len(), 2);

    let remove = db.update_item().table_name("ecr").set_key(Some(key("META")));
    let both = AttributeValue::Ss(vec!["sha256:1".into(), "sha256:2".into()]);
    let remove = remove.update_expression("DELETE bigIndexes :both");
    remove.expression_attribute_values(":both", both).send().await.unwrap();
    assert!(!get(&db, "META").await.unwrap().contains_key("bigIndexes"));
    stack.stop().await;
}

#[tokio::test]
async fn every_attribute_type_comes_back_as_it_was() {
    let (stack, db) = start().await;
    let all = [
        ("binary", AttributeValue::B(Blob::new((0..=255).collect::<Vec<u8>>()))),
        ("bool", AttributeValue::Bool(true)),
        ("list", AttributeValue::L(vec![s("a"), n(1), AttributeValue::L(vec![])])),
        ("map", AttributeValue::M(HashMap::from([("pattern".into(), s("v*"))]))),
        ("null", AttributeValue::Null(true)),
        ("empty", s("")),
        ("number", n(i64::MAX)),
        ("unicode", s("é😀\u{0}\"\\")),
    ];
    put(&db, "META", &all).await;
    let item = get(&db, "META").await.unwrap();
    for (name, value) in all {
        assert_eq!(item[name], value, "{name}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_changed_revision_cancels() {
    let (stack, db) = start().await;
    put(&db, "META", &[("rev", s("1"))]).await;
    let condition = || {
        let check = ConditionCheck::builder()
            .table_name("ecr")
            .set_key(Some(key("META")))
            .condition_expression("#rev = :rev")
            .expression_attribute_names("#rev", "rev")
            .expression_attribute_values(":rev", s("1"));
        TransactWriteItem::builder().condition_check(check.build().unwrap()).build()
    };
    write(&db, vec![condition(), put_if_absent("A")], None).await.unwrap();
    put(&db, "META", &[("rev", s("2"))]).await;
    let error = write(&db, vec![condition(), put_if_absent("B")], None).await.unwrap_err();
    assert_eq!(codes(&reasons(error)), ["ConditionalCheckFailed", "None"]);
    stack.stop().await;
}

#[tokio::test]
async fn counters_go_down_and_rows_go_away_under_conditions() {
    let (stack, db) = start().await;
    put(&db, "IMAGE", &[("tagCount", n(1)), ("refCount", n(0))]).await;
    let delete = || {
        let delete = Delete::builder()
            .table_name("ecr")
            .set_key(Some(key("IMAGE")))
            .condition_expression("tagCount = :found AND refCount = :zero")
            .expression_attribute_values(":found", n(0))
            .expression_attribute_values(":zero", n(0));
        vec![TransactWriteItem::builder().delete(delete.build().unwrap()).build()]
    };
    write(&db, delete(), None).await.unwrap_err();
    let move_tag = db.update_item().table_name("ecr").set_key(Some(key("IMAGE")));
    let move_tag = move_tag.update_expression("SET tagCount = tagCount - :one");
    move_tag.expression_attribute_values(":one", n(1)).send().await.unwrap();
    write(&db, delete(), None).await.unwrap();
    assert_eq!(get(&db, "IMAGE").await, None);
    stack.stop().await;
}

#[tokio::test]
async fn limits_of_items_and_keys() {
    let (stack, db) = start().await;
    let put_item = |sk: String, size: usize| {
        let mut item = key(&sk);
        item.insert("body".into(), AttributeValue::B(Blob::new(vec![1; size])));
        db.put_item().table_name("ecr").set_item(Some(item)).send()
    };
    put_item("A".into(), 400 * 1024 - 100).await.unwrap();
    let error = put_item("A".into(), 400 * 1024).await.unwrap_err();
    assert_eq!(error.message(), Some("Item size has exceeded the maximum allowed size"));
    put_item("k".repeat(1024), 1).await.unwrap();
    let error = put_item("k".repeat(1025), 1).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));

    let large = (0..12).map(|number| {
        let mut item = key(&number.to_string());
        item.insert("body".into(), AttributeValue::B(Blob::new(vec![1; 390_000])));
        let put = Put::builder().table_name("ecr").set_item(Some(item)).build().unwrap();
        TransactWriteItem::builder().put(put).build()
    });
    let error = write(&db, large.collect(), None).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    stack.stop().await;
}

#[tokio::test]
async fn queries_find_a_repositorys_rows_by_prefix() {
    let (stack, db) = start().await;
    for sk in ["IMAGE#1", "IMAGE#2", "TAG#a"] {
        put(&db, sk, &[]).await;
    }
    let query = db.query().table_name("ecr").consistent_read(true);
    let query = query.key_condition_expression("PK = :pk AND begins_with(SK, :prefix)");
    let query = query.expression_attribute_values(":pk", s("R#1"));
    let query = query.expression_attribute_values(":prefix", s("IMAGE#"));
    assert_eq!(query.send().await.unwrap().count(), 2);
    stack.stop().await;
}

#[tokio::test]
async fn a_missing_table_is_a_resource_not_found() {
    let (stack, db) = start().await;
    let call = db.get_item().table_name("other").set_key(Some(key("A")));
    assert_eq!(call.send().await.unwrap_err().code(), Some("ResourceNotFoundException"));
    let error = db.put_item().table_name("ecr").item("PK", s("only half a key"));
    assert_eq!(error.send().await.unwrap_err().code(), Some("ValidationException"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_transactions_count_exactly() {
    let (stack, db) = start().await;
    put(&db, "META", &[("count", n(0))]).await;
    let writers = (0..20).map(|number| {
        let db = db.clone();
        tokio::spawn(async move {
            let image = put_if_absent(&format!("IMAGE#{number}"));
            write(&db, vec![count_up("META", 15), image], None).await.is_ok()
        })
    });
    let mut written = 0;
    for writer in writers.collect::<Vec<_>>() {
        written += i64::from(writer.await.unwrap());
    }
    assert_eq!(written, 15);
    assert_eq!(get(&db, "META").await.unwrap()["count"], n(15));
    stack.stop().await;
}
