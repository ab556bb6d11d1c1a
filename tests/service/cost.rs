//! What a push costs: calls, round trips and DynamoDB's units, by kind of push.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::*;
use crate::large::image_of_bytes;
use crate::log::{listen, logged};

/// What one push was charged: calls by operation, read units, write units.
#[derive(Debug, PartialEq)]
struct Cost {
    calls: BTreeMap<String, usize>,
    reads: f64,
    writes: f64,
}

async fn cost(service: &Service, body: Value, status: i64) -> Cost {
    listen();
    service.faults.reset_calls();
    let answer = service.put(body).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    let mut calls = BTreeMap::new();
    for call in service.faults.calls() {
        *calls.entry(call.operation).or_default() += 1;
    }
    let (_, events) = logged();
    let units = |field: &str| events[0]["fields"][field].as_f64().unwrap();
    Cost { calls, reads: units("read_units"), writes: units("write_units") }
}

fn calls<const N: usize>(calls: [(&str, usize); N]) -> BTreeMap<String, usize> {
    calls.into_iter().map(|(operation, count)| (operation.to_owned(), count)).collect()
}

#[tokio::test]
async fn each_kind_of_push_has_its_price() {
    let service = Service::start().await;
    // As large as the manifest of 15 layers.
    let (a, b) = (image_of_bytes(3_400), format!("{} ", image_of_bytes(3_400)));
    service.upload_layers_of("app", &a).await;
    // The process learns the repository's id.
    service.push("app", &image("warm"), Some("warm")).await;

    let new = cost(&service, request("app", &a, Some("v1")), 200).await;
    let two_layers = [("BatchGetItem", 1), ("HeadObject", 2), ("TransactWriteItems", 1)];
    assert_eq!(new.calls, calls(two_layers));
    assert!(new.writes <= 16.0 && new.reads <= 3.0, "{new:?}");

    let retag = cost(&service, request("app", &a, Some("v2")), 200).await;
    assert_eq!(retag.calls["TransactWriteItems"], 1);
    assert!(retag.writes <= 8.0 && retag.reads <= 3.0, "{retag:?}");

    let moved = cost(&service, request("app", &b, Some("v1")), 200).await;
    assert!(moved.writes <= 20.0 && moved.reads <= 3.0, "{moved:?}");

    let again = cost(&service, request("app", &b, Some("v1")), 400).await;
    assert!(!again.calls.contains_key("TransactWriteItems"), "{again:?}");
    assert!(again.writes == 0.0 && again.reads <= 3.0, "{again:?}");

    let index = index(&[&a, &b, &image("warm")]);
    let indexed = cost(&service, request("app", &index, Some("all")), 200).await;
    assert_eq!(indexed.calls, calls([("BatchGetItem", 1), ("TransactWriteItems", 1)]));
    // Three children: two units each, and one read each.
    assert!(indexed.writes <= 14.0 && indexed.reads <= 6.0, "{indexed:?}");

    // A retry costs what a read costs; a body in S3 costs no units.
    let large = image_of_bytes(1024 * 1024);
    service.upload_layers_of("app", &large).await;
    let large = cost(&service, request("app", &large, Some("large")), 200).await;
    assert!(large.writes <= 8.0, "{large:?}");
    assert_eq!(large.calls["PutObject"], 1);
    for (kind, cost) in [
        ("new image, 3.4 KB", new),
        ("tag on a stored image", retag),
        ("new image, tag moves", moved),
        ("the same again", again),
        ("index of 3", indexed),
        ("new image, 1 MiB", large),
    ] {
        println_cost(kind, &cost);
    }
}

#[expect(clippy::print_stdout, reason = "docs/OPERATING.md quotes it")]
fn println_cost(kind: &str, cost: &Cost) {
    println!("{kind}: {} read units, {} write units, {:?}", cost.reads, cost.writes, cost.calls);
}

#[tokio::test]
async fn a_cold_process_reads_once_more() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    let cold = service.restarted();
    let cost = cost(&cold, request("app", &image("a"), Some("v1")), 200).await;
    let expected =
        [("BatchGetItem", 1), ("GetItem", 1), ("HeadObject", 2), ("TransactWriteItems", 1)];
    assert_eq!(cost.calls, calls(expected));
}

#[tokio::test]
async fn a_push_under_kms_costs_one_call_more() {
    let service = Service::with(|_| {}).await;
    let key = service.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    let settings = json!({ "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": key } });
    service.create_repository("app", settings).await;
    service.push("app", &image("warm"), Some("warm")).await;
    service.upload_layers_of("app", &image("a")).await;
    let cost = cost(&service, request("app", &image("a"), Some("v1")), 200).await;
    let expected =
        [("BatchGetItem", 1), ("GenerateDataKey", 1), ("HeadObject", 2), ("TransactWriteItems", 1)];
    assert_eq!(cost.calls, calls(expected));
}
