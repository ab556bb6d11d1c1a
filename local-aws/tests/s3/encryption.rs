//! Encryption headers, and the KMS keys behind them.

use aws_sdk_kms::types::KeyUsageType;
use aws_sdk_s3::types::ServerSideEncryption;
use local_aws::Stack;

use crate::{code, put, start};

fn kms(stack: &Stack) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::new(&stack.sdk_config())
}

#[tokio::test]
async fn encryption_headers_are_kept() {
    let (stack, s3) = start().await;
    let key = kms(&stack).create_key().send().await.unwrap().key_metadata.unwrap();
    let key_arn = key.arn().unwrap();
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
    // It is no MD5 under a KMS key.
    assert_ne!(head.e_tag(), Some("\"841a2d689ad86bd1611447453c22c6fc\""));
    assert_eq!((written.e_tag(), read.e_tag()), (head.e_tag(), head.e_tag()));

    put(&s3, "plain", "body").await;
    let head = s3.head_object().bucket("layers").key("plain").send().await.unwrap();
    assert_eq!(head.server_side_encryption, Some(ServerSideEncryption::Aes256));
    assert_eq!(head.storage_class, None);
    assert_eq!(head.e_tag(), Some("\"841a2d689ad86bd1611447453c22c6fc\""));
    stack.stop().await;
}

#[tokio::test]
async fn objects_are_encrypted_with_keys_that_kms_would_use() {
    let (stack, s3) = start().await;
    let kms = kms(&stack);
    let create = || async { kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id };
    let put_object = |key: &str| {
        s3.put_object()
            .bucket("layers")
            .key("k")
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(key)
            .send()
    };
    let key = create().await;
    kms.create_alias().alias_name("alias/objects").target_key_id(&key).send().await.unwrap();
    let written = put_object("alias/objects").await.unwrap();
    assert!(written.ssekms_key_id().unwrap().ends_with(&format!(":key/{key}")));

    let get = || s3.get_object().bucket("layers").key("k").send();
    let copy = || s3.copy_object().bucket("layers").key("to").copy_source("layers/k").send();
    kms.disable_key().key_id(&key).send().await.unwrap();
    assert_eq!(code(put_object(&key).await), "KMS.DisabledException");
    assert_eq!(code(get().await), "KMS.DisabledException");
    assert_eq!(code(copy().await), "KMS.DisabledException");
    s3.head_object().bucket("layers").key("k").send().await.unwrap();
    kms.schedule_key_deletion().key_id(&key).send().await.unwrap();
    assert_eq!(code(put_object(&key).await), "KMS.KMSInvalidStateException");
    assert_eq!(code(get().await), "KMS.KMSInvalidStateException");

    assert_eq!(code(put_object("alias/none").await), "KMS.NotFoundException");
    let rsa = kms.create_key().key_spec("RSA_2048".into());
    let rsa = rsa.key_usage(KeyUsageType::EncryptDecrypt).send().await.unwrap();
    let rsa = rsa.key_metadata.unwrap().key_id;
    assert_eq!(code(put_object(&rsa).await), "KMS.InvalidKeyUsageException");

    let denied = create().await;
    let deny =
        r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:GenerateDataKey*"}]}"#;
    kms.put_key_policy().key_id(&denied).policy(deny).send().await.unwrap();
    assert_eq!(code(put_object(&denied).await), "AccessDenied");
    let upload = s3.create_multipart_upload().bucket("layers").key("k");
    let upload = upload.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(&denied);
    assert_eq!(code(upload.send().await), "AccessDenied");
    stack.stop().await;
}

#[tokio::test]
async fn other_encryption_is_rejected() {
    let (stack, s3) = start().await;
    let put_object = || s3.put_object().bucket("layers").key("k").body(b"body".to_vec().into());
    for (call, expected) in [
        (put_object().server_side_encryption("ROT13".into()), "InvalidArgument"),
        (put_object().ssekms_key_id("alias/objects"), "InvalidArgument"),
        (
            put_object().server_side_encryption(ServerSideEncryption::Aes256).ssekms_key_id("a"),
            "InvalidArgument",
        ),
        (put_object().sse_customer_algorithm("AES256"), "InvalidRequest"),
        (put_object().server_side_encryption(ServerSideEncryption::AwsKmsDsse), "Ok"),
    ] {
        assert_eq!(code(call.send().await), expected);
    }
    let get = s3.get_object().bucket("layers").key("k").sse_customer_algorithm("AES256");
    assert_eq!(code(get.send().await), "InvalidRequest");
    stack.stop().await;
}
