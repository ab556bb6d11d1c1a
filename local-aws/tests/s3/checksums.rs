//! The checksums that clients send.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

use crate::{code, content, head, put, start};

/// Of `body`.
const SHA256: &str = "Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=";
const MD5: &str = "hBotaJrYa9FhFEdFPCLG/A==";

/// A client that adds no checksum by itself.
fn without_checksums(s3: &Client) -> Client {
    let config = s3.config().to_builder();
    let never = RequestChecksumCalculation::WhenRequired;
    Client::from_conf(config.request_checksum_calculation(never).build())
}

fn put_body(s3: &Client, key: &str) -> PutObjectFluentBuilder {
    s3.put_object().bucket("layers").key(key).body(b"body".to_vec().into())
}

#[tokio::test]
async fn a_wrong_checksum_stores_nothing() {
    let (stack, s3) = start().await;
    put(&s3, "kept", "before").await;
    for key in ["kept", "new"] {
        for call in [
            put_body(&s3, key).checksum_crc32("AAAAAA=="),
            put_body(&s3, key).checksum_crc32_c("AAAAAA=="),
            put_body(&s3, key).checksum_crc64_nvme("AAAAAAAAAAA="),
            put_body(&s3, key).checksum_sha1("AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            put_body(&s3, key).checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            put_body(&s3, key).content_md5("AAAAAAAAAAAAAAAAAAAAAA=="),
        ] {
            assert_eq!(code(call.send().await), "BadDigest");
        }
    }
    assert_eq!(content(&s3, "kept").await, b"before");
    assert_eq!(head(&s3, "layers", "new").await, 404);

    let right = put_body(&s3, "right").checksum_algorithm(ChecksumAlgorithm::Sha256);
    assert_eq!(right.send().await.unwrap().checksum_sha256(), Some(SHA256));
    put_body(&s3, "right").checksum_sha256(SHA256).send().await.unwrap();
    put_body(&s3, "right").content_md5(MD5).send().await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn a_checksum_has_its_length_and_is_the_only_one() {
    let (stack, s3) = start().await;
    let plain = without_checksums(&s3);
    for (call, expected) in [
        (put_body(&s3, "k").checksum_crc32("short==="), "InvalidRequest"),
        (put_body(&s3, "k").checksum_crc32("shrt"), "InvalidRequest"),
        (put_body(&s3, "k").checksum_crc32("^^^^^^=="), "InvalidRequest"),
        (put_body(&s3, "k").checksum_sha256("AAAAAA=="), "InvalidRequest"),
        (put_body(&s3, "k").checksum_sha256(SHA256).checksum_crc32("26gLsg=="), "InvalidRequest"),
        (put_body(&s3, "k").content_md5("AAAAAA=="), "InvalidDigest"),
        (put_body(&s3, "k").content_md5("no Base64"), "InvalidDigest"),
    ] {
        assert_eq!(code(call.send().await), expected);
    }
    for (algorithm, checksum, expected) in [
        ("SHA256", None, "InvalidRequest"),
        ("SHA1", Some(SHA256), "InvalidRequest"),
        ("ROT13", Some(SHA256), "InvalidRequest"),
        ("SHA256", Some(SHA256), "Ok"),
    ] {
        let call = put_body(&plain, "k").set_checksum_sha256(checksum.map(str::to_owned));
        let call = call.customize().mutate_request(move |request| {
            request.headers_mut().insert("x-amz-sdk-checksum-algorithm", algorithm);
        });
        assert_eq!(code(call.send().await), expected, "{algorithm}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_checksum_that_follows_the_body_counts() {
    let (stack, s3) = start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body");
    std::fs::write(&path, "body").unwrap();
    // The SDK sends a file's checksum in a trailer.
    let body = aws_sdk_s3::primitives::ByteStream::from_path(&path).await.unwrap();
    let call = s3.put_object().bucket("layers").key("file").body(body);
    let written = call.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    assert_eq!(written.checksum_sha256(), Some(SHA256));
    assert_eq!(content(&s3, "file").await, b"body");
    stack.stop().await;
}

#[tokio::test]
async fn checksums_are_returned_on_request() {
    let (stack, s3) = start().await;
    put_body(&s3, "k").checksum_sha256(SHA256).send().await.unwrap();
    let call = || s3.head_object().bucket("layers").key("k");
    assert_eq!(call().send().await.unwrap().checksum_sha256(), None);
    let asked = call().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(asked.checksum_sha256(), Some(SHA256));
    stack.stop().await;
}
