//! S3 through the SDK: what a layer bucket and a manifest bucket need.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, GlacierJobParameters,
    ObjectIdentifier, RestoreRequest, ServerSideEncryption, StorageClass, Tier,
};
use local_aws::{Options, Stack};

async fn start() -> (Stack, Client) {
    let stack = Stack::start(Options::default()).await.unwrap();
    let client = Client::new(&stack.sdk_config());
    (stack, client)
}

async fn put(s3: &Client, key: &str, body: impl Into<Vec<u8>>) {
    let body = ByteStream::from(body.into());
    s3.put_object().bucket("layers").key(key).body(body).send().await.unwrap();
}

async fn content(s3: &Client, key: &str) -> Vec<u8> {
    let answer = s3.get_object().bucket("layers").key(key).send().await.unwrap();
    answer.body.collect().await.unwrap().to_vec()
}

/// The status of a HEAD.
async fn head(s3: &Client, bucket: &str, key: &str) -> u16 {
    match s3.head_object().bucket(bucket).key(key).send().await {
        Ok(_) => 200,
        Err(SdkError::ServiceError(error)) => error.raw().status().as_u16(),
        Err(error) => panic!("{error:?}"),
    }
}

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
    stack.stop().await;
}

#[tokio::test]
async fn encryption_headers_are_kept() {
    let (stack, s3) = start().await;
    let key_arn = "arn:aws:kms:us-west-2:012345678910:key/0d5a8f57-0000-4000-8000-000000000000";
    let written = s3
        .put_object()
        .bucket("manifests")
        .key("sealed")
        .body(b"body".to_vec().into())
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id(key_arn)
        .bucket_key_enabled(true)
        .content_type("application/vnd.oci.image.manifest.v1+json")
        .metadata("purpose", "test")
        .send()
        .await
        .unwrap();
    assert_eq!(written.server_side_encryption, Some(ServerSideEncryption::AwsKms));
    let head = s3.head_object().bucket("manifests").key("sealed").send().await.unwrap();
    assert_eq!(head.server_side_encryption, Some(ServerSideEncryption::AwsKms));
    assert_eq!(head.ssekms_key_id(), Some(key_arn));
    assert_eq!(head.bucket_key_enabled, Some(true));
    assert_eq!(head.content_type(), Some("application/vnd.oci.image.manifest.v1+json"));
    assert_eq!(head.metadata().unwrap()["purpose"], "test");
    let read = s3.get_object().bucket("manifests").key("sealed").send().await.unwrap();
    assert_eq!(read.ssekms_key_id(), Some(key_arn));

    put(&s3, "plain", "body").await;
    let head = s3.head_object().bucket("layers").key("plain").send().await.unwrap();
    assert_eq!(head.server_side_encryption, Some(ServerSideEncryption::Aes256));
    assert_eq!(head.storage_class, None);
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
async fn a_wrong_checksum_stores_nothing() {
    let (stack, s3) = start().await;
    put(&s3, "kept", "before").await;
    let wrong = || {
        let call = s3.put_object().bucket("layers").body(b"after".to_vec().into());
        call.checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    };
    for key in ["kept", "new"] {
        let error = wrong().key(key).send().await.unwrap_err();
        assert_eq!(error.code(), Some("BadDigest"));
    }
    assert_eq!(content(&s3, "kept").await, b"before");
    assert_eq!(head(&s3, "layers", "new").await, 404);

    let right = s3.put_object().bucket("layers").key("right").body(b"body".to_vec().into());
    let written = right.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let sha256 = "Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=";
    assert_eq!(written.checksum_sha256(), Some(sha256));
    stack.stop().await;
}

#[tokio::test]
async fn listings_come_in_pages() {
    let (stack, s3) = start().await;
    for number in 0..25 {
        put(&s3, &format!("a/{number:02}"), "x").await;
    }
    put(&s3, "b/1/deep", "xyz").await;
    put(&s3, "b/2", "xyz").await;

    let mut pages = s3.list_objects_v2().bucket("layers").max_keys(10).into_paginator().send();
    let mut keys = Vec::new();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.contents().len());
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(sizes, [10, 10, 7]);
    assert!(keys.is_sorted());
    assert_eq!(keys.len(), 27);

    let call = s3.list_objects_v2().bucket("layers").prefix("b/").delimiter("/");
    let page = call.send().await.unwrap();
    assert_eq!(page.common_prefixes()[0].prefix(), Some("b/1/"));
    assert_eq!((page.contents()[0].key(), page.contents()[0].size()), (Some("b/2"), Some(3)));
    assert!(page.contents()[0].e_tag().is_some() && page.contents()[0].last_modified().is_some());

    let call = s3.list_objects_v2().bucket("layers").start_after("a/23");
    let page = call.send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("a/24"));
    let page = s3.list_objects().bucket("layers").marker("a/23").max_keys(1).send().await.unwrap();
    assert_eq!((page.is_truncated(), page.contents()[0].key()), (Some(true), Some("a/24")));
    stack.stop().await;
}

#[tokio::test]
async fn large_objects_come_in_parts() {
    let (stack, s3) = start().await;
    let create = s3.create_multipart_upload().bucket("layers").key("large");
    let upload = create.storage_class(StorageClass::Glacier).send().await.unwrap();
    let id = upload.upload_id.unwrap();
    let mut parts = Vec::new();
    for (number, length) in [(1, 5 << 20), (2, 1000)] {
        let body = ByteStream::from(vec![b'0' + u8::try_from(number).unwrap(); length]);
        let call = s3.upload_part().bucket("layers").key("large").upload_id(&id);
        let part = call.part_number(number).body(body).send().await.unwrap();
        let e_tag = part.e_tag.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(e_tag).build());
    }
    assert_eq!(head(&s3, "layers", "large").await, 404);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = || {
        let call = s3.complete_multipart_upload().bucket("layers").key("large").upload_id(&id);
        call.multipart_upload(parts.clone()).send()
    };
    complete().await.unwrap();
    let head = s3.head_object().bucket("layers").key("large").send().await.unwrap();
    assert_eq!(head.content_length(), Some((5 << 20) + 1000));
    assert_eq!(head.storage_class, Some(StorageClass::Glacier));
    assert!(head.e_tag().unwrap().ends_with("-2\""));
    assert_eq!(complete().await.unwrap_err().code(), Some("NoSuchUpload"));

    // What `aws s3 cp` does from one key to another above 8 MB.
    put(&s3, "from", "0123456789").await;
    let upload = s3.create_multipart_upload().bucket("layers").key("copy").send().await.unwrap();
    let id = upload.upload_id.unwrap();
    let part = |source: &str, range: &str| {
        let call = s3.upload_part_copy().bucket("layers").key("copy").upload_id(&id);
        call.part_number(1).copy_source(source).copy_source_range(range).send()
    };
    let archived = part("layers/large", "bytes=0-4").await.unwrap_err();
    assert_eq!(archived.code(), Some("InvalidObjectState"));
    let copied = part("layers/from", "bytes=2-5").await.unwrap().copy_part_result.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(copied.e_tag.unwrap()).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = s3.complete_multipart_upload().bucket("layers").key("copy").upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap();
    assert_eq!(content(&s3, "copy").await, b"2345");

    let upload = s3.create_multipart_upload().bucket("layers").key("given-up").send().await;
    let id = upload.unwrap().upload_id.unwrap();
    let abort = s3.abort_multipart_upload().bucket("layers").key("given-up").upload_id(id);
    abort.send().await.unwrap();
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

    put(&s3, "more", "x").await;
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(object("to")).objects(object("more")).build().unwrap();
    let gone = s3.delete_objects().bucket("layers").delete(delete).send().await.unwrap();
    assert_eq!(gone.deleted().len(), 2);
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

#[tokio::test]
async fn another_access_key_is_refused() {
    let (stack, s3) = start().await;
    let credentials = aws_sdk_s3::config::Credentials::new("AKIDOTHER", "secret", None, None, "t");
    let config = s3.config().to_builder().credentials_provider(credentials).build();
    let error = Client::from_conf(config).list_buckets().send().await.unwrap_err();
    assert_eq!(error.code(), Some("NotSignedUp"));
    stack.stop().await;
}
