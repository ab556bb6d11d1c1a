//! The cost of each kind of push: calls, sequential round trips and DynamoDB's units.

use std::collections::BTreeMap;

use local_aws::Fault;
use serde_json::{Value, json};

use crate::harness::*;
use crate::indexes::{images, of};
use crate::large::image_of_bytes;
use crate::log::{listen, logged};

/// The cost of one push: calls by operation, sequential round trips, read units, write units.
#[derive(Debug, PartialEq)]
struct Cost {
    calls: BTreeMap<String, usize>,
    rounds: usize,
    reads: f64,
    writes: f64,
}

async fn cost(service: &Service, body: Value, status: i64) -> Cost {
    listen();
    service.faults.reset_calls();
    let response = service.put(body).await;
    assert_eq!(response.status, status, "{}", response.text);
    let mut calls = BTreeMap::new();
    for call in service.faults.calls() {
        *calls.entry(call.operation).or_default() += 1;
    }
    let (_, events) = logged();
    let units = |field: &str| events[0]["fields"][field].as_f64().unwrap();
    let rounds = service.faults.rounds();
    Cost { calls, rounds, reads: units("read_units"), writes: units("write_units") }
}

fn calls<const N: usize>(calls: [(&str, usize); N]) -> BTreeMap<String, usize> {
    calls.into_iter().map(|(operation, count)| (operation.to_owned(), count)).collect()
}

/// Asserts that a push made these calls in this many round trips, for these units.
#[track_caller]
fn costs<const N: usize>(
    kind: &str,
    cost: &Cost,
    expected: [(&str, usize); N],
    rounds: usize,
    (reads, writes): (f64, f64),
) {
    print_cost(kind, cost);
    assert_eq!(cost, &Cost { calls: calls(expected), rounds, reads, writes }, "{kind}");
}

#[expect(clippy::print_stdout, reason = "docs/OPERATING.md quotes it")]
fn print_cost(kind: &str, cost: &Cost) {
    println!(
        "{kind}: {} rounds, {} read units, {} write units, {:?}",
        cost.rounds, cost.reads, cost.writes, cost.calls
    );
}

const READ: (&str, usize) = ("BatchGetItem", 1);
const COMMIT: (&str, usize) = ("TransactWriteItems", 1);
const TWO_LAYERS: (&str, usize) = ("HeadObject", 2);

#[tokio::test]
async fn each_kind_of_push_has_its_price() {
    let service = Service::start().await;
    // As large as a manifest of 15 layers.
    let (a, b) = (image_of_bytes(3_400), format!("{} ", image_of_bytes(3_400)));
    service.upload_layers_of("app", &a).await;
    // The process reads the repository's id.
    service.push("app", &image("warm"), Some("warm")).await;

    let new = cost(&service, request("app", &a, Some("v1")), 200).await;
    costs("new image, 3.4 KB", &new, [READ, TWO_LAYERS, COMMIT], 2, (3.0, 14.0));
    // The layers are checked before the process knows that the image is stored.
    let retag = cost(&service, request("app", &a, Some("v2")), 200).await;
    costs("tag on a stored image", &retag, [READ, TWO_LAYERS, COMMIT], 2, (3.0, 6.0));
    let moved = cost(&service, request("app", &b, Some("v1")), 200).await;
    costs("new image, tag moves", &moved, [READ, TWO_LAYERS, COMMIT], 2, (3.0, 16.0));
    let moved = cost(&service, request("app", &b, Some("v2")), 200).await;
    costs("tag moves to a stored image", &moved, [READ, TWO_LAYERS, COMMIT], 2, (3.0, 8.0));
    let again = cost(&service, request("app", &b, Some("v1")), 400).await;
    costs("the same again", &again, [READ, TWO_LAYERS], 1, (3.0, 0.0));

    // A body in S3 costs no units, but one more round trip.
    let large = image_of_bytes(1024 * 1024);
    service.upload_layers_of("app", &large).await;
    let large = cost(&service, request("app", &large, Some("large")), 200).await;
    costs("new image, 1 MiB", &large, [READ, TWO_LAYERS, ("PutObject", 1), COMMIT], 3, (3.0, 6.0));
}

#[tokio::test]
async fn an_index_costs_a_read_and_a_write_of_each_child() {
    let service = Service::start().await;
    let children = images(&service, 90).await;
    let three = cost(&service, request("app", &of(&children[..3]), Some("three")), 200).await;
    // Each of the three children costs two write units and one read unit.
    costs("index of 3", &three, [READ, COMMIT], 2, (6.0, 14.0));
    let ninety = cost(&service, request("app", &of(&children), Some("ninety")), 200).await;
    costs("index of 90", &ninety, [READ, COMMIT], 2, (93.0, 214.0));
}

#[tokio::test]
async fn an_index_of_a_thousand_takes_two_rounds_more() {
    let service = Service::start().await;
    let children = images(&service, 1_000).await;
    let index = cost(&service, request("app", &of(&children), Some("v1")), 200).await;
    let reads = ("TransactGetItems", 10);
    let expected = [READ, reads, ("PutObject", 1), COMMIT];
    // Its body goes to S3 only after all children were found, because a rejected push writes
    // nothing. A transactional read of a child costs two units.
    costs("index of 1,000", &index, expected, 4, (2_003.0, 6.0));
}

#[tokio::test]
async fn a_cold_process_reads_once_more() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    let cold = service.restarted();
    let cost = cost(&cold, request("app", &image("a"), Some("v1")), 200).await;
    costs("cold", &cost, [("GetItem", 1), READ, TWO_LAYERS, COMMIT], 3, (4.0, 8.0));
}

#[tokio::test]
async fn a_rejection_that_must_be_confirmed_reads_once_more() {
    let service = Service::with_quotas(1, 1000, 500).await;
    service.push("app", &image("a"), Some("v1")).await;
    service.upload_layers_of("app", &image("b")).await;
    let full = cost(&service, request("app", &image("b"), Some("v2")), 400).await;
    // Three items. A transactional read of each costs two units.
    let expected = [READ, TWO_LAYERS, ("TransactGetItems", 1)];
    costs("new image, full repository", &full, expected, 2, (9.0, 0.0));
}

/// With repository `app` under a KMS key that the process has already used.
async fn under_kms() -> Service {
    let service = Service::with(|_| {}).await;
    let key = service.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    let settings = json!({ "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": key } });
    service.create_repository("app", settings).await;
    service.push("app", &image("warm"), Some("warm")).await;
    service.upload_layers_of("app", &image("a")).await;
    service
}

#[tokio::test]
async fn a_push_under_kms_costs_one_call_more() {
    let service = under_kms().await;
    let cost = cost(&service, request("app", &image("a"), Some("v1")), 200).await;
    let key = ("GenerateDataKey", 1);
    costs("new image under KMS", &cost, [READ, key, TWO_LAYERS, COMMIT], 3, (3.0, 8.0));
}

#[tokio::test]
async fn a_key_does_not_wait_for_the_layers() {
    let service = under_kms().await;
    service.faults.reset_calls();
    // S3 never responds, so the key has to be requested without the layers.
    service.faults.always("HeadObject", Fault::Hang);
    let push = service.put(request("app", &image("a"), Some("v1")));
    let key = service.sent("GenerateDataKey", 1);
    tokio::select! {
        response = push => panic!("{} before the key was requested", response.status),
        () = key => assert_eq!(service.faults.count("TransactWriteItems"), 0),
    }
}
