//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, Part, StorageClass,
};

use crate::{code, content, head, put, start};

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
    assert_eq!(code(complete().await), "NoSuchUpload");

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

/// An upload to `key` of the layers.
struct Upload<'a> {
    s3: &'a Client,
    key: &'a str,
    id: String,
}

impl<'a> Upload<'a> {
    async fn create(s3: &'a Client, key: &'a str) -> Self {
        let upload = s3.create_multipart_upload().bucket("layers").key(key).send().await.unwrap();
        Self { s3, key, id: upload.upload_id.unwrap() }
    }

    async fn part(&self, number: i32, body: &[u8]) -> CompletedPart {
        let part = self.s3.upload_part().bucket("layers").key(self.key).upload_id(&self.id);
        let part = part.part_number(number).body(body.to_vec().into()).send().await.unwrap();
        CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
    }

    fn complete(&self, parts: &[CompletedPart]) -> CompleteMultipartUploadFluentBuilder {
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        let call = self.s3.complete_multipart_upload().bucket("layers").key(self.key);
        call.upload_id(&self.id).multipart_upload(upload)
    }
}

#[tokio::test]
async fn an_upload_is_completed_with_its_own_parts_in_order() {
    let (stack, s3) = start().await;
    let upload = Upload::create(&s3, "k").await;
    let large = vec![b'l'; 5 << 20];
    // Numbers may have gaps, and a part may be uploaded again.
    upload.part(2, b"replaced").await;
    let second = upload.part(2, &large).await;
    let fifth = upload.part(5, b"unused").await;
    let last = upload.part(9, b"last").await;
    let changed = |part: &CompletedPart| {
        CompletedPart::builder()
            .set_part_number(part.part_number)
            .e_tag("\"00000000000000000000000000000000\"")
            .build()
    };
    let unknown = CompletedPart::builder().part_number(3).set_e_tag(last.e_tag.clone()).build();
    for (parts, expected) in [
        (vec![], "MalformedXML"),
        (vec![last.clone(), second.clone()], "InvalidPartOrder"),
        (vec![second.clone(), second.clone()], "InvalidPartOrder"),
        (vec![second.clone(), changed(&last)], "InvalidPart"),
        (vec![second.clone(), unknown], "InvalidPart"),
        (vec![fifth, last.clone()], "EntityTooSmall"),
    ] {
        assert_eq!(code(upload.complete(&parts).send().await), expected);
        assert_eq!(head(&s3, "layers", "k").await, 404);
    }
    let parts = [second, last];
    let size = i64::try_from(large.len() + 4).unwrap();
    let wrong_size = upload.complete(&parts).mpu_object_size(size + 1);
    assert_eq!(code(wrong_size.send().await), "InvalidRequest");
    upload.complete(&parts).mpu_object_size(size).send().await.unwrap();
    assert_eq!(content(&s3, "k").await, [large.as_slice(), b"last"].concat());
    stack.stop().await;
}

#[tokio::test]
async fn an_upload_belongs_to_its_bucket_and_key() {
    let (stack, s3) = start().await;
    let upload = Upload::create(&s3, "k").await;
    let part = upload.part(1, b"body").await;
    let parts = CompletedMultipartUpload::builder().parts(part.clone()).build();
    put(&s3, "from", "body").await;
    for (bucket, key, id) in [
        ("layers", "other", upload.id.as_str()),
        ("manifests", "k", &upload.id),
        ("layers", "k", "no-such-upload"),
    ] {
        let call = s3.upload_part().bucket(bucket).key(key).upload_id(id).part_number(1);
        assert_eq!(code(call.send().await), "NoSuchUpload");
        let call = s3.upload_part_copy().bucket(bucket).key(key).upload_id(id).part_number(1);
        assert_eq!(code(call.copy_source("layers/from").send().await), "NoSuchUpload");
        let call = s3.list_parts().bucket(bucket).key(key).upload_id(id);
        assert_eq!(code(call.send().await), "NoSuchUpload");
        let call = s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
        assert_eq!(code(call.multipart_upload(parts.clone()).send().await), "NoSuchUpload");
        let call = s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
        assert_eq!(code(call.send().await), "NoSuchUpload");
        assert_eq!(head(&s3, bucket, key).await, 404);
    }
    upload.complete(&[part]).send().await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn part_numbers_and_ranges_have_their_bounds() {
    let (stack, s3) = start().await;
    put(&s3, "from", "0123456789").await;
    let upload = Upload::create(&s3, "k").await;
    let copy = || {
        let call = s3.upload_part_copy().bucket("layers").key("k").upload_id(&upload.id);
        call.copy_source("layers/from")
    };
    for number in [-1, 0, 10_001] {
        let call = s3.upload_part().bucket("layers").key("k").upload_id(&upload.id);
        assert_eq!(code(call.part_number(number).send().await), "InvalidArgument");
        assert_eq!(code(copy().part_number(number).send().await), "InvalidArgument");
    }
    upload.part(10_000, b"last").await;
    let copy = || copy().part_number(1);
    for range in ["bytes=2-", "bytes=-2", "bytes=5-2", "bytes=0-10", "bytes=10-10", "2-5"] {
        let call = copy().copy_source_range(range);
        assert_eq!(code(call.send().await), "InvalidArgument", "{range}");
    }
    let call = copy().copy_source_if_match("\"other\"");
    assert_eq!(code(call.send().await), "PreconditionFailed");
    let copied = copy().copy_source_range("bytes=0-9").send().await.unwrap();
    let part = CompletedPart::builder().part_number(1);
    let part = part.set_e_tag(copied.copy_part_result.unwrap().e_tag).build();
    upload.complete(&[part]).send().await.unwrap();
    assert_eq!(content(&s3, "k").await, b"0123456789");
    stack.stop().await;
}

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let (stack, s3) = start().await;
    let upload = Upload::create(&s3, "k").await;
    for number in [7, 3, 5] {
        upload.part(number, &vec![b'x'; usize::try_from(number).unwrap()]).await;
    }
    let list = || s3.list_parts().bucket("layers").key("k").upload_id(&upload.id);
    let page = list().max_parts(2).send().await.unwrap();
    let numbers: Vec<_> = page.parts().iter().filter_map(Part::part_number).collect();
    assert_eq!((numbers, page.is_truncated()), (vec![3, 5], Some(true)));
    let page = list().part_number_marker("5").send().await.unwrap();
    assert_eq!((page.parts()[0].part_number(), page.parts()[0].size()), (Some(7), Some(7)));
    assert!(page.parts()[0].e_tag().is_some() && page.is_truncated() == Some(false));
    assert_eq!(code(list().max_parts(-1).send().await), "InvalidArgument");
    stack.stop().await;
}

#[tokio::test]
async fn a_part_is_what_its_checksum_says() {
    let (stack, s3) = start().await;
    let upload = Upload::create(&s3, "k").await;
    let before = upload.part(1, b"before").await;
    let part = || {
        let call = s3.upload_part().bucket("layers").key("k").upload_id(&upload.id);
        call.part_number(1).body(b"after".to_vec().into())
    };
    for (call, expected) in [
        (part().checksum_crc32("AAAAAA=="), "BadDigest"),
        (part().content_md5("AAAAAAAAAAAAAAAAAAAAAA=="), "BadDigest"),
        (part().checksum_crc32("shrt"), "InvalidRequest"),
        (part().content_md5("shrt"), "InvalidDigest"),
        (part().checksum_crc32("AAAAAA==").checksum_crc32_c("AAAAAA=="), "InvalidRequest"),
    ] {
        assert_eq!(code(call.send().await), expected);
    }
    upload.complete(&[before]).send().await.unwrap();
    assert_eq!(content(&s3, "k").await, b"before");
    stack.stop().await;
}

#[tokio::test]
async fn an_upload_keeps_to_its_checksum_algorithm() {
    let (stack, s3) = start().await;
    let create = |algorithm: Option<ChecksumAlgorithm>, kind: Option<ChecksumType>| {
        let call = s3.create_multipart_upload().bucket("layers").key("k");
        call.set_checksum_algorithm(algorithm).set_checksum_type(kind).send()
    };
    let (full, composite) = (Some(ChecksumType::FullObject), Some(ChecksumType::Composite));
    for (algorithm, kind) in [
        (Some(ChecksumAlgorithm::Sha256), full.clone()),
        (Some(ChecksumAlgorithm::Crc64Nvme), composite),
        (Some("ROT13".into()), None),
        (None, full.clone()),
    ] {
        assert_eq!(code(create(algorithm, kind).await), "InvalidRequest");
    }

    let created = create(Some(ChecksumAlgorithm::Sha256), None).await.unwrap();
    assert_eq!(created.checksum_type, Some(ChecksumType::Composite));
    let upload = Upload { s3: &s3, key: "k", id: created.upload_id.unwrap() };
    let part = || {
        let call = s3.upload_part().bucket("layers").key("k").upload_id(&upload.id);
        call.part_number(1).body(b"body".to_vec().into())
    };
    assert_eq!(code(part().checksum_crc32("26gLsg==").send().await), "InvalidRequest");
    let sent = part().checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let sha256 = sent.checksum_sha256().unwrap();
    let part = || CompletedPart::builder().part_number(1).set_e_tag(sent.e_tag.clone());
    let missing = upload.complete(&[part().build()]).send().await.unwrap_err();
    assert_eq!(missing.code(), Some("InvalidRequest"));
    assert!(missing.message().unwrap().contains("It was missing for part 1 in the request."));
    let wrong = part().checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").build();
    assert_eq!(code(upload.complete(&[wrong]).send().await), "InvalidPart");
    let parts = [part().checksum_sha256(sha256).build()];
    let wrong = upload.complete(&parts).checksum_sha256(format!("{sha256}-1"));
    assert_eq!(code(wrong.send().await), "BadDigest");
    // SHA-256 of the part's SHA-256.
    let object = "uOemU6mSH0g+rA1demjscWo6W9HVP4CM4q/ptGsWR1A=-1";
    upload.complete(&parts).checksum_sha256(object).send().await.unwrap();

    let created = create(Some(ChecksumAlgorithm::Crc32), full).await.unwrap();
    let upload = Upload { s3: &s3, key: "k", id: created.upload_id.unwrap() };
    let part = upload.part(1, b"body").await;
    let wrong = upload.complete(std::slice::from_ref(&part)).checksum_crc32("AAAAAA==");
    assert_eq!(code(wrong.send().await), "BadDigest");
    upload.complete(&[part]).checksum_crc32("26gLsg==").send().await.unwrap();
    stack.stop().await;
}
