//! Layers: which must be in S3, and what each of S3's responses means.

use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, StorageClass, Tier};
use local_aws::Fault;
use serde_json::json;

use crate::harness::*;

const CODE: &str = "LayersNotFoundException";

#[tokio::test]
async fn all_missing_layers_are_named_once_in_manifest_order() {
    let service = Service::start().await;
    let layers: Vec<_> = ["c", "a", "c", "b", "a"].into_iter().map(layer).collect();
    let manifest = image_of(&layers, "x");
    let config = sha256("config of x");
    let message = layers_not_found(&[&config, &sha256("c"), &sha256("a"), &sha256("b")]);
    service.rejects(request("app", &manifest, Some("v1")), CODE, &message).await;
    service.upload_layer("app", &sha256("a")).await;
    service.upload_layer("app", &config).await;
    let message = layers_not_found(&[&sha256("c"), &sha256("b")]);
    service.rejects(request("app", &manifest, Some("v1")), CODE, &message).await;
    service.faults.reset_calls();
    service.put(request("app", &manifest, Some("v1"))).await;
    assert_eq!(service.faults.count("HeadObject"), 4, "one per distinct digest");
}

#[tokio::test]
async fn another_repositorys_or_registrys_copy_does_not_count() {
    let service = Service::start().await;
    service.create_repository("app/web", json!({})).await;
    service.upload_layers_of("app/web", &image("a")).await;
    let digests = digests_in(&image("a"));
    let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
    let message = layers_not_found(&digests);
    service.rejects(request("app", &image("a"), Some("v1")), CODE, &message).await;
}

#[tokio::test]
async fn foreign_layers_with_urls_need_not_be_uploaded() {
    let service = Service::start().await;
    let foreign = |name: &str, media_type: &str, urls| {
        let mut layer = layer(name);
        layer["mediaType"] = json!(media_type);
        layer["urls"] = urls;
        layer
    };
    let docker = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let oci = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let plain = "application/vnd.oci.image.layer.v1.tar+gzip";
    let elsewhere = || json!(["https://example.com/layer"]);
    let layers = [
        foreign("1", docker, elsewhere()),
        foreign("2", oci, elsewhere()),
        foreign("3", docker, json!([])),
        foreign("4", oci, json!(null)),
        foreign("5", plain, elsewhere()),
        // Two descriptors of the same digest. One of them needs the layer.
        foreign("6", oci, elsewhere()),
        foreign("6", plain, json!(null)),
    ];
    let manifest = image_of(&layers, "x");
    service.upload_layer("app", &sha256("config of x")).await;
    let message = layers_not_found(&[&sha256("3"), &sha256("4"), &sha256("5"), &sha256("6")]);
    service.rejects(request("app", &manifest, Some("v1")), CODE, &message).await;
    for name in ["3", "4", "5", "6"] {
        service.upload_layer("app", &sha256(name)).await;
    }
    assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
    // An image needs a layer in its manifest, but not in S3.
    let only_foreign = image_of(&[foreign("1", docker, elsewhere())], "x");
    assert_eq!(service.put(request("app", &only_foreign, Some("v2"))).await.status, 200);
}

#[tokio::test]
async fn sha512_layers_have_their_own_prefix() {
    let service = Service::start().await;
    let digest = format!("sha512:{}", "ab".repeat(64));
    let mut big = layer("x");
    big["digest"] = json!(digest);
    let manifest = image_of(&[big], "x");
    service.upload_layer("app", &sha256("config of x")).await;
    let message = layers_not_found(&[&digest]);
    service.rejects(request("app", &manifest, Some("v1")), CODE, &message).await;
    service.upload_layer("app", &digest).await;
    let key = format!("{ACCOUNT}/app/sha512/{}", "ab".repeat(64));
    assert!(service.stored().await.layers.contains(&key));
    assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
}

#[tokio::test]
async fn the_layers_of_a_stored_image_are_not_checked_again() {
    let service = Service::start().await;
    let digest = service.push("app", &image("a"), Some("v1")).await.digest();
    let bucket = &service.stack.options().layer_bucket;
    for layer in digests_in(&image("a")) {
        let key = layer_key("app", &layer);
        service.s3.delete_object().bucket(bucket).key(key).send().await.unwrap();
    }
    assert_eq!(service.put(request("app", &image("a"), Some("v2"))).await.digest(), digest);
    // S3's response does not matter.
    service.faults.always("HeadObject", error(403, "AccessDenied"));
    assert_eq!(service.put(request("app", &image("a"), Some("v3"))).await.digest(), digest);
}

#[tokio::test]
async fn an_archived_layer_is_missing() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    let bucket = &service.stack.options().layer_bucket;
    let digest = sha256("layer of a");
    for (class, there) in [
        (StorageClass::Glacier, false),
        (StorageClass::DeepArchive, false),
        (StorageClass::GlacierIr, true),
    ] {
        let key = layer_key("app", &digest);
        let put = service.s3.put_object().bucket(bucket).key(key).storage_class(class.clone());
        put.send().await.unwrap();
        let body = request("app", &image("a"), Some("v1"));
        if there {
            assert_eq!(service.put(body).await.status, 200, "{class}");
        } else {
            service.rejects(body, CODE, &layers_not_found(&[&digest])).await;
        }
    }
}

#[tokio::test]
async fn an_archived_layer_is_found_once_it_is_restored() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    let bucket = &service.stack.options().layer_bucket;
    let digest = sha256("layer of a");
    for (tier, there) in [(Tier::Bulk, false), (Tier::Standard, true)] {
        let key = layer_key("app", &digest);
        let put = service.s3.put_object().bucket(bucket).key(&key);
        put.storage_class(StorageClass::Glacier).send().await.unwrap();
        let how = GlacierJobParameters::builder().tier(tier.clone()).build().unwrap();
        let days = RestoreRequest::builder().days(1).glacier_job_parameters(how).build();
        let restore = service.s3.restore_object().bucket(bucket).key(key).restore_request(days);
        restore.send().await.unwrap();
        let body = request("app", &image("a"), Some("v1"));
        if there {
            assert_eq!(service.put(body).await.status, 200, "{tier}");
        } else {
            service.rejects(body, CODE, &layers_not_found(&[&digest])).await;
        }
    }
}

fn error(status: u16, code: &'static str) -> Fault {
    Fault::Answer { status, code, message: "no" }
}

#[tokio::test]
async fn s3s_response_decides_whether_to_retry_and_which_error_to_return() {
    // S3's response, the number of requests, and whether the layer counts as missing.
    let rows = [
        (error(404, "NotFound"), 1, true),
        (error(403, "AccessDenied"), 1, false),
        (error(400, "BadRequest"), 1, false),
        (error(405, "MethodNotAllowed"), 1, false),
        (error(301, "PermanentRedirect"), 1, false),
        (error(429, "TooManyRequests"), 3, false),
        (error(500, "InternalError"), 3, false),
        (error(502, "BadGateway"), 3, false),
        (error(503, "SlowDown"), 3, false),
        (Fault::Refuse, 3, false),
        (Fault::DropBefore, 3, false),
        (Fault::DropAfter, 3, false),
    ];
    for (fault, requests, missing) in rows {
        let service = Service::start().await;
        let manifest = image("a");
        service.upload_layers_of("app", &manifest).await;
        service.faults.on_call({
            let (fault, key) = (fault.clone(), layer_key("app", &sha256("layer of a")));
            move |call| {
                let is_it = call.operation == "HeadObject" && call.path.contains(&key);
                is_it.then(|| fault.clone())
            }
        });
        let before = service.stored().await;
        let response = service.put(request("app", &manifest, Some("v1"))).await;
        if missing {
            response.is_error(400, CODE, &layers_not_found(&[&sha256("layer of a")]));
        } else {
            response.is_server_exception();
        }
        assert_eq!(service.faults.count("HeadObject"), requests + 1, "{fault:?}");
        assert_eq!(service.stored().await, before, "{fault:?}");
        service.faults.clear();
        assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
    }
}
