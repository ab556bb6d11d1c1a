//! Copies of objects.

use aws_sdk_s3::types::{MetadataDirective, StorageClass};

use crate::{code, content, put, start};

#[tokio::test]
async fn a_copy_to_itself_must_change_something() {
    let (stack, s3) = start().await;
    put(&s3, "k", "body").await;
    let copy = || s3.copy_object().bucket("layers").key("k").copy_source("layers/k");
    assert_eq!(code(copy().send().await), "InvalidRequest");
    assert_eq!(code(copy().metadata_directive("KEEP".into()).send().await), "InvalidArgument");
    copy().storage_class(StorageClass::StandardIa).send().await.unwrap();
    let replace = copy().metadata_directive(MetadataDirective::Replace).metadata("a", "b");
    replace.send().await.unwrap();
    let head = s3.head_object().bucket("layers").key("k").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["a"], "b");
    assert_eq!(content(&s3, "k").await, b"body");
    stack.stop().await;
}

#[tokio::test]
async fn a_copy_needs_both_buckets_and_its_source() {
    let (stack, s3) = start().await;
    put(&s3, "k", "body").await;
    let copy = |bucket: &str, source: &str| {
        s3.copy_object().bucket(bucket).key("to").copy_source(source).send()
    };
    assert_eq!(code(copy("no-such-bucket", "layers/k").await), "NoSuchBucket");
    assert_eq!(code(copy("layers", "no-such-bucket/k").await), "NoSuchBucket");
    assert_eq!(code(copy("layers", "layers/none").await), "NoSuchKey");
    copy("manifests", "layers/k").await.unwrap();
    stack.stop().await;
}
