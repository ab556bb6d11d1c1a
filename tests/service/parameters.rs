//! Parameters, their constraints, and which error is reported first.

use serde_json::{Value, json};

use crate::harness::*;

const CODE: &str = "InvalidParameterException";
const REPOSITORY: &str = "must satisfy regular expression \
    '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'";

fn with(member: &str, value: Value) -> Value {
    let mut body = request("app", &image("a"), Some("v1"));
    body[member] = value;
    body
}

#[tokio::test]
async fn every_constraint_has_its_message() {
    let service = Service::start().await;
    let long = |n: usize| json!("a".repeat(n));
    let rows = [
        ("repositoryName", json!("App"), REPOSITORY),
        ("repositoryName", json!("app/"), REPOSITORY),
        ("repositoryName", json!("a..b"), REPOSITORY),
        ("repositoryName", json!("app\n"), REPOSITORY),
        ("repositoryName", json!("a"), "must have length greater than or equal to 2"),
        ("repositoryName", json!(""), "must have length greater than or equal to 2"),
        ("repositoryName", long(257), "must have length less than or equal to 256"),
        ("repositoryName", Value::Null, "must not be null"),
        ("registryId", json!("12345678901"), "must satisfy regular expression [0-9]{12}"),
        ("registryId", json!("1234567890123"), "must satisfy regular expression [0-9]{12}"),
        ("registryId", json!("١٢٣٤٥٦٧٨٩٠١٢"), "must satisfy regular expression [0-9]{12}"),
        ("registryId", json!(""), "must satisfy regular expression [0-9]{12}"),
        ("imageManifest", Value::Null, "must not be null"),
        ("imageManifest", json!(""), "must have length greater than or equal to 1"),
        ("imageTag", json!(""), "must have length greater than or equal to 1"),
        ("imageTag", long(301), "must have length less than or equal to 300"),
        ("imageTag", json!("a/b"), "must satisfy regular expression '[a-zA-Z0-9-_.]+'"),
        ("imageTag", json!("é"), "must satisfy regular expression '[a-zA-Z0-9-_.]+'"),
        (
            "imageDigest",
            json!("sha256"),
            "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        ),
        (
            "imageDigest",
            json!("sha256:xyz"),
            "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        ),
        (
            "imageDigest",
            json!(""),
            "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        ),
    ];
    for (parameter, value, constraint) in rows {
        service.rejects(with(parameter, value), CODE, &invalid(parameter, constraint)).await;
    }
}

#[tokio::test]
async fn a_manifest_is_counted_in_characters() {
    let service = Service::start().await;
    let too_long = invalid("imageManifest", "must have length less than or equal to 4194304");
    service.rejects(with("imageManifest", json!("a".repeat(4_194_305))), CODE, &too_long).await;
    // Twice as many bytes, but not too many characters. The error is that it is not JSON.
    let not_json = invalid("ImageManifest", "Invalid JSON syntax");
    service.rejects(with("imageManifest", json!("é".repeat(2_500_000))), CODE, &not_json).await;
}

#[tokio::test]
async fn the_first_error_in_the_order_of_the_members_is_returned() {
    let service = Service::start().await;
    let order = ["repositoryName", "registryId", "imageManifest", "imageTag", "imageDigest"];
    let bad = [json!("A"), json!("1"), json!(""), json!("/"), json!("-")];
    for first in 0..order.len() {
        let mut body = request("app", &image("a"), Some("v1"));
        for (member, value) in order.iter().zip(&bad).skip(first) {
            body[*member] = value.clone();
        }
        let response = service.put(body).await;
        assert_eq!(response.json["__type"], CODE);
        let prefix = format!("Invalid parameter at '{}'", order[first]);
        assert!(response.text.contains(&prefix), "{}", response.text);
    }
}

#[tokio::test]
async fn names_at_their_bounds_are_accepted() {
    let service = Service::start().await;
    let name = format!("{}/b__c.d--e_f", "a".repeat(244));
    assert_eq!(name.len(), 256);
    service.create_repository(&name, json!({})).await;
    let manifest = image("a");
    let tag = "t".repeat(300);
    let response = service.push(&name, &manifest, Some(&tag)).await;
    assert_eq!(response.json["image"]["repositoryName"], name);
    assert_eq!(response.json["image"]["imageId"]["imageTag"], tag);
    assert!(service.tag_item(&name, &tag).await.is_some());
}

#[tokio::test]
async fn all_but_schema_1_need_a_tag_or_a_digest() {
    let service = Service::start().await;
    let untagged = |manifest: &str| json!({ "repositoryName": "app", "imageManifest": manifest });
    let message = invalid("ImageTag", "You must specify the image tag for this image type");
    service.rejects(untagged(&image("a")), CODE, &message).await;
    service.rejects(untagged(&index(&[])), CODE, &message).await;
    // An invalid manifest is reported first.
    for (manifest, constraint) in [
        (format!("{}x", image("a")), "Invalid JSON syntax"),
        (image_of(&[], "a"), "Image has to have at least 1 layer"),
    ] {
        let message = invalid("ImageManifest", constraint);
        service.rejects(untagged(&manifest), CODE, &message).await;
    }

    let schema_1 = json!({ "schemaVersion": 1, "fsLayers": [{ "blobSum": sha256("layer") }] });
    service.upload_layer("app", &sha256("layer")).await;
    let response = service.put(untagged(&schema_1.to_string())).await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(
        response.json["image"]["imageId"],
        json!({ "imageDigest": sha256(&schema_1.to_string()) })
    );
    let stored = service.image_item("app", &response.digest()).await.unwrap();
    assert_eq!(n(&stored, "tagCount"), 0);
}

#[tokio::test]
async fn the_expected_digest_is_compared_byte_for_byte() {
    let service = Service::start().await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let digest = sha256(&manifest);
    let sha512 = format!("sha512:{}", "0".repeat(128));
    let others = [sha256("other"), digest.to_uppercase().replace("SHA", "sha"), sha512];
    for supplied in others {
        let mut body = request("app", &manifest, Some("v1"));
        body["imageDigest"] = json!(supplied);
        let message = format!(
            "The image with digest '{supplied}' in repository 'app' and registry ID '{ACCOUNT}' \
             does not match the image digest that Amazon ECR has calculated."
        );
        service.rejects(body, "ImageDigestDoesNotMatchException", &message).await;
    }
    let mut body = request("app", &manifest, Some("v1"));
    body["imageDigest"] = json!(digest);
    assert_eq!(service.put(body).await.digest(), digest);
}

#[tokio::test]
async fn of_several_errors_the_first_in_the_outcome_table_is_returned() {
    let service = Service::start().await;
    service.create_repository("fixed", json!({ "imageTagMutability": "IMMUTABLE" })).await;
    let wrong_digest = |repository: &str, manifest: &str| {
        let mut body = request(repository, manifest, Some("v1"));
        body["imageDigest"] = json!(sha256("something else"));
        body
    };

    // The repository before the manifest, the missing tag and the digest.
    let nowhere = not_found("nowhere");
    let code = "RepositoryNotFoundException";
    service.rejects(request("nowhere", "not json", Some("v1")), code, &nowhere).await;
    service.rejects(wrong_digest("nowhere", &image("a")), code, &nowhere).await;
    let untagged = json!({ "repositoryName": "nowhere", "imageManifest": image("a") });
    service.rejects(untagged, code, &nowhere).await;
    let mut unknown_type = request("nowhere", &image("a"), Some("v1"));
    unknown_type["imageManifestMediaType"] = json!("text/plain");
    service.rejects(unknown_type, code, &nowhere).await;
    // A constraint before the repository.
    let bad_tag = request("nowhere", &image("a"), Some("a/b"));
    let message = invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9-_.]+'");
    service.rejects(bad_tag, CODE, &message).await;
    // The manifest before the digest.
    let message = invalid("ImageManifest", "Invalid JSON syntax");
    service.rejects(wrong_digest("app", "not json"), CODE, &message).await;
    // The digest before what is stored and what is missing.
    let response = service.put(wrong_digest("app", &image("a"))).await;
    assert_eq!(response.json["__type"], "ImageDigestDoesNotMatchException");
    // The tag before the layers.
    service.push("fixed", &image("a"), Some("v1")).await;
    let response = service.put(request("fixed", &image("b"), Some("v1"))).await;
    assert_eq!(response.json["__type"], "ImageTagAlreadyExistsException");
    // Already exists before the tag's immutability.
    let response = service.put(request("fixed", &image("a"), Some("v1"))).await;
    assert_eq!(response.json["__type"], "ImageAlreadyExistsException");
}
