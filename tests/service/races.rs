//! Concurrent writers: no decision relies on data that has changed since it was read.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use local_aws::Fault;
use serde_json::{Value, json};

use crate::harness::*;

/// Puts while `meanwhile` happens: the next request of `operation` is held before it is sent.
async fn put_meanwhile(
    service: &Service,
    body: Value,
    operation: &'static str,
    meanwhile: impl Future<Output = ()>,
) -> Response {
    service.faults.script(operation, [Some(Fault::Hold)]);
    let meanwhile = async {
        service.faults.held().await;
        meanwhile.await;
        service.faults.release();
    };
    futures_util::future::join(service.put(body), meanwhile).await.0
}

fn mode(mode: &str) -> AttributeValue {
    AttributeValue::S(mode.into())
}

/// Deletes the repository as a deleter must: its item first.
async fn delete_repository(service: &Service) {
    let item = service.repository_item("app").await;
    let delete = service.dynamodb.delete_item().table_name(&service.stack.options().table);
    delete.key("PK", item["PK"].clone()).key("SK", item["SK"].clone()).send().await.unwrap();
}

#[tokio::test]
async fn a_tag_that_becomes_immutable_before_the_commit_stays() {
    let service = Service::start().await;
    let a = service.push("app", &image("a"), Some("v1")).await.digest();
    service.upload_layers_of("app", &image("b")).await;
    let body = request("app", &image("b"), Some("v1"));
    let flip = service.change_repository("app", "mutability", mode("IMMUTABLE"));
    let response = put_meanwhile(&service, body, "TransactWriteItems", flip).await;
    response.is_error(400, "ImageTagAlreadyExistsException", &tag_immutable("v1"));
    assert_eq!(s(&service.tag_item("app", "v1").await.unwrap(), "digest"), a);
    assert!(service.image_item("app", &sha256(&image("b"))).await.is_none());
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn an_error_that_was_true_at_no_instant_is_not_returned() {
    let service = Service::start().await;
    service.push("app", &image("a"), Some("v1")).await;
    service.change_repository("app", "mutability", mode("IMMUTABLE")).await;
    service.upload_layers_of("app", &image("b")).await;
    let body = request("app", &image("b"), Some("v1"));
    let flip = service.change_repository("app", "mutability", mode("MUTABLE"));
    let response = put_meanwhile(&service, body, "TransactGetItems", flip).await;
    assert_eq!(response.digest(), sha256(&image("b")), "confirmed: it may move");
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn the_remembered_repository_is_not_trusted() {
    let service = Service::start().await;
    service.push("app", &image("a"), Some("v1")).await;
    delete_repository(&service).await;
    let body = request("app", &image("b"), Some("v1"));
    service.rejects(body.clone(), "RepositoryNotFoundException", &not_found("app")).await;

    // A new incarnation under the same name shows nothing of the first.
    service.create_repository("app", json!({})).await;
    service.upload_layers_of("app", &image("b")).await;
    assert_eq!(service.put(body).await.digest(), sha256(&image("b")));
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 1);
    service.counts_are_exact("app").await;
    assert_eq!(service.push("app", &image("a"), Some("v2")).await.status, 200);
}

#[tokio::test]
async fn a_process_that_remembers_an_older_incarnation_starts_again_at_once() {
    let service = Service::start().await;
    service.push("app", &image("a"), Some("v1")).await;
    delete_repository(&service).await;
    // Another process creates it again. This process still remembers the first incarnation.
    service.restarted().create_repository("app", json!({})).await;
    service.faults.reset_calls();
    assert_eq!(service.push("app", &image("a"), Some("v1")).await.status, 200);
    assert_eq!(service.faults.count("BatchGetItem"), 2);
    assert_eq!(service.faults.count("GetItem"), 0);
    assert_eq!(service.faults.count("TransactWriteItems"), 1);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn a_repository_recreated_before_the_commit_gets_the_whole_push() {
    let service = Service::start().await;
    let manifest = crate::large::image_of_bytes(70 * 1024);
    service.upload_layers_of("app", &manifest).await;
    let other = service.restarted();
    let again = async {
        delete_repository(&other).await;
        other.create_repository("app", json!({})).await;
    };
    let body = request("app", &manifest, Some("v1"));
    let response = put_meanwhile(&service, body, "TransactWriteItems", again).await;
    assert_eq!(response.digest(), sha256(&manifest));
    service.counts_are_exact("app").await;
    // The body was stored again for the second incarnation. The first one's body is an orphan.
    let repo_id = s(&service.repository_item("app").await, "repoId");
    let body_key = s(&service.image_item("app", &sha256(&manifest)).await.unwrap(), "bodyKey");
    assert!(body_key.starts_with(&format!("manifests/{repo_id}/")));
    assert_eq!(service.stored().await.bodies.len(), 2);
}

#[tokio::test]
async fn a_child_deleted_before_the_commit_is_missing() {
    let service = Service::start().await;
    service.push("app", &image("a"), None).await;
    let child = service.image_item("app", &sha256(&image("a"))).await.unwrap();
    let delete = async {
        let delete = service.dynamodb.delete_item().table_name(&service.stack.options().table);
        delete.key("PK", child["PK"].clone()).key("SK", child["SK"].clone()).send().await.unwrap();
    };
    let body = request("app", &index(&[&image("a")]), Some("v1"));
    let response = put_meanwhile(&service, body, "TransactWriteItems", delete).await;
    let message = images_not_found(&[&sha256(&image("a"))]);
    response.is_error(400, "ReferencedImagesNotFoundException", &message);
    assert!(service.tag_item("app", "v1").await.is_none());
}

/// An index of at least 91 children, which are plain items of the table.
struct BigIndex {
    children: Vec<String>,
    repo_id: String,
}

impl BigIndex {
    async fn new(service: &Service) -> Self {
        Self::of(service, 91).await
    }

    async fn of(service: &Service, children: usize) -> Self {
        let children = (0..children).map(|n| format!("child {n}")).collect();
        Self { children, repo_id: s(&service.repository_item("app").await, "repoId") }
    }

    fn key(&self, child: usize) -> [(&'static str, AttributeValue); 2] {
        let sk = format!("IMAGE#{}", sha256(&self.children[child]));
        [("PK", format!("R#{}", self.repo_id)), ("SK", sk)]
            .map(|(name, value)| (name, AttributeValue::S(value)))
    }

    async fn store(&self, service: &Service, child: usize) {
        service.put_image_item("app", &sha256(&self.children[child])).await;
    }

    async fn delete(&self, service: &Service, child: usize) {
        let [pk, sk] = self.key(child);
        let delete = service.dynamodb.delete_item().table_name(&service.stack.options().table);
        delete.key(pk.0, pk.1).key(sk.0, sk.1).send().await.unwrap();
        service.change_repository("app", "delEpoch", AttributeValue::N("1".into())).await;
    }

    fn request(&self) -> Value {
        let children: Vec<&str> = self.children.iter().map(String::as_str).collect();
        request("app", &index(&children), Some("v1"))
    }
}

#[tokio::test]
async fn a_big_index_sees_a_deletion_before_its_commit() {
    let service = Service::start().await;
    let index = BigIndex::new(&service).await;
    for child in 0..91 {
        index.store(&service, child).await;
    }
    let delete = index.delete(&service, 7);
    let response = put_meanwhile(&service, index.request(), "TransactWriteItems", delete).await;
    let message = images_not_found(&[&sha256("child 7")]);
    response.is_error(400, "ReferencedImagesNotFoundException", &message);

    index.store(&service, 7).await;
    assert_eq!(service.put(index.request()).await.status, 200, "deletions before it do no harm");
}

#[tokio::test]
async fn a_big_index_is_neither_rejected_nor_committed_by_children_that_never_existed_together() {
    // Once in a full repository, and once in one that is not full.
    for limit in [1, 1_000] {
        a_child_comes_and_another_goes(limit).await;
    }
}

async fn a_child_comes_and_another_goes(limit: u64) {
    let service = Service::with_quotas(limit, 10, 500).await;
    let index = BigIndex::new(&service).await;
    for child in 0..90 {
        index.store(&service, child).await;
    }
    service.change_repository("app", "imageCount", AttributeValue::N("1".into())).await;
    // Child 90 is missing at the read and present at the confirmation, when child 7 is missing.
    service.faults.script("TransactGetItems", [None]);
    let swap = async {
        index.delete(&service, 7).await;
        index.store(&service, 90).await;
    };
    let response = put_meanwhile(&service, index.request(), "TransactGetItems", swap).await;
    let message = images_not_found(&[&sha256("child 7")]);
    response.is_error(400, "ReferencedImagesNotFoundException", &message);
    assert!(service.tag_item("app", "v1").await.is_none());
}

#[tokio::test]
async fn children_stored_before_the_confirmation_are_not_missing() {
    let service = Service::start().await;
    // One more than the confirmation can read.
    let index = BigIndex::of(&service, 98).await;
    // The first transaction reads the children, the second confirms.
    service.faults.script("TransactGetItems", [None]);
    let store = async {
        join_all((0..98).map(|child| index.store(&service, child))).await;
    };
    let response = put_meanwhile(&service, index.request(), "TransactGetItems", store).await;
    assert_eq!(response.status, 200, "{}", response.text);
}

#[tokio::test]
async fn a_confirmation_in_another_incarnation_of_the_repository_does_not_count() {
    let service = Service::with(|_| {}).await;
    let immutable = || json!({ "imageTagMutability": "IMMUTABLE" });
    service.create_repository("app", immutable()).await;
    service.push("app", &image("a"), Some("v1")).await;
    service.upload_layers_of("app", &image("b")).await;
    let replace = async {
        delete_repository(&service).await;
        service.restarted().create_repository("app", immutable()).await;
    };
    let body = request("app", &image("b"), Some("v1"));
    let response = put_meanwhile(&service, body, "TransactGetItems", replace).await;
    assert_eq!(response.digest(), sha256(&image("b")));
    assert_eq!(s(&service.tag_item("app", "v1").await.unwrap(), "digest"), sha256(&image("b")));
}

#[tokio::test]
async fn racers_with_the_same_push_store_it_once() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    service.faults.conflicts(Duration::from_millis(1)..Duration::from_millis(10));
    let body = request("app", &image("a"), Some("v1"));
    let responses = join_all((0..8).map(|_| service.put(body.clone()))).await;
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 1);
    for loser in responses.iter().filter(|response| response.status != 200) {
        let message = already_exists(&sha256(&image("a")), Some("v1"));
        loser.is_error(400, "ImageAlreadyExistsException", &message);
    }
    service.counts_are_exact("app").await;
}
