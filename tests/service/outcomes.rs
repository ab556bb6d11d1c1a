//! The outcome of a push, depending on what was stored before.

use serde_json::json;

use crate::harness::*;

#[tokio::test]
async fn a_new_image_is_stored_and_tagged() {
    let service = Service::start().await;
    let manifest = image("a");
    let milliseconds = || usize::try_from(since_1970().as_millis()).unwrap();
    let before = milliseconds();
    let response = service.push("app", &manifest, Some("v1")).await;
    let after = milliseconds();
    let digest = sha256(&manifest);
    assert_eq!(
        response.json["image"],
        json!({
            "registryId": ACCOUNT,
            "repositoryName": "app",
            "imageId": { "imageDigest": digest, "imageTag": "v1" },
            "imageManifest": manifest,
            "imageManifestMediaType": OCI_IMAGE,
        })
    );
    let image = service.image_item("app", &digest).await.unwrap();
    assert_eq!((n(&image, "tagCount"), n(&image, "refCount")), (1, 0));
    assert_eq!(s(&image, "registryId"), ACCOUNT);
    assert_eq!(s(&image, "repositoryName"), "app");
    assert_eq!(s(&image, "encryption"), "AES256");
    assert_eq!(s(&image, "putId").len(), 32);
    assert!((before..=after).contains(&n(&image, "pushedAt")));
    assert!(!image.contains_key("bodyKey"));
    let tag = service.tag_item("app", "v1").await.unwrap();
    assert_eq!(s(&tag, "digest"), digest);
    assert_eq!(s(&tag, "putId"), s(&image, "putId"));
    assert_eq!(n(&tag, "at"), n(&image, "pushedAt"));
    let body = service.manifest_item("app", &digest).await.unwrap();
    assert_eq!(body["body"].as_b().unwrap().as_ref(), manifest.as_bytes());
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 1);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn the_same_push_again_changes_nothing_whatever_the_mutability() {
    let service = Service::start().await;
    service.push("app", &image("a"), Some("v1")).await;
    for mode in ["MUTABLE", "IMMUTABLE"] {
        let value = aws_sdk_dynamodb::types::AttributeValue::S(mode.into());
        service.change_repository("app", "mutability", value).await;
        let message = already_exists(&sha256(&image("a")), Some("v1"));
        let body = request("app", &image("a"), Some("v1"));
        service.rejects(body, "ImageAlreadyExistsException", &message).await;
    }
}

#[tokio::test]
async fn a_stored_image_takes_another_tag_and_stays_as_it_is() {
    let service = Service::start().await;
    let manifest = image("a");
    let digest = service.push("app", &manifest, Some("v1")).await.digest();
    let before = service.image_item("app", &digest).await.unwrap();
    let body = service.manifest_item("app", &digest).await.unwrap();

    assert_eq!(service.put(request("app", &manifest, Some("v2"))).await.digest(), digest);
    let mut expected = before.clone();
    expected.insert("tagCount".into(), aws_sdk_dynamodb::types::AttributeValue::N("2".into()));
    assert_eq!(service.image_item("app", &digest).await.unwrap(), expected);
    assert_eq!(service.manifest_item("app", &digest).await.unwrap(), body);
    for tag in ["v1", "v2"] {
        assert_eq!(s(&service.tag_item("app", tag).await.unwrap(), "digest"), digest);
    }
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 1);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn a_mutable_tag_moves_to_a_new_image_and_back() {
    let service = Service::start().await;
    let a = service.push("app", &image("a"), Some("v1")).await.digest();
    service.put(request("app", &image("a"), Some("other"))).await;
    let b = service.push("app", &image("b"), Some("v1")).await.digest();
    let tagged = |item: Option<Item>| n(&item.unwrap(), "tagCount");
    assert_eq!(s(&service.tag_item("app", "v1").await.unwrap(), "digest"), b);
    assert_eq!(tagged(service.image_item("app", &a).await), 1);
    assert_eq!(tagged(service.image_item("app", &b).await), 1);
    assert_eq!(s(&service.tag_item("app", "other").await.unwrap(), "digest"), a);

    // The old image is stored, so moving its tag back needs no layers.
    assert_eq!(service.put(request("app", &image("a"), Some("v1"))).await.digest(), a);
    assert_eq!(tagged(service.image_item("app", &a).await), 2);
    assert_eq!(tagged(service.image_item("app", &b).await), 0, "untagged, and still there");
    assert!(service.manifest_item("app", &b).await.is_some());
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn an_immutable_tag_stays() {
    let service = Service::start().await;
    service.create_repository("fixed", json!({ "imageTagMutability": "IMMUTABLE" })).await;
    service.push("fixed", &image("a"), Some("v1")).await;
    service.upload_layers_of("fixed", &image("b")).await;
    let message = tag_immutable("v1").replace("'app'", "'fixed'");
    let code = "ImageTagAlreadyExistsException";
    service.rejects(request("fixed", &image("b"), Some("v1")), code, &message).await;
    // Nor does it move to a stored image.
    service.push("fixed", &image("b"), Some("v2")).await;
    service.rejects(request("fixed", &image("b"), Some("v1")), code, &message).await;
    service.counts_are_exact("fixed").await;
}

#[tokio::test]
async fn exclusion_filters_invert_the_rule() {
    let service = Service::start().await;
    let filters = json!([
        { "filterType": "WILDCARD", "filter": "dev-*" },
        { "filterType": "WILDCARD", "filter": "latest" },
    ]);
    for (name, mode) in
        [("mostly-fixed", "IMMUTABLE_WITH_EXCLUSION"), ("mostly-free", "MUTABLE_WITH_EXCLUSION")]
    {
        let settings =
            json!({ "imageTagMutability": mode, "imageTagMutabilityExclusionFilters": filters });
        service.create_repository(name, settings).await;
        for (tag, excluded) in [
            ("dev-1", true),
            ("dev-", true),
            ("latest", true),
            ("latest2", false),
            ("Dev-1", false),
        ] {
            service.push(name, &image(&format!("a {tag}")), Some(tag)).await;
            service.upload_layers_of(name, &image(&format!("b {tag}"))).await;
            let body = request(name, &image(&format!("b {tag}")), Some(tag));
            if excluded == (mode == "IMMUTABLE_WITH_EXCLUSION") {
                assert_eq!(service.put(body).await.status, 200, "{mode} {tag}");
            } else {
                let message = tag_immutable(tag).replace("'app'", &format!("'{name}'"));
                service.rejects(body, "ImageTagAlreadyExistsException", &message).await;
            }
        }
        service.counts_are_exact(name).await;
    }
}

#[tokio::test]
async fn an_image_without_a_tag_is_stored_by_its_digest_once() {
    let service = Service::start().await;
    let manifest = image("a");
    let response = service.push("app", &manifest, None).await;
    assert_eq!(response.json["image"]["imageId"], json!({ "imageDigest": sha256(&manifest) }));
    assert_eq!(n(&service.image_item("app", &sha256(&manifest)).await.unwrap(), "tagCount"), 0);
    let message = already_exists(&sha256(&manifest), None);
    let code = "ImageAlreadyExistsException";
    service.rejects(request("app", &manifest, None), code, &message).await;
    // Nor again once the image has a tag.
    service.put(request("app", &manifest, Some("v1"))).await;
    service.rejects(request("app", &manifest, None), code, &message).await;
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn a_newline_makes_another_image() {
    let service = Service::start().await;
    let a = service.push("app", &image("a"), Some("v1")).await.digest();
    let b = service.push("app", &format!("{}\n", image("a")), Some("v2")).await.digest();
    assert_ne!(a, b);
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 2);
}

#[tokio::test]
async fn repositories_do_not_see_each_other() {
    let service = Service::start().await;
    service.create_repository("other", json!({})).await;
    service.push("app", &image("a"), Some("v1")).await;
    let layers = digests_in(&image("a"));
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let message = layers_not_found(&layers).replace("'app'", "'other'");
    let body = request("other", &image("a"), Some("v1"));
    service.rejects(body, "LayersNotFoundException", &message).await;
    assert_eq!(service.push("other", &image("a"), Some("v1")).await.status, 200);
}

#[tokio::test]
async fn a_repository_that_is_missing_or_not_active_is_not_found() {
    let service = Service::start().await;
    let code = "RepositoryNotFoundException";
    service.rejects(request("nowhere", &image("a"), Some("v1")), code, &not_found("nowhere")).await;
    service.push("app", &image("a"), Some("v1")).await;
    let deleting = aws_sdk_dynamodb::types::AttributeValue::S("DELETING".into());
    service.change_repository("app", "status", deleting).await;
    let body = request("app", &image("b"), Some("v1"));
    service.rejects(body.clone(), code, &not_found("app")).await;
    service.restarted().rejects(body, code, &not_found("app")).await;
}
