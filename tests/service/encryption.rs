//! Repositories that encrypt under a KMS key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local_aws::Fault;
use serde_json::{Value, json};

use crate::harness::*;
use crate::limits;

const ARN: &str = "arn:aws:ecr:us-west-2:012345678910:repository/app";

/// A service whose repository `app` encrypts under a new key, and the key's ARN.
pub(crate) async fn encrypted(kind: &str) -> (Service, String) {
    let service = Service::with(|_| {}).await;
    let key = service.kms.create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap();
    let settings = json!({ "encryptionConfiguration": { "encryptionType": kind, "kmsKey": key } });
    service.create_repository("app", settings).await;
    (service, key)
}

fn kms_message(code: &str) -> String {
    format!(
        "KMS answered {code} for the encryption key of the repository with name 'app' in the \
         registry with id '{ACCOUNT}'"
    )
}

/// Opens a sealed image manifest of repository `app` as the documentation describes.
pub(crate) async fn open(service: &Service, sealed: &[u8], digest: &str, length: usize) -> Vec<u8> {
    let end = sealed.iter().position(|&byte| byte == b'\n').unwrap();
    let header: Value = serde_json::from_slice(&sealed[..end]).unwrap();
    assert_eq!(header["version"], 1);
    let bytes = |member: &str| BASE64_STANDARD.decode(header[member].as_str().unwrap()).unwrap();
    let decrypt = service
        .kms
        .decrypt()
        .key_id(header["keyArn"].as_str().unwrap())
        .ciphertext_blob(Blob::new(bytes("dataKey")))
        .encryption_context("aws:ecr:arn", ARN);
    let key = decrypt.send().await.unwrap().plaintext.unwrap().into_inner();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&bytes("nonce")).unwrap();
    let additional = format!("1\n{ARN}\n{digest}\n{OCI_IMAGE}\n{length}");
    let mut text = sealed[end + 1..].to_vec();
    let plain = key.open_in_place(nonce, Aad::from(additional), &mut text).unwrap();
    plain.to_vec()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn nothing_stored_is_readable_without_the_key() {
    for kind in ["KMS", "KMS_DSSE"] {
        let (service, key) = encrypted(kind).await;
        let manifest = image("a");
        let digest = service.push("app", &manifest, Some("v1")).await.digest();
        let sealed = service.manifest_item("app", &digest).await.unwrap();
        let sealed = sealed["body"].as_b().unwrap().as_ref().to_vec();
        assert!(!contains(&sealed, b"schemaVersion"));
        let header: Value =
            serde_json::from_slice(sealed.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
        assert_eq!(header["keyArn"], key.as_str());
        let plain = open(&service, &sealed, &digest, manifest.len()).await;
        assert_eq!(plain, manifest.as_bytes());

        let stored = format!("{:?}", service.stored().await.items);
        assert!(!stored.contains(&sha256("layer of a")), "a layer's digest stands outside");
        assert_eq!(s(&service.image_item("app", &digest).await.unwrap(), "encryption"), kind);
    }
}

#[tokio::test]
async fn each_image_has_its_own_data_key_and_a_tag_needs_no_key() {
    let (service, _) = encrypted("KMS").await;
    service.push("app", &image("a"), Some("a")).await;
    service.push("app", &image("b"), Some("b")).await;
    assert_eq!(service.faults.count("GenerateDataKey"), 2);
    let call =
        &service.faults.calls().into_iter().find(|c| c.operation == "GenerateDataKey").unwrap();
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(body["EncryptionContext"], json!({ "aws:ecr:arn": ARN }));
    service.put(request("app", &image("a"), Some("c"))).await;
    service.put(request("app", &image("a"), Some("b"))).await;
    assert_eq!(service.faults.count("GenerateDataKey"), 2);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn a_key_that_cannot_be_used_fails_closed() {
    let (service, key) = encrypted("KMS").await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let fails = async |code: &str| {
        let before = service.stored().await;
        let response = service.put(request("app", &manifest, Some("v1"))).await;
        assert_eq!(
            response.json,
            json!({ "__type": "KmsException", "message": kms_message(code), "kmsError": code })
        );
        assert_eq!(response.status, 400);
        assert_eq!(response.headers["x-amzn-errortype"], "KmsException");
        assert_eq!(service.stored().await, before);
    };
    service.kms.disable_key().key_id(&key).send().await.unwrap();
    fails("DisabledException").await;
    service.kms.enable_key().key_id(&key).send().await.unwrap();
    service.kms.schedule_key_deletion().key_id(&key).send().await.unwrap();
    fails("KMSInvalidStateException").await;
    service.kms.cancel_key_deletion().key_id(&key).send().await.unwrap();
    service.kms.enable_key().key_id(&key).send().await.unwrap();
    let deny = r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:GenerateDataKey","Resource":"*"}]}"#;
    service.kms.put_key_policy().key_id(&key).policy(deny).send().await.unwrap();
    fails("AccessDeniedException").await;
    service.kms.put_key_policy().key_id(&key).policy("{}").send().await.unwrap();
    let gone = "arn:aws:kms:us-west-2:012345678910:key/11111111-2222-3333-4444-555555555555";
    service.change_repository("app", "kmsKey", AttributeValue::S(gone.into())).await;
    fails("NotFoundException").await;
    service.change_repository("app", "kmsKey", AttributeValue::S(key)).await;
    assert_eq!(service.put(request("app", &manifest, Some("v1"))).await.status, 200);
}

#[tokio::test]
async fn every_kms_code_has_its_response() {
    // Code, status, number of requests to KMS, and whether the client sees the code.
    let rows = [
        ("NotFoundException", 400, 1, true),
        ("DisabledException", 400, 1, true),
        ("KeyUnavailableException", 500, 3, true),
        ("DependencyTimeoutException", 503, 3, true),
        ("InvalidKeyUsageException", 400, 1, true),
        ("InvalidGrantTokenException", 400, 1, true),
        ("KMSInternalException", 500, 3, true),
        ("KMSInvalidStateException", 400, 1, true),
        ("AccessDeniedException", 400, 1, true),
        ("ThrottlingException", 400, 3, true),
        ("LimitExceededException", 400, 3, true),
        ("UnrecognizedClientException", 400, 1, false),
        ("ExpiredTokenException", 400, 1, false),
        ("InvalidSignatureException", 400, 1, false),
    ];
    let (service, _) = encrypted("KMS").await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let before = service.stored().await;
    for (code, status, requests, reported) in rows {
        let message = "key arn:aws:kms:us-west-2:012345678910:key/secret";
        service.faults.always("GenerateDataKey", Fault::Answer { status, code, message });
        service.faults.reset_calls();
        let response = service.put(request("app", &manifest, Some("v1"))).await;
        if reported {
            assert_eq!(response.json["__type"], "KmsException", "{code}");
            assert_eq!(response.json["kmsError"], code);
            assert_eq!(response.json["message"], kms_message(code));
        } else {
            response.is_server_exception();
        }
        assert!(!response.text.contains("arn:"), "{}", response.text);
        assert_eq!(service.faults.count("GenerateDataKey"), requests, "{code}");
        assert_eq!(service.stored().await, before, "{code}");
    }
    // KMS does not respond at all.
    for (fault, requests) in [
        (Fault::DropBefore, 3),
        (Fault::DropAfter, 3),
        (Fault::Refuse, 3),
        (Fault::TruncateBody, 3),
        (Fault::Garbage(200), 1),
        (Fault::Garbage(502), 3),
        (Fault::Garbage(400), 1),
    ] {
        let service = service.restarted();
        service.faults.always("GenerateDataKey", fault.clone());
        service.faults.reset_calls();
        service.put(request("app", &manifest, Some("v1"))).await.is_server_exception();
        assert_eq!(service.faults.count("GenerateDataKey"), requests, "{fault:?}");
        assert_eq!(service.stored().await, before, "{fault:?}");
    }
}

#[tokio::test]
async fn errors_found_without_the_key_are_returned_without_it() {
    let (service, key) = encrypted("KMS").await;
    service.push("app", &image("a"), Some("a")).await;
    service.kms.disable_key().key_id(&key).send().await.unwrap();
    let layers = digests_in(&image("b"));
    let message = layers_not_found(&layers.iter().map(String::as_str).collect::<Vec<_>>());
    let body = request("app", &image("b"), Some("b"));
    service.rejects(body, "LayersNotFoundException", &message).await;
    let body = request("app", &image("a"), Some("a"));
    let message = already_exists(&sha256(&image("a")), Some("a"));
    service.rejects(body, "ImageAlreadyExistsException", &message).await;
    // Retagging needs no key.
    assert_eq!(service.put(request("app", &image("a"), Some("c"))).await.status, 200);

    let child = image("child");
    let body = request("app", &index(&[&child]), Some("i"));
    let message = images_not_found(&[&sha256(&child)]);
    service.rejects(body, "ReferencedImagesNotFoundException", &message).await;
    service.upload_layers_of("app", &image("b")).await;
    let full = AttributeValue::N("100000".to_owned());
    service.change_repository("app", "imageCount", full).await;
    let body = request("app", &image("b"), Some("b"));
    service.rejects(body, limits::CODE, &limits::full(100_000)).await;
    let immutable = AttributeValue::S("IMMUTABLE".to_owned());
    service.change_repository("app", "mutability", immutable).await;
    let body = request("app", &image("b"), Some("a"));
    service.rejects(body, "ImageTagAlreadyExistsException", &tag_immutable("a")).await;
}

#[tokio::test]
async fn errors_of_the_buckets_key_reach_the_client_and_those_of_the_tables_key_do_not() {
    let service = Service::start().await;
    let big = crate::large::image_of_bytes(100 * 1024);
    service.upload_layers_of("app", &big).await;
    let error = |status, code| Fault::Answer { status, code, message: "arn:aws:kms:x" };
    for (status, code) in [
        (400, "KMS.DisabledException"),
        (400, "KMS.NotFoundException"),
        (400, "KMS.KMSInvalidStateException"),
        (400, "KMS.ThrottlingException"),
        (403, "KMS.AccessDeniedException"),
        (500, "KMS.KMSInternalException"),
    ] {
        service.faults.always("PutObject", error(status, code));
        let before = service.stored().await;
        let response = service.put(request("app", &big, Some("v1"))).await;
        let kms = &code["KMS.".len()..];
        assert_eq!(
            response.json,
            json!({ "__type": "KmsException", "message": kms_message(kms), "kmsError": kms })
        );
        assert_eq!(service.stored().await, before);
    }
    service.faults.clear();
    service.upload_layers_of("app", &image("a")).await;
    for operation in ["BatchGetItem", "TransactWriteItems"] {
        service.faults.always(operation, error(400, "AccessDeniedException"));
        let before = service.stored().await;
        service.put(request("app", &image("a"), Some("v1"))).await.is_server_exception();
        assert_eq!(service.stored().await, before);
        service.faults.clear();
    }
}

#[tokio::test]
async fn a_manifest_of_4_mib_is_sealed_in_s3_and_opens_byte_for_byte() {
    let (service, _) = encrypted("KMS").await;
    let manifest = crate::large::image_of_bytes(4_194_304);
    let digest = service.push("app", &manifest, Some("v1")).await.digest();
    let image = service.image_item("app", &digest).await.unwrap();
    let stored = service.stored().await;
    assert_eq!(stored.bodies, [s(&image, "bodyKey")]);
    assert!(service.manifest_item("app", &digest).await.is_none());
    let sealed = crate::large::body(&service, &stored.bodies[0]).await;
    assert!(!contains(&sealed, b"schemaVersion"));
    assert_eq!(open(&service, &sealed, &digest, manifest.len()).await, manifest.as_bytes());
}
