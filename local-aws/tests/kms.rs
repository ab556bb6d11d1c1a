//! KMS through the SDK: key states, error codes, encryption context.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState, KeyUsageType};
use local_aws::{Options, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn start() -> (Stack, Client) {
    let stack = Stack::start(Options::default()).await.unwrap();
    let client = Client::new(&stack.sdk_config());
    (stack, client)
}

async fn create_key(kms: &Client) -> String {
    let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
    assert_eq!(key.key_state, Some(KeyState::Enabled));
    key.arn.unwrap()
}

/// The code and the message of a refusal.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, SdkError<E, R>>,
) -> (String, String) {
    let error = result.unwrap_err();
    (error.code().unwrap().to_owned(), error.message().unwrap_or_default().to_owned())
}

/// What `GenerateDataKey` answers for a key: `Ok`, or the code.
async fn outcome(kms: &Client, key: &str) -> String {
    let call = kms.generate_data_key().key_id(key).key_spec(DataKeySpec::Aes256).send().await;
    match call {
        Ok(_) => "Ok".to_owned(),
        Err(error) => error.code().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn a_data_key_comes_back_with_its_context_only() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    assert!(arn.starts_with("arn:aws:kms:us-west-2:012345678910:key/"));
    let sealed = kms
        .generate_data_key()
        .key_id(&arn)
        .key_spec(DataKeySpec::Aes256)
        .encryption_context("aws:ecr:arn", "arn:aws:ecr:us-west-2:012345678910:repository/app")
        .encryption_context("other", "value")
        .send()
        .await
        .unwrap();
    assert_eq!(sealed.key_id.as_ref(), Some(&arn));
    let plaintext = sealed.plaintext.unwrap().into_inner();
    assert_eq!(plaintext.len(), 32);
    let blob = sealed.ciphertext_blob.unwrap();

    let decrypt = |pairs: &[(&str, &str)]| {
        let call = kms.decrypt().ciphertext_blob(blob.clone());
        pairs.iter().fold(call, |call, (name, value)| call.encryption_context(*name, *value)).send()
    };
    let repository = ("aws:ecr:arn", "arn:aws:ecr:us-west-2:012345678910:repository/app");
    let opened = decrypt(&[("other", "value"), repository]).await.unwrap();
    assert_eq!(opened.plaintext.unwrap().into_inner(), plaintext);
    assert_eq!(opened.key_id, Some(arn));
    for wrong in [&[][..], &[repository], &[repository, ("other", "changed")]] {
        assert_eq!(refusal(decrypt(wrong).await).0, "InvalidCiphertextException");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_changed_or_foreign_ciphertext_is_refused() {
    let (stack, kms) = start().await;
    let (arn, other) = (create_key(&kms).await, create_key(&kms).await);
    let sealed = kms.generate_data_key().key_id(&arn).number_of_bytes(16).send().await.unwrap();
    let blob = sealed.ciphertext_blob.unwrap().into_inner();
    let mut changed = blob.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [changed, blob[..40].to_vec(), b"short".to_vec(), vec![0xff; 100]] {
        let call = kms.decrypt().ciphertext_blob(Blob::new(bad)).send().await;
        assert_eq!(refusal(call).0, "InvalidCiphertextException");
    }
    let call = kms.decrypt().ciphertext_blob(Blob::new(blob)).key_id(other).send().await;
    assert_eq!(refusal(call).0, "IncorrectKeyException");
    stack.stop().await;
}

#[tokio::test]
async fn states_refuse_as_kms_does() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    assert_eq!(outcome(&kms, &arn).await, "Ok");

    kms.disable_key().key_id(&arn).send().await.unwrap();
    let call = kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256).send().await;
    assert_eq!(refusal(call), ("DisabledException".to_owned(), format!("{arn} is disabled.")));
    kms.enable_key().key_id(&arn).send().await.unwrap();
    assert_eq!(outcome(&kms, &arn).await, "Ok");

    let scheduled =
        kms.schedule_key_deletion().key_id(&arn).pending_window_in_days(7).send().await.unwrap();
    assert_eq!(scheduled.key_state, Some(KeyState::PendingDeletion));
    assert!(scheduled.deletion_date.is_some());
    let described = kms.describe_key().key_id(&arn).send().await.unwrap().key_metadata.unwrap();
    assert!(!described.enabled);
    assert_eq!(described.deletion_date, scheduled.deletion_date);
    let call = kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256).send().await;
    let expected = ("KMSInvalidStateException".to_owned(), format!("{arn} is pending deletion."));
    assert_eq!(refusal(call), expected);
    let call = kms.enable_key().key_id(&arn).send().await;
    assert_eq!(refusal(call).0, "KMSInvalidStateException");

    kms.cancel_key_deletion().key_id(&arn).send().await.unwrap();
    assert_eq!(outcome(&kms, &arn).await, "DisabledException");
    let call = kms.cancel_key_deletion().key_id(&arn).send().await;
    assert_eq!(refusal(call).0, "KMSInvalidStateException");
    stack.stop().await;
}

#[tokio::test]
async fn a_signing_key_makes_no_data_keys() {
    let (stack, kms) = start().await;
    let created = kms.create_key().key_usage(KeyUsageType::SignVerify).send().await.unwrap();
    let arn = created.key_metadata.unwrap().arn.unwrap();
    let call = kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256).send().await;
    let (code, message) = refusal(call);
    assert_eq!(code, "InvalidKeyUsageException");
    assert!(message.contains("key usage is SIGN_VERIFY which is not valid for GenerateDataKey"));
    stack.stop().await;
}

#[tokio::test]
async fn unknown_keys_are_not_found_wherever_they_claim_to_be() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let id = arn.rsplit('/').next().unwrap();
    assert_eq!(outcome(&kms, id).await, "Ok");
    for unknown in [
        "0d5a8f57-0000-4000-8000-000000000000",
        "arn:aws:kms:us-west-2:012345678910:key/0d5a8f57-0000-4000-8000-000000000000",
        &format!("arn:aws:kms:eu-west-1:012345678910:key/{id}"),
        &format!("arn:aws:kms:us-west-2:999999999999:key/{id}"),
        "alias/none",
        "arn:aws:kms:us-west-2:012345678910:alias/none",
        "../../etc/passwd",
    ] {
        assert_eq!(outcome(&kms, unknown).await, "NotFoundException", "{unknown}");
    }
    let call = kms.describe_key().key_id("alias/none").send().await;
    let message = "Alias arn:aws:kms:us-west-2:012345678910:alias/none is not found.";
    assert_eq!(refusal(call).1, message);
    stack.stop().await;
}

#[tokio::test]
async fn aliases_move_between_keys() {
    let (stack, kms) = start().await;
    let (first, second) = (create_key(&kms).await, create_key(&kms).await);
    let create = || kms.create_alias().alias_name("alias/app").target_key_id(&first).send();
    create().await.unwrap();
    assert_eq!(refusal(create().await).0, "AlreadyExistsException");
    let target = async || {
        let call = kms.generate_data_key().key_id("alias/app").key_spec(DataKeySpec::Aes128);
        call.send().await.unwrap().key_id.unwrap()
    };
    assert_eq!(target().await, first);
    kms.update_alias().alias_name("alias/app").target_key_id(&second).send().await.unwrap();
    assert_eq!(target().await, second);
    let aliases = kms.list_aliases().send().await.unwrap().aliases.unwrap();
    assert_eq!(aliases[0].alias_name(), Some("alias/app"));
    assert_eq!(kms.list_keys().send().await.unwrap().keys.unwrap().len(), 2);
    kms.delete_alias().alias_name("alias/app").send().await.unwrap();
    assert_eq!(outcome(&kms, "alias/app").await, "NotFoundException");
    let call = kms.create_alias().alias_name("alias/b").target_key_id("alias/app").send().await;
    assert_eq!(call.unwrap_err().code(), Some("NotFoundException"), "an alias is no key");
    let call = kms.create_alias().alias_name("app").target_key_id(&first).send().await;
    assert_eq!(refusal(call).0, "ValidationException");
    stack.stop().await;
}

#[tokio::test]
async fn a_deny_in_the_key_policy_counts() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let policy = |effect: &str, action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{{"AWS":"*"}},"Action":"{action}","Resource":"*"}}]}}"#
        )
    };
    let put = |policy: String| kms.put_key_policy().key_id(&arn).policy(policy).send();
    for denied in ["kms:GenerateDataKey", "kms:*"] {
        put(policy("Deny", denied)).await.unwrap();
        let call = kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256).send().await;
        let (code, message) = refusal(call);
        assert_eq!(code, "AccessDeniedException");
        assert!(message.contains("not authorized to perform: kms:GenerateDataKey"), "{message}");
    }
    put(policy("Allow", "kms:*")).await.unwrap();
    assert_eq!(outcome(&kms, &arn).await, "Ok");
    assert_eq!(refusal(put("{".into()).await).0, "MalformedPolicyDocumentException");
    stack.stop().await;
}

#[tokio::test]
async fn bad_input_is_a_validation_exception() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let generate = || kms.generate_data_key().key_id(&arn);
    for call in [
        generate(),
        generate().key_spec(DataKeySpec::Aes256).number_of_bytes(32),
        generate().number_of_bytes(0),
        generate().number_of_bytes(1025),
        generate().number_of_bytes(-1),
        generate().key_spec(DataKeySpec::from("AES_512")),
    ] {
        assert_eq!(refusal(call.send().await).0, "ValidationException");
    }
    let call = kms.schedule_key_deletion().key_id(&arn).pending_window_in_days(1).send().await;
    assert_eq!(refusal(call).0, "ValidationException");
    let call = kms.create_grant().key_id(&arn).grantee_principal("p").send().await;
    assert_eq!(refusal(call).0, "UnknownOperationException");
    stack.stop().await;
}

#[tokio::test]
async fn nonsense_is_refused_and_the_door_stays_open() {
    let (stack, kms) = start().await;
    let operations = [
        "",
        "Nonsense",
        "CancelKeyDeletion",
        "CreateAlias",
        "CreateKey",
        "Decrypt",
        "DeleteAlias",
        "DescribeKey",
        "DisableKey",
        "EnableKey",
        "GenerateDataKey",
        "ListAliases",
        "PutKeyPolicy",
        "ScheduleKeyDeletion",
        "UpdateAlias",
    ];
    let deep = "[".repeat(10_000);
    let bodies: [&[u8]; 6] =
        [b"{", b"7", b"{\"KeyId\":[]}", b"{\"CiphertextBlob\":\"%\"}", b"\xff", deep.as_bytes()];
    for operation in operations {
        for body in bodies {
            let answer = raw(&stack.kms_url(), operation, body).await;
            let refused = answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"__type\":");
            // Unknown members are ignored, as KMS does.
            let ignored = answer.starts_with("HTTP/1.1 200 ") && body.starts_with(b"{\"");
            assert!(refused || ignored, "{operation} {answer}");
        }
    }
    create_key(&kms).await;
    stack.stop().await;
}

/// The answer to a request that no SDK would send.
async fn raw(url: &str, operation: &str, body: &[u8]) -> String {
    let mut connection = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: kms\r\nx-amz-target: TrentService.{operation}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}
