//! Indexes and manifest lists: their children are images of the repository.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use local_aws::Fault;
use serde_json::{Value, json};

use crate::harness::*;

const CODE: &str = "ReferencedImagesNotFoundException";

/// Stores `count` small images without a tag. Returns their manifests.
pub(crate) async fn images(service: &Service, count: usize) -> Vec<String> {
    service.upload_layer("app", &sha256("layer")).await;
    let mut manifests = Vec::new();
    for n in 0..count {
        let mut config = layer("layer");
        config["annotations"] = json!({ "n": n });
        let manifest = image_of(&[config], "shared");
        service.upload_layer("app", &sha256("config of shared")).await;
        assert_eq!(service.put(request("app", &manifest, None)).await.status, 200);
        manifests.push(manifest);
    }
    manifests
}

pub(crate) fn of(manifests: &[String]) -> String {
    index(&manifests.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn references(service: &Service, manifest: &str) -> usize {
    n(&service.image_item("app", &sha256(manifest)).await.unwrap(), "refCount")
}

#[tokio::test]
async fn keys_that_a_batch_leaves_out_are_read_again() {
    let service = Service::start().await;
    let children: Vec<String> = (0..45).map(|n| format!("child {n}")).collect();
    for child in &children {
        service.put_image_item("app", &sha256(child)).await;
    }
    service.faults.script("BatchGetItem", [5, 3].map(|keys| Some(Fault::LeaveOut(keys))));
    let response = service.put(request("app", &of(&children), Some("v1"))).await;
    assert_eq!(response.status, 200, "{}", response.text);
    let calls = service.faults.calls();
    let requests: Vec<Vec<Value>> = calls
        .iter()
        .filter(|call| call.operation == "BatchGetItem")
        .map(|call| {
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            body["RequestItems"]["ecr"]["Keys"].as_array().unwrap().clone()
        })
        .collect();
    let [all, five, three] = &requests[..] else { panic!("{} batches", requests.len()) };
    assert!(all.ends_with(five) && five.len() == 5);
    assert!(five.ends_with(three) && three.len() == 3);
    assert_eq!(service.faults.count("TransactGetItems"), 0, "nothing seemed to be missing");
}

#[tokio::test]
async fn every_child_must_be_an_image_of_the_repository() {
    let service = Service::start().await;
    let children = images(&service, 2).await;
    let (x, y) = (image("x"), image("y"));
    let index = index(&[&y, &children[0], &x, &y, &children[1]]);
    let message = images_not_found(&[&sha256(&y), &sha256(&x)]);
    service.rejects(request("app", &index, Some("v1")), CODE, &message).await;

    // A child in another repository does not count, nor does an uploaded blob.
    service.create_repository("other", json!({})).await;
    service.push("other", &x, None).await;
    service.upload_layer("app", &sha256(&x)).await;
    service.rejects(request("app", &index, Some("v1")), CODE, &message).await;

    service.push("app", &x, None).await;
    service.push("app", &y, Some("y")).await;
    let response = service.put(request("app", &index, Some("v1"))).await;
    assert_eq!(response.json["image"]["imageManifestMediaType"], OCI_INDEX);
    for child in [&y, &children[0], &x, &children[1]] {
        assert_eq!(references(&service, child).await, 1, "named twice or not, one reference");
    }
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn an_index_may_be_empty_or_hold_indexes() {
    let service = Service::start().await;
    let empty = index(&[]);
    assert_eq!(service.put(request("app", &empty, Some("empty"))).await.status, 200);
    let outer = index(&[&empty]);
    assert_eq!(service.put(request("app", &outer, None)).await.status, 200);
    assert_eq!(references(&service, &empty).await, 1);
    assert_eq!(service.faults.count("HeadObject"), 0, "an index has no layers");
    // A manifest list behaves the same.
    let list = index(&[&outer])
        .replace(OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json");
    assert_eq!(service.put(request("app", &list, Some("list"))).await.status, 200);
}

#[tokio::test]
async fn a_sha512_child_is_always_missing() {
    let service = Service::start().await;
    let digest = format!("sha512:{}", "0".repeat(128));
    let index = index(&["x"]).replace(&sha256("x"), &digest);
    let message = images_not_found(&[&digest]);
    service.rejects(request("app", &index, Some("v1")), CODE, &message).await;
}

#[tokio::test]
async fn a_tag_moves_from_a_child_to_its_own_index() {
    let service = Service::start().await;
    let child = image("child");
    service.push("app", &child, Some("v1")).await;
    let index = index(&[&child]);
    let response = service.put(request("app", &index, Some("v1"))).await;
    assert_eq!(response.status, 200, "{}", response.text);
    let child = service.image_item("app", &sha256(&child)).await.unwrap();
    assert_eq!((n(&child, "tagCount"), n(&child, "refCount")), (0, 1));
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn an_index_that_is_stored_takes_a_tag_without_counting_its_children_again() {
    let service = Service::start().await;
    let children = images(&service, 2).await;
    let index = of(&children);
    service.put(request("app", &index, None)).await;
    service.put(request("app", &index, Some("v1"))).await;
    assert_eq!(references(&service, &children[0]).await, 1);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn ninety_children_are_counted_and_more_are_guarded() {
    let service = Service::start().await;
    let children = images(&service, 120).await;
    assert_eq!(service.put(request("app", &of(&children[..90]), Some("90"))).await.status, 200);
    for child in [&children[0], &children[89]] {
        assert_eq!(references(&service, child).await, 1);
    }
    assert_eq!(references(&service, &children[90]).await, 0);
    assert!(!service.repository_item("app").await.contains_key("bigIndexes"));

    let response = service.put(request("app", &of(&children), Some("120"))).await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(references(&service, &children[90]).await, 0);
    let meta = service.repository_item("app").await;
    assert_eq!(meta["bigIndexes"].as_ss().unwrap(), &[sha256(&of(&children))]);
    assert_eq!(n(&meta, "imageCount"), 122);
    service.counts_are_exact("app").await;

    // The index is stored now. It gets another tag, and no second entry.
    assert_eq!(service.put(request("app", &of(&children), Some("again"))).await.status, 200);
    let body = request("app", &of(&children), Some("again"));
    let message = already_exists(&sha256(&of(&children)), Some("again"));
    service.rejects(body, "ImageAlreadyExistsException", &message).await;
    assert_eq!(service.repository_item("app").await["bigIndexes"].as_ss().unwrap().len(), 1);
}

#[tokio::test]
async fn all_missing_children_of_a_big_index_are_named() {
    let service = Service::start().await;
    let there = images(&service, 1).await;
    let absent: Vec<String> = (0..250).map(|n| format!("absent {n}")).collect();
    let mut children = absent.clone();
    children.insert(120, there[0].clone());
    let digests: Vec<String> = absent.iter().map(|text| sha256(text)).collect();
    let message = images_not_found(&digests.iter().map(String::as_str).collect::<Vec<_>>());
    service.rejects(request("app", &of(&children), Some("v1")), CODE, &message).await;
}

#[tokio::test]
async fn a_repository_holds_a_hundred_big_indexes() {
    let service = Service::start().await;
    let children = images(&service, 91).await;
    let held: Vec<String> = (0..99).map(|n| sha256(&format!("held {n}"))).collect();
    service.change_repository("app", "bigIndexes", AttributeValue::Ss(held)).await;
    assert_eq!(service.put(request("app", &of(&children), Some("v1"))).await.status, 200);
    assert_eq!(service.repository_item("app").await["bigIndexes"].as_ss().unwrap().len(), 100);

    let another = format!("{} ", of(&children));
    let message = format!(
        "The repository with name 'app' in registry with id '{ACCOUNT}' already has the maximum \
         allowed number of images with more than 90 children which is '100'"
    );
    service.rejects(request("app", &another, Some("v2")), "LimitExceededException", &message).await;
    // A small index does not count as one of them.
    let small = of(&children[..90]);
    assert_eq!(service.put(request("app", &small, Some("v3"))).await.status, 200);
}

#[tokio::test]
async fn children_are_read_together_with_the_other_items() {
    let service = Service::start().await;
    let children = images(&service, 3).await;
    service.faults.reset_calls();
    service.put(request("app", &of(&children), Some("v1"))).await;
    let operations: BTreeSet<String> =
        service.faults.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, BTreeSet::from(["BatchGetItem".into(), "TransactWriteItems".into()]));
    assert_eq!(service.faults.calls().len(), 2);
}
