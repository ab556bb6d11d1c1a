//! Layers: which must be there, and what S3 may answer.

use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, StorageClass, Tier};
use local_aws::Fault;
use serde_json::json;

use crate::harness::*;

const CODE: &str = "LayersNotFoundException";

#[tokio::test]
async fn all_that_are_missing_are_named_once_in_manifest_order() {
    let service = Service::start().await;
    let layers: Vec<_> = ["c", "a", "c", "b", "a"].into_iter().map(layer).collect();
    let manifest = image_of(&layers, "x");
    let config = sha256("config of x");
    let message = layers_not_found(&[&config, &sha256("c"), &sha256("a"), &sha256("b")]);
    service.refuses(request("app", &manifest, Some("v1")), CODE, &message).await;
    service.upload_layer("app", &sha256("a")).await;
    service.upload_layer("app", &config).await;
    let message = layers_not_found(&[&sha256("c"), &sha256("b")]);
    service.refuses(request("app", &manifest, Some("v1")), CODE, &message).await;
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
    service.refuses(request("app", &image("a"), Some("v1")), CODE, &message).await;
}

#[tokio::test]
async fn foreign_layers_with_urls_need_not_be_there() {
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
        // The same digest, needed by one descriptor of two.
        foreign("6", oci, elsewhere()),
        foreign("6", plain, json!(null)),
    ];
    let manifest = image_of(&layers, "x");
    service.upload_layer("app", &sha256("config of x")).await;
    let message = layers_not_found(&[&sha256("3"), &sha256("4"), &sha256("5"), &sha256("6")]);
    service.refuses(request("app", &manifest, Some("v1")), CODE, &message).await;
    for name in ["3", "4", "5", "6"] {
        service.upload_layer("app", &sha256(name)).await;
    }
    assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
    // An image needs one layer in its manifest, not in S3.
    let only_foreign = image_of(&[foreign("1", docker, elsewhere())], "x");
    assert_eq!(service.put(request("app", &only_foreign, Some("v2"))).await.status, 200);
}

#[tokio::test]
async fn sha512_layers_have_their_own_place() {
    let service = Service::start().await;
    let digest = format!("sha512:{}", "ab".repeat(64));
    let mut big = layer("x");
    big["digest"] = json!(digest);
    let manifest = image_of(&[big], "x");
    service.upload_layer("app", &sha256("config of x")).await;
    let message = layers_not_found(&[&digest]);
    service.refuses(request("app", &manifest, Some("v1")), CODE, &message).await;
    service.upload_layer("app", &digest).await;
    let key = format!("{ACCOUNT}/app/sha512/{}", "ab".repeat(64));
    assert!(service.stored().await.layers.contains(&key));
    assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
}

#[tokio::test]
async fn a_stored_image_is_not_asked_for_its_layers_again() {
    let service = Service::start().await;
    let digest = service.push("app", &image("a"), Some("v1")).await.digest();
    let bucket = &service.stack.options().layer_bucket;
    for layer in digests_in(&image("a")) {
        let key = layer_key("app", &layer);
        service.s3.delete_object().bucket(bucket).key(key).send().await.unwrap();
    }
    assert_eq!(service.put(request("app", &image("a"), Some("v2"))).await.digest(), digest);
    // Whatever S3 would say.
    service.faults.always("HeadObject", refused(403, "AccessDenied"));
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
            service.refuses(body, CODE, &layers_not_found(&[&digest])).await;
        }
    }
}

#[tokio::test]
async fn an_archived_layer_is_there_once_it_is_restored() {
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
            service.refuses(body, CODE, &layers_not_found(&[&digest])).await;
        }
    }
}

fn refused(status: u16, code: &'static str) -> Fault {
    Fault::Answer { status, code, message: "no" }
}

#[tokio::test]
async fn what_s3_answers_decides_whether_it_is_asked_again_and_who_is_to_blame() {
    // What S3 answers, how often it is asked, and whether the layer counts as missing.
    let rows = [
        (refused(404, "NotFound"), 1, true),
        (refused(403, "AccessDenied"), 1, false),
        (refused(400, "BadRequest"), 1, false),
        (refused(405, "MethodNotAllowed"), 1, false),
        (refused(301, "PermanentRedirect"), 1, false),
        (refused(429, "TooManyRequests"), 3, false),
        (refused(500, "InternalError"), 3, false),
        (refused(502, "BadGateway"), 3, false),
        (refused(503, "SlowDown"), 3, false),
        (Fault::Refuse, 3, false),
        (Fault::DropBefore, 3, false),
        (Fault::DropAfter, 3, false),
    ];
    for (fault, asked, missing) in rows {
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
        let answer = service.put(request("app", &manifest, Some("v1"))).await;
        if missing {
            answer.is_refusal(400, CODE, &layers_not_found(&[&sha256("layer of a")]));
        } else {
            answer.is_server_exception();
        }
        assert_eq!(service.faults.count("HeadObject"), asked + 1, "{fault:?}");
        assert_eq!(service.stored().await, before, "{fault:?}");
        service.faults.clear();
        assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
    }
}
