//! Quotas: what is rejected when they are reached. `contention` shows that no race exceeds one.

use crate::harness::*;

pub(crate) const CODE: &str = "LimitExceededException";

pub(crate) fn full(images: usize) -> String {
    format!(
        "The repository with name 'app' in registry with id '{ACCOUNT}' already has the maximum \
         allowed number of images which is '{images}'"
    )
}

pub(crate) fn too_many_tags(tag: &str, tags: usize) -> String {
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
    service.rejects(request("app", &image("c"), Some("c")), CODE, &full(2)).await;
    service.rejects(request("app", &image("c"), Some("a")), CODE, &full(2)).await;
    service.rejects(request("app", &index(&[&image("a")]), Some("i")), CODE, &full(2)).await;
    assert_eq!(service.put(request("app", &image("b"), Some("a"))).await.status, 200);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn missing_layers_come_before_the_limit() {
    let service = Service::with_quotas(1, 3, 500).await;
    service.push("app", &image("a"), Some("a")).await;
    let response = service.put(request("app", &image("c"), Some("c"))).await;
    assert_eq!(response.json["__type"], "LayersNotFoundException");
}

#[tokio::test]
async fn an_image_takes_no_more_tags_than_the_quota() {
    let service = Service::with_quotas(10, 2, 500).await;
    service.push("app", &image("a"), Some("1")).await;
    service.put(request("app", &image("a"), Some("2"))).await;
    let body = request("app", &image("a"), Some("3"));
    service.rejects(body, CODE, &too_many_tags("3", 2)).await;
    // A tag that the image has already is not a further tag. A tag of another image is.
    service.push("app", &image("b"), Some("b")).await;
    service.rejects(request("app", &image("a"), Some("b")), CODE, &too_many_tags("b", 2)).await;
    let again = request("app", &image("a"), Some("2"));
    let message = already_exists(&sha256(&image("a")), Some("2"));
    service.rejects(again, "ImageAlreadyExistsException", &message).await;
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn the_operator_sets_the_quota_of_layers() {
    let service = Service::with_quotas(10, 10, 2).await;
    let layers = |count| image_of(&vec![layer("same"); count], "a");
    let message = invalid("ImageManifest", "Limit on number of layers per image exceeded");
    let body = request("app", &layers(3), Some("v1"));
    service.rejects(body, "InvalidParameterException", &message).await;
    service.push("app", &layers(2), Some("v1")).await;
}
