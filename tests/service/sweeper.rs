//! The sweeper: which bodies it deletes, and which it never deletes.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use ecr_registry::Failure;
use ecr_registry::SweeperConfig;
use ecr_registry::{SWEPT_AFTER, Sweeper, Swept};
use local_aws::Fault;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::*;
use crate::large::image_of_bytes;

const SPILLED: usize = 64 * 1024 + 1;
const HOUR: Duration = Duration::from_hours(1);

fn sweeper(service: &Service) -> Sweeper {
    let options = service.stack.options();
    let config = SweeperConfig::read(|name| options.variable(name)).unwrap();
    Sweeper::new(config, &service.faults.sdk_config(&service.stack))
}

async fn sweep_until(
    service: &Service,
    before: Duration,
    time: Duration,
) -> Result<Swept, Failure> {
    sweeper(service).sweep(before, Instant::now() + time).await
}

/// Sweeps with every body old enough.
async fn sweep(service: &Service) -> Result<Swept, Failure> {
    sweep_until(service, since_1970() + HOUR, HOUR).await
}

fn swept(orphans: u64, referenced: u64) -> Swept {
    Swept { orphans, referenced, complete: true, ..Swept::default() }
}

/// Stores a body under this key.
async fn put_body(service: &Service, key: &str) {
    let bucket = &service.stack.options().manifest_bucket;
    let body = ByteStream::from_static(b"{}");
    service.s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
}

/// The keys of the bodies that images refer to, sorted.
async fn referenced(service: &Service) -> Vec<String> {
    let items = service.items().await;
    let mut keys: Vec<String> = items
        .iter()
        .filter_map(|item| item.get("bodyKey").map(|key| key.as_s().unwrap().clone()))
        .collect();
    keys.sort();
    keys
}

fn key_beside(key: &str) -> String {
    let (image, _) = key.rsplit_once('/').unwrap();
    format!("{image}/{}", uuid::Uuid::new_v4().simple())
}

#[tokio::test]
async fn only_bodies_without_an_image_are_deleted() {
    let service = Service::start().await;
    let manifest = image_of_bytes(SPILLED);
    service.push("app", &manifest, Some("v1")).await;
    service.push("app", &image("small"), Some("small")).await;
    let [kept] = <[String; 1]>::try_from(referenced(&service).await).unwrap();
    let repo_id = s(&service.repository_item("app").await, "repoId");
    let put_id = uuid::Uuid::new_v4().simple().to_string();
    // The body of another call for the same image, of an image whose manifest is in the table, of
    // an image that does not exist, and of a repository that does not exist.
    let inline = sha256(&image("small")).replace("sha256:", "");
    let absent = sha256("absent").replace("sha256:", "");
    for key in [
        key_beside(&kept),
        format!("manifests/{repo_id}/{inline}/{put_id}"),
        format!("manifests/{repo_id}/{absent}/{put_id}"),
        format!("manifests/{}/{absent}/{put_id}", uuid::Uuid::new_v4()),
    ] {
        put_body(&service, &key).await;
    }
    let before = service.stored().await;
    assert_eq!(before.bodies.len(), 5);

    assert_eq!(sweep(&service).await.unwrap(), swept(4, 1));
    let after = service.stored().await;
    assert_eq!(after.bodies, [kept]);
    assert_eq!((after.items, after.layers), (before.items, before.layers));
    assert_eq!(sweep(&service).await.unwrap(), swept(0, 1));
}

#[tokio::test]
async fn a_body_is_kept_for_a_day_whatever_the_table_says() {
    assert_eq!(SWEPT_AFTER, Duration::from_hours(24));
    let service = Service::start().await;
    let key = format!("manifests/{}/{}/{}", uuid::Uuid::new_v4(), "0".repeat(64), "1".repeat(32));
    put_body(&service, &key).await;
    let young = sweep_until(&service, since_1970().saturating_sub(HOUR), HOUR).await.unwrap();
    assert_eq!(young, Swept { young: 1, complete: true, ..Swept::default() });
    assert_eq!(service.stored().await.bodies, [key]);
    assert_eq!(service.faults.count("GetItem"), 0);
}

#[tokio::test]
async fn objects_that_no_push_wrote_are_kept() {
    let service = Service::start().await;
    let uuid = uuid::Uuid::new_v4();
    let (hex, put_id) = ("0".repeat(64), uuid.simple());
    let mut foreign = vec![
        format!("manifests/{uuid}/{hex}"),
        format!("manifests/{uuid}/{hex}/{put_id}/more"),
        format!("manifests/{uuid}/{hex}/note"),
        format!("manifests/{uuid}/sha256/{put_id}"),
        format!("manifests/app/{hex}/{put_id}"),
        format!("manifests/{uuid}/{}/{put_id}", "0".repeat(128)),
        "manifests/README".to_owned(),
    ];
    for key in &foreign {
        put_body(&service, key).await;
    }
    // This key is outside of the listed prefix.
    let elsewhere = format!("backups/{uuid}/{hex}/{put_id}");
    put_body(&service, &elsewhere).await;
    let seen = sweep(&service).await.unwrap();
    assert_eq!(seen, Swept { foreign: 7, complete: true, ..Swept::default() });
    foreign.push(elsewhere);
    foreign.sort();
    assert_eq!(service.stored().await.bodies, foreign);
}

#[tokio::test]
async fn a_bucket_of_several_pages_is_seen_whole() {
    let service = Service::start().await;
    let orphans = (0..2_100).map(|_| {
        let (repo_id, put_id) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4().simple());
        format!("manifests/{repo_id}/{}/{put_id}", "0".repeat(64))
    });
    for key in orphans {
        put_body(&service, &key).await;
    }
    service.push("app", &image_of_bytes(SPILLED), Some("v1")).await;
    assert_eq!(sweep(&service).await.unwrap(), swept(2_100, 1));
    assert!(service.faults.count("ListObjectsV2") >= 4);
    assert_eq!(service.stored().await.bodies, referenced(&service).await);
}

#[tokio::test]
async fn orphans_of_pushes_are_deleted() {
    let service = Service::start().await;
    let manifest = image_of_bytes(SPILLED);
    // A push whose every commit was rejected, one whose response was lost, and one that raced with
    // it.
    service.upload_layers_of("app", &manifest).await;
    let rejected = Fault::Answer { status: 400, code: "ValidationException", message: "" };
    service.faults.script("TransactWriteItems", [Some(rejected), Some(Fault::DropAfter)]);
    service.put(request("app", &manifest, Some("v1"))).await.is_server_exception();
    assert_eq!(service.stored().await.bodies.len(), 1);
    assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
    let racers =
        ["a", "b", "c", "d"].map(|tag| request("app", &image_of_bytes(SPILLED + 1), Some(tag)));
    service.upload_layers_of("app", &image_of_bytes(SPILLED + 1)).await;
    // Each call has stored its body before any of them commits.
    service.faults.script("TransactWriteItems", [const { Some(Fault::Hold) }; 4]);
    let all_are_put = async {
        service.faults.held().await;
        service.faults.release();
    };
    let race = futures_util::future::join_all(racers.map(|body| service.put(body)));
    let (responses, ()) = tokio::join!(race, all_are_put);
    assert!(responses.iter().all(|response| response.status == 200));
    let bodies = service.stored().await.bodies.len() as u64;
    assert!(bodies > 2, "no call lost the race");

    assert_eq!(sweep(&service).await.unwrap(), swept(bodies - 2, 2));
    assert_eq!(service.stored().await.bodies, referenced(&service).await);
    // The image is complete for its readers.
    let key = s(&service.image_item("app", &sha256(&manifest)).await.unwrap(), "bodyKey");
    assert_eq!(crate::large::body(&service, &key).await, manifest.as_bytes());
}

#[tokio::test]
async fn the_bodies_of_a_purged_repository_are_deleted_and_those_of_its_successor_stay() {
    let service = Service::start().await;
    let manifest = image_of_bytes(SPILLED);
    service.push("app", &manifest, Some("v1")).await;
    service.restore(&[]).await;
    service.create_repository("app", json!({})).await;
    service.push("app", &manifest, Some("v1")).await;
    assert_eq!(service.stored().await.bodies.len(), 2);
    assert_eq!(sweep(&service).await.unwrap(), swept(1, 1));
    assert_eq!(service.stored().await.bodies, referenced(&service).await);
}

#[tokio::test]
async fn a_read_that_fails_deletes_nothing() {
    let error = |status, code| Fault::Answer { status, code, message: "no" };
    for fault in [
        error(400, "AccessDeniedException"),
        error(400, "ResourceNotFoundException"),
        error(400, "ThrottlingException"),
        error(500, "InternalServerError"),
        Fault::DropAfter,
        Fault::TruncateBody,
        Fault::Garbage(200),
        Fault::Garbage(404),
    ] {
        let service = Service::start().await;
        service.push("app", &image_of_bytes(SPILLED), Some("v1")).await;
        put_body(&service, &key_beside(&referenced(&service).await[0])).await;
        let before = service.stored().await;
        service.faults.always("GetItem", fault.clone());
        let failure = sweep(&service).await.unwrap_err();
        assert_eq!(failure.doing, "reading an image", "{fault:?}");
        assert_eq!(service.stored().await, before, "{fault:?}");
        assert_eq!(service.faults.count("DeleteObject"), 0, "{fault:?}");
        // The next run deletes it.
        service.faults.clear();
        assert_eq!(sweep(&service).await.unwrap(), swept(1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_read_keeps_its_body_and_stops_no_other() {
    let service = Service::start().await;
    service.push("app", &image_of_bytes(SPILLED), Some("v1")).await;
    let [kept] = <[String; 1]>::try_from(referenced(&service).await).unwrap();
    put_body(&service, &key_beside(&kept)).await;
    let other = format!("manifests/{}/{}/{}", uuid::Uuid::new_v4(), "0".repeat(64), "1".repeat(32));
    put_body(&service, &other).await;
    let mut damaged = service.image_item("app", &sha256(&image_of_bytes(SPILLED))).await.unwrap();
    damaged.insert("bodyKey".into(), AttributeValue::N("1".into()));
    let table = &service.stack.options().table;
    let put = service.dynamodb.put_item().table_name(table).set_item(Some(damaged));
    put.send().await.unwrap();
    let failure = sweep(&service).await.unwrap_err();
    assert_eq!(failure.doing, "reading an image's item");
    assert!(!service.stored().await.bodies.contains(&other));
    assert!(service.stored().await.bodies.contains(&kept));
    assert_eq!(service.stored().await.bodies.len(), 2);
}

#[tokio::test]
async fn a_failed_list_or_deletion_fails_the_run_and_the_next_run_does_the_work() {
    let rejected = Fault::Answer { status: 403, code: "AccessDenied", message: "no" };
    for (operation, doing) in
        [("ListObjectsV2", "listing bodies"), ("DeleteObject", "deleting a body")]
    {
        let service = Service::start().await;
        service.push("app", &image_of_bytes(SPILLED), Some("v1")).await;
        put_body(&service, &key_beside(&referenced(&service).await[0])).await;
        let before = service.stored().await;
        service.faults.always(operation, rejected.clone());
        let failure = sweep(&service).await.unwrap_err();
        assert_eq!((failure.doing, failure.aws_code.as_deref()), (doing, Some("AccessDenied")));
        assert_eq!(service.stored().await, before);
        service.faults.clear();
        // The SDK retries temporary failures.
        let busy = Fault::Answer { status: 503, code: "SlowDown", message: "" };
        service.faults.script(operation, [Some(busy), None, Some(Fault::DropAfter)]);
        assert_eq!(sweep(&service).await.unwrap(), swept(1, 1));
        assert_eq!(service.stored().await.bodies, referenced(&service).await);
    }
}

#[tokio::test]
async fn a_run_ends_at_its_deadline_and_says_that_it_is_incomplete() {
    let service = Service::start().await;
    service.push("app", &image_of_bytes(SPILLED), Some("v1")).await;
    let before = service.stored().await;
    for operation in ["ListObjectsV2", "GetItem"] {
        service.faults.always(operation, Fault::Hold);
        let clock = StoppedClock::stop();
        let held = async {
            service.faults.held().await;
            clock.jump();
        };
        let (run, ()) = tokio::join!(sweep(&service), held);
        tokio::time::resume();
        assert_eq!(run.unwrap(), Swept::default(), "{operation}");
        assert_eq!(service.stored().await, before);
        service.faults.clear();
    }
}
