//! Objects and buckets.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{
    Delete, GlacierJobParameters, ObjectIdentifier, RestoreRequest, StorageClass, Tier,
};
use local_aws::{Options, Stack};

use crate::{code, content, head, put, start, status};

#[tokio::test]
async fn the_longest_layer_keys_work() {
    let (stack, s3) = start().await;
    let name = "n".repeat(256);
    let key = format!("012345678910/{name}/sha512/{}", "a".repeat(128));
    assert_eq!(head(&s3, "layers", &key).await, 404);
    put(&s3, &key, "layer").await;
    assert_eq!(head(&s3, "layers", &key).await, 200);
    assert_eq!(content(&s3, &key).await, b"layer");
    let listed = s3.list_objects_v2().bucket("layers").prefix("0123").send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some(key.as_str()));
    s3.delete_object().bucket("layers").key(&key).send().await.unwrap();
    assert_eq!(head(&s3, "layers", &key).await, 404);
    stack.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let (stack, s3) = start().await;
    assert_eq!(head(&s3, "layers", "none").await, 404);
    assert_eq!(head(&s3, "no-such-bucket", "none").await, 404);
    let error = s3.get_object().bucket("layers").key("none").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchKey"));
    let error = s3.list_objects_v2().bucket("no-such-bucket").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
    let missing = s3.put_object().bucket("no-such-bucket").key("k").body(b"b".to_vec().into());
    assert_eq!(missing.send().await.unwrap_err().code(), Some("NoSuchBucket"));
    let missing = s3.delete_object().bucket("no-such-bucket").key("k");
    assert_eq!(code(missing.send().await), "NoSuchBucket");
    let missing = s3.create_multipart_upload().bucket("no-such-bucket").key("k");
    assert_eq!(code(missing.send().await), "NoSuchBucket");
    stack.stop().await;
}

#[tokio::test]
async fn archived_objects_are_unreadable_until_restored() {
    let (stack, s3) = start().await;
    for class in [StorageClass::Glacier, StorageClass::DeepArchive] {
        let put = s3.put_object().bucket("layers").key("cold").body(b"cold".to_vec().into());
        put.storage_class(class.clone()).send().await.unwrap();
        let head = s3.head_object().bucket("layers").key("cold").send().await.unwrap();
        assert_eq!(head.storage_class, Some(class));
        assert_eq!(head.restore, None);
        let error = s3.get_object().bucket("layers").key("cold").send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidObjectState"));

        for (tier, restore) in [
            (Tier::Bulk, r#"ongoing-request="true""#),
            (Tier::Standard, r#"ongoing-request="false", expiry-date=""#),
        ] {
            let job = GlacierJobParameters::builder().tier(tier).build().unwrap();
            let wanted = RestoreRequest::builder().days(3).glacier_job_parameters(job).build();
            let call = s3.restore_object().bucket("layers").key("cold").restore_request(wanted);
            call.send().await.unwrap();
            let head = s3.head_object().bucket("layers").key("cold").send().await.unwrap();
            assert!(head.restore().unwrap().starts_with(restore), "{:?}", head.restore);
        }
        assert_eq!(content(&s3, "cold").await, b"cold");
    }
    let put = s3.put_object().bucket("layers").key("k").body(b"b".to_vec().into());
    let error = put.storage_class(StorageClass::from("LUKEWARM")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidStorageClass"));
    stack.stop().await;
}

#[tokio::test]
async fn ranges_copies_and_deletions() {
    let (stack, s3) = start().await;
    put(&s3, "from", "0123456789").await;
    let call = s3.get_object().bucket("layers").key("from").range("bytes=2-4");
    let part = call.send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"234");

    let copy = s3.copy_object().bucket("layers").key("to").copy_source("layers/from");
    copy.send().await.unwrap();
    s3.delete_object().bucket("layers").key("from").send().await.unwrap();
    s3.delete_object().bucket("layers").key("from").send().await.unwrap();
    assert_eq!(content(&s3, "to").await, b"0123456789");

    let get = |range: &str| s3.get_object().bucket("layers").key("to").range(range).send();
    let range =
        async |range: &str| get(range).await.unwrap().body.collect().await.unwrap().to_vec();
    assert_eq!(range("bytes=7-").await, b"789");
    assert_eq!(range("bytes=7-100").await, b"789");
    assert_eq!(range("bytes=-2").await, b"89");
    assert_eq!(range("bytes=-100").await, b"0123456789");
    for unsatisfiable in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
        assert_eq!(code(get(unsatisfiable).await), "InvalidRange");
    }
    put(&s3, "empty", "").await;
    let empty = s3.get_object().bucket("layers").key("empty").range("bytes=0-0");
    assert_eq!(code(empty.send().await), "InvalidRange");
    s3.delete_object().bucket("layers").key("empty").send().await.unwrap();
    // An error is better than a wrong response.
    let part = s3.get_object().bucket("layers").key("to").part_number(1);
    assert_eq!(code(part.send().await), "NotImplemented");
    let part = s3.head_object().bucket("layers").key("to").range("bytes=0-1");
    assert_eq!(status(part.send().await), 501);

    put(&s3, "more", "x").await;
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(object("to")).objects(object("more")).build().unwrap();
    let gone = s3.delete_objects().bucket("layers").delete(delete).send().await.unwrap();
    assert_eq!(gone.deleted().len(), 2);
    let delete = |keys: Vec<String>| {
        let objects = keys.iter().map(|key| object(key)).collect();
        let delete = Delete::builder().set_objects(Some(objects)).build().unwrap();
        s3.delete_objects().bucket("layers").delete(delete).send()
    };
    assert_eq!(code(delete(vec!["k".to_owned(); 1001]).await), "MalformedXML");
    assert_eq!(code(delete(vec![String::new()]).await), "MalformedXML");
    let too_long = delete(vec!["k".repeat(1025), "k".to_owned()]).await.unwrap();
    assert_eq!(too_long.errors()[0].code(), Some("KeyTooLongError"));
    assert_eq!(too_long.deleted().len(), 1);
    assert_eq!(s3.list_objects_v2().bucket("layers").send().await.unwrap().key_count(), Some(0));
    stack.stop().await;
}

#[tokio::test]
async fn buckets_and_conditional_writes() {
    let (stack, s3) = start().await;
    s3.create_bucket().bucket("more").send().await.unwrap();
    s3.head_bucket().bucket("more").send().await.unwrap();
    let buckets = s3.list_buckets().send().await.unwrap();
    let names: Vec<_> = buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["layers", "manifests", "more"]);
    // The AWS CLI's `s3 ls` fails without it.
    assert!(buckets.buckets().iter().all(|bucket| bucket.creation_date().is_some()));
    let location = s3.get_bucket_location().bucket("more").send().await.unwrap();
    assert_eq!(location.location_constraint.unwrap().as_str(), "us-west-2");

    let create = || {
        let call = s3.put_object().bucket("more").key("once").body(b"x".to_vec().into());
        call.if_none_match("*").send()
    };
    create().await.unwrap();
    assert_eq!(create().await.unwrap_err().code(), Some("PreconditionFailed"));
    let error = s3.delete_bucket().bucket("more").send().await.unwrap_err();
    assert_eq!(error.code(), Some("BucketNotEmpty"));
    s3.delete_object().bucket("more").key("once").send().await.unwrap();
    s3.delete_bucket().bucket("more").send().await.unwrap();
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 2);
    stack.stop().await;
}

#[tokio::test]
async fn names_have_their_form_and_length() {
    let (stack, s3) = start().await;
    put(&s3, &"k".repeat(1024), "x").await;
    let put_object = |bucket: &str, key: &str| s3.put_object().bucket(bucket).key(key).send();
    assert_eq!(code(put_object("layers", &"k".repeat(1025)).await), "KeyTooLongError");
    for bucket in ["Layers", "la", "la_yers", "layers-", "1.2.3.4", &"l".repeat(64)] {
        assert_eq!(code(put_object(bucket, "k").await), "InvalidBucketName", "{bucket}");
    }
    stack.stop().await;
    let options = Options { layer_bucket: "Layers".into(), ..Options::default() };
    let error = Stack::start(options).await.unwrap_err();
    assert_eq!(error.to_string(), "\"Layers\" is no name for a bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_puts_leave_one_whole_object() {
    let (stack, s3) = start().await;
    let writes = (0..16_u8).map(|number| {
        let s3 = s3.clone();
        tokio::spawn(async move {
            put(&s3, "contended", vec![number; 100_000]).await;
            let read = content(&s3, "contended").await;
            assert_eq!(read.len(), 100_000);
            assert!(read.iter().all(|byte| *byte == read[0]));
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    stack.stop().await;
}
