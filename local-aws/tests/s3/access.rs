//! Credentials, bucket owners, and headers that buckets reject.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::types::ObjectCannedAcl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{code, content, put, start, status};

#[tokio::test]
async fn another_access_key_is_rejected() {
    let (stack, s3) = start().await;
    let credentials = Credentials::new("AKIDOTHER", "secret", None, None, "t");
    let config = s3.config().to_builder().credentials_provider(credentials).build();
    let list = Client::from_conf(config).list_buckets().send().await;
    assert_eq!(code(list), "InvalidAccessKeyId");

    let key = local_aws::ACCESS_KEY_ID;
    let credentials = Credentials::new(key, "another secret", None, None, "t");
    let config = s3.config().to_builder().credentials_provider(credentials).build();
    let list = Client::from_conf(config).list_buckets().send().await;
    assert_eq!(code(list), "SignatureDoesNotMatch");

    // An unsigned request.
    let s3_url = stack.s3_url();
    let mut connection = TcpStream::connect(s3_url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = b"GET /layers HTTP/1.1\r\nhost: s3\r\nconnection: close\r\n\r\n";
    connection.write_all(request).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    assert!(response.contains("<Code>AccessDenied</Code>"), "{response}");
    stack.stop().await;
}

#[tokio::test]
async fn the_bucket_owner_must_be_the_expected_one() {
    let (stack, s3) = start().await;
    put(&s3, "k", "body").await;
    let upload = s3.create_multipart_upload().bucket("layers").key("k").send().await.unwrap();
    let id = upload.upload_id.unwrap();
    for (owner, expected) in [
        ("012345678910", "Ok"),
        ("999999999999", "AccessDenied"),
        ("12345", "InvalidBucketOwnerAWSAccountID"),
        ("01234567891x", "InvalidBucketOwnerAWSAccountID"),
    ] {
        let put = s3.put_object().bucket("layers").key("new").expected_bucket_owner(owner);
        assert_eq!(code(put.send().await), expected);
        let get = s3.get_object().bucket("layers").key("k").expected_bucket_owner(owner);
        assert_eq!(code(get.send().await), expected);
        let list = s3.list_objects_v2().bucket("layers").expected_bucket_owner(owner);
        assert_eq!(code(list.send().await), expected);
        let part = s3.upload_part().bucket("layers").key("k").upload_id(&id).part_number(1);
        assert_eq!(code(part.expected_bucket_owner(owner).send().await), expected);
        let copy = s3.copy_object().bucket("layers").key("to").copy_source("layers/k");
        assert_eq!(code(copy.clone().expected_bucket_owner(owner).send().await), expected);
        assert_eq!(code(copy.expected_source_bucket_owner(owner).send().await), expected);
        let delete = s3.delete_object().bucket("layers").key("new").expected_bucket_owner(owner);
        assert_eq!(code(delete.send().await), expected);
        let head = s3.head_object().bucket("layers").key("k").expected_bucket_owner(owner);
        let expected = match expected {
            "Ok" => 200,
            "AccessDenied" => 403,
            _ => 400,
        };
        assert_eq!(status(head.send().await), expected);
    }
    stack.stop().await;
}

#[tokio::test]
async fn buckets_have_no_acls_no_locks_and_no_versions() {
    let (stack, s3) = start().await;
    let put_object = || s3.put_object().bucket("layers").key("k").body(b"body".to_vec().into());
    let owner = ObjectCannedAcl::BucketOwnerFullControl;
    put_object().acl(owner).send().await.unwrap();
    for (call, expected) in [
        (put_object().acl(ObjectCannedAcl::PublicRead), "AccessControlListNotSupported"),
        (put_object().grant_read("id=1"), "AccessControlListNotSupported"),
        (put_object().object_lock_mode("COMPLIANCE".into()), "InvalidRequest"),
        (put_object().write_offset_bytes(4), "NotImplemented"),
        (put_object().metadata("k", "v".repeat(2048)), "MetadataTooLarge"),
        (put_object().metadata("k", "v".repeat(2047)), "Ok"),
    ] {
        assert_eq!(code(call.send().await), expected);
    }
    let get = || s3.get_object().bucket("layers").key("k");
    get().version_id("null").send().await.unwrap();
    assert_eq!(code(get().version_id("1").send().await), "InvalidArgument");
    let head = s3.head_object().bucket("layers").key("k").version_id("1");
    assert_eq!(status(head.send().await), 400);
    let copy = s3.copy_object().bucket("layers").key("to").copy_source("layers/k?versionId=1");
    assert_eq!(code(copy.send().await), "InvalidArgument");
    let delete = s3.delete_object().bucket("layers").key("k").version_id("1");
    assert_eq!(code(delete.send().await), "InvalidArgument");
    assert_eq!(content(&s3, "k").await, b"body");
    stack.stop().await;
}
