//! Large manifests: where they are stored, and that they come back byte for byte.

use std::fmt::Write as _;

use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local_aws::Fault;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::harness::*;

/// The API's limit.
const MAX: usize = 4_194_304;

/// An image's manifest of exactly this many bytes: one layer, and annotations.
pub(crate) fn image_of_bytes(bytes: usize) -> String {
    let mut manifest = image("large");
    manifest.pop();
    manifest.push_str(r#","annotations":{"a":"b""#);
    let mut n = 0;
    while manifest.len() + 120 < bytes {
        write!(manifest, r#","org.example.annotation.{n}":"{n:060}""#).unwrap();
        n += 1;
    }
    let rest = bytes - manifest.len() - r#","z":""}}"#.len();
    write!(manifest, r#","z":"{}"}}}}"#, "z".repeat(rest)).unwrap();
    assert_eq!(manifest.len(), bytes);
    manifest
}

/// A body's bytes. They were stored with their SHA-256 as checksum.
pub(crate) async fn body(service: &Service, key: &str) -> Vec<u8> {
    let bucket = &service.stack.options().manifest_bucket;
    let get = service.s3.get_object().bucket(bucket).key(key);
    let object = get.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    let checksum = object.checksum_sha256.unwrap();
    let bytes = object.body.collect().await.unwrap().to_vec();
    assert_eq!(checksum, BASE64_STANDARD.encode(Sha256::digest(&bytes)));
    bytes
}

#[tokio::test]
async fn both_sides_of_64_kib_are_stored_whole() {
    let service = Service::start().await;
    for (bytes, spilled) in [(64 * 1024, false), (64 * 1024 + 1, true)] {
        let manifest = image_of_bytes(bytes);
        let response = service.push("app", &manifest, Some("v1")).await;
        let image = service.image_item("app", &response.digest()).await.unwrap();
        assert_eq!(n(&image, "manifestBytes"), bytes);
        let inline = service.manifest_item("app", &response.digest()).await;
        assert_eq!(inline.is_none(), spilled);
        let stored = match inline {
            Some(item) => item["body"].as_b().unwrap().as_ref().to_vec(),
            None => body(&service, &s(&image, "bodyKey")).await,
        };
        assert_eq!(stored, manifest.as_bytes());
        let hex = response.digest().replace("sha256:", "");
        if spilled {
            let repo_id = s(&service.repository_item("app").await, "repoId");
            let key = format!("manifests/{repo_id}/{hex}/{}", s(&image, "putId"));
            assert_eq!(s(&image, "bodyKey"), key);
        }
    }
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn a_manifest_of_4_mib_comes_back_byte_for_byte() {
    let service = Service::start().await;
    let manifest = image_of_bytes(MAX);
    let response = service.push("app", &manifest, Some("v1")).await;
    assert_eq!(response.digest(), sha256(&manifest));
    assert_eq!(response.json["image"]["imageManifest"], manifest.as_str());
    let image = service.image_item("app", &response.digest()).await.unwrap();
    assert_eq!(body(&service, &s(&image, "bodyKey")).await, manifest.as_bytes());
    // Pushed again, it is not stored again.
    let message = already_exists(&response.digest(), Some("v1"));
    let body = request("app", &manifest, Some("v1"));
    service.rejects(body, "ImageAlreadyExistsException", &message).await;
    assert_eq!(service.put(request("app", &manifest, Some("v2"))).await.status, 200);
    assert_eq!(service.stored().await.bodies.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_stored_is_not_committed() {
    let service = Service::start().await;
    let manifest = image_of_bytes(70 * 1024);
    service.upload_layers_of("app", &manifest).await;
    let error = |status, code| Fault::Answer { status, code, message: "arn:aws:s3:::manifests" };
    let before = service.items().await;
    for (fault, requests) in [
        (error(301, "PermanentRedirect"), 1),
        (error(400, "InvalidRequest"), 1),
        (error(400, "BadDigest"), 1),
        (error(403, "AccessDenied"), 1),
        (error(404, "NoSuchBucket"), 1),
        (error(400, "RequestTimeout"), 3),
        (error(429, "TooManyRequests"), 3),
        (error(500, "InternalError"), 3),
        (error(503, "SlowDown"), 3),
        (Fault::Garbage(502), 3),
        (Fault::DropBefore, 3),
        (Fault::DropAfter, 3),
        (Fault::Refuse, 3),
    ] {
        let service = service.restarted();
        service.faults.reset_calls();
        service.faults.always("PutObject", fault.clone());
        service.put(request("app", &manifest, Some("v1"))).await.is_server_exception();
        assert_eq!(service.faults.count("PutObject"), requests, "{fault:?}");
        assert_eq!(service.faults.count("TransactWriteItems"), 0, "{fault:?}");
        assert_eq!(service.items().await, before, "{fault:?}");
    }
}

#[tokio::test]
async fn a_push_whose_response_would_not_fit_is_rejected_before_anything_is_written() {
    let service = Service::start().await;
    // Quotes and backslashes are escaped twice: in the body, and in the response to Lambda.
    let with = |filler: usize| {
        let mut manifest = image("large");
        manifest.pop();
        write!(manifest, r#","annotations":{{"a":"{}"}}}}"#, r#"\""#.repeat(filler)).unwrap();
        manifest
    };
    let message = invalid("imageManifest", "must fit in a response of 6291556 bytes");
    let code = "InvalidParameterException";
    service.upload_layers_of("app", &with(1)).await;
    service.rejects(request("app", &with(1_000_000), Some("v1")), code, &message).await;
    // The digest is checked later, the repository earlier.
    let mut body = request("app", &with(1_000_000), Some("v1"));
    body["imageDigest"] = json!(sha256("other"));
    service.rejects(body, code, &message).await;
    let body = request("nowhere", &with(1_000_000), Some("v1"));
    service.rejects(body, "RepositoryNotFoundException", &not_found("nowhere")).await;

    // The largest response that fits. `Response` has checked its size.
    let (mut fits, mut too_large) = (500_000, 1_000_000);
    let limit = 6_291_556;
    let size = |filler: usize| {
        let response = json!({ "image": {
            "registryId": ACCOUNT, "repositoryName": "app",
            "imageId": { "imageDigest": sha256(""), "imageTag": "v1" },
            "imageManifest": with(filler), "imageManifestMediaType": OCI_IMAGE,
        }});
        let id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
        let headers =
            json!({ "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": id });
        let envelope = json!({
            "statusCode": 200, "headers": headers, "multiValueHeaders": {},
            "body": response.to_string(), "isBase64Encoded": false,
        });
        envelope.to_string().len()
    };
    while too_large - fits > 1 {
        let middle = usize::midpoint(fits, too_large);
        if size(middle) <= limit { fits = middle } else { too_large = middle }
    }
    service.rejects(request("app", &with(too_large), Some("v1")), code, &message).await;
    assert_eq!(service.put(request("app", &with(fits), Some("v1"))).await.status, 200);
}
