//! Quotas: what is refused at them, and that no race overshoots one.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::*;

const CODE: &str = "LimitExceededException";

fn full(images: usize) -> String {
    format!(
        "The repository with name 'app' in registry with id '{ACCOUNT}' already has the maximum \
         allowed number of images which is '{images}'"
    )
}

fn too_many_tags(tag: &str, tags: usize) -> String {
    format!(
        "Adding tag '{tag}' to an image in the repository with name 'app' in registry with id \
         '{ACCOUNT}' exceeds the maximum allowed number of tags per image which is '{tags}'"
    )
}

#[tokio::test]
async fn a_full_repository_takes_no_new_image_but_new_tags() {
    let service = Service::with_quotas(2, 3, 500).await;
    service.push("app", &image("a"), Some("a")).await;
    service.push("app", &image("b"), None).await;
    service.upload_layers_of("app", &image("c")).await;
    service.refuses(request("app", &image("c"), Some("c")), CODE, &full(2)).await;
    service.refuses(request("app", &image("c"), Some("a")), CODE, &full(2)).await;
    service.refuses(request("app", &index(&[&image("a")]), Some("i")), CODE, &full(2)).await;
    assert_eq!(service.put(request("app", &image("b"), Some("a"))).await.status, 200);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn missing_layers_come_before_the_limit() {
    let service = Service::with_quotas(1, 3, 500).await;
    service.push("app", &image("a"), Some("a")).await;
    let answer = service.put(request("app", &image("c"), Some("c"))).await;
    assert_eq!(answer.json["__type"], "LayersNotFoundException");
}

#[tokio::test]
async fn an_image_takes_so_many_tags() {
    let service = Service::with_quotas(10, 2, 500).await;
    service.push("app", &image("a"), Some("1")).await;
    service.put(request("app", &image("a"), Some("2"))).await;
    let body = request("app", &image("a"), Some("3"));
    service.refuses(body, CODE, &too_many_tags("3", 2)).await;
    // A tag that it has is no further one; a tag of another image is.
    service.push("app", &image("b"), Some("b")).await;
    service.refuses(request("app", &image("a"), Some("b")), CODE, &too_many_tags("b", 2)).await;
    let again = request("app", &image("a"), Some("2"));
    let message = already_exists(&sha256(&image("a")), Some("2"));
    service.refuses(again, "ImageAlreadyExistsException", &message).await;
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn the_quota_of_layers_is_the_operators() {
    let service = Service::with_quotas(10, 10, 2).await;
    let layers = |count| image_of(&vec![layer("same"); count], "a");
    let message = invalid("ImageManifest", "Limit on number of layers per image exceeded");
    let body = request("app", &layers(3), Some("v1"));
    service.refuses(body, "InvalidParameterException", &message).await;
    service.push("app", &layers(2), Some("v1")).await;
}

#[tokio::test]
async fn racers_fill_a_repository_exactly() {
    let service = Service::with_quotas(5, 10, 500).await;
    for n in 0..12 {
        service.upload_layers_of("app", &image(&format!("{n}"))).await;
    }
    let puts =
        (0..12).map(|n| {
            let service = service.clone();
            async move {
                service.put(request("app", &image(&format!("{n}")), Some(&format!("{n}")))).await
            }
        });
    let answers = join_all(puts).await;
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(stored, 5);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.is_refusal(400, CODE, &full(5));
    }
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 5);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn racers_fill_an_image_with_tags_exactly() {
    let service = Service::with_quotas(5, 4, 500).await;
    service.push("app", &image("a"), None).await;
    let puts = (0..9).map(|n| {
        let service = service.clone();
        async move { service.put(request("app", &image("a"), Some(&format!("t{n}")))).await }
    });
    let answers = join_all(puts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 4);
    let refused = answers.iter().filter(|answer| answer.json["__type"] == json!(CODE)).count();
    assert_eq!(refused, 5);
    service.counts_are_exact("app").await;
}
