//! KMS through the SDK: key states, error codes, encryption context.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    DataKeySpec, EncryptionAlgorithmSpec, KeyMetadata, KeySpec, KeyState, KeyUsageType, OriginType,
    Tag,
};
use local_aws::{Options, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn start() -> (Stack, Client) {
    start_in("us-west-2").await
}

async fn start_in(region: &str) -> (Stack, Client) {
    let options = Options { region: region.into(), ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let client = Client::new(&stack.sdk_config());
    (stack, client)
}

async fn create_key(kms: &Client) -> String {
    let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
    assert_eq!(key.key_state, Some(KeyState::Enabled));
    key.arn.unwrap()
}

/// A key of this specification and usage.
async fn create_key_for(kms: &Client, spec: &str, usage: &str) -> KeyMetadata {
    let call = kms.create_key().key_spec(spec.into()).key_usage(usage.into());
    call.send().await.unwrap().key_metadata.unwrap()
}

/// A key whose material was not imported.
async fn create_pending_import(kms: &Client) -> String {
    let call = kms.create_key().origin(OriginType::External);
    call.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

async fn describe(kms: &Client, key: &str) -> KeyMetadata {
    kms.describe_key().key_id(key).send().await.unwrap().key_metadata.unwrap()
}

/// The code and the message of an error.
fn error<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, SdkError<E, R>>,
) -> (String, String) {
    let error = result.unwrap_err();
    (error.code().unwrap().to_owned(), error.message().unwrap_or_default().to_owned())
}

/// What `GenerateDataKey` returns for a key: `Ok`, or the code.
async fn outcome(kms: &Client, key: &str) -> String {
    code(kms.generate_data_key().key_id(key).key_spec(DataKeySpec::Aes256).send().await)
}

/// `Ok`, or the code.
fn code<T, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    result.map_or_else(|error| error.code().unwrap().to_owned(), |_| "Ok".to_owned())
}

#[tokio::test]
async fn every_stack_has_a_default_key() {
    let (stack, kms) = start().await;
    let alias = stack.options().variable("DEFAULT_KMS_KEY").unwrap();
    assert_eq!(alias, "alias/ecr-registry");
    let key = describe(&kms, &alias).await;
    assert_eq!(key.key_spec, Some(KeySpec::SymmetricDefault));
    assert_eq!(key.key_usage, Some(KeyUsageType::EncryptDecrypt));
    assert_eq!(key.key_state, Some(KeyState::Enabled));
    assert_eq!(key.aws_account_id(), Some("012345678910"));
    assert_eq!(outcome(&kms, &alias).await, "Ok");
    assert_eq!(kms.list_keys().send().await.unwrap().keys.unwrap().len(), 1);
    stack.stop().await;
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
        assert_eq!(error(decrypt(wrong).await).0, "InvalidCiphertextException");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_changed_or_foreign_ciphertext_is_rejected() {
    let (stack, kms) = start().await;
    let (arn, other) = (create_key(&kms).await, create_key(&kms).await);
    let sealed = kms.generate_data_key().key_id(&arn).number_of_bytes(16).send().await.unwrap();
    let blob = sealed.ciphertext_blob.unwrap().into_inner();
    let mut changed = blob.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [changed, blob[..40].to_vec(), b"short".to_vec(), vec![0xff; 100]] {
        let call = kms.decrypt().ciphertext_blob(Blob::new(bad)).send().await;
        assert_eq!(error(call).0, "InvalidCiphertextException");
    }
    let call = kms.decrypt().ciphertext_blob(Blob::new(blob)).key_id(other).send().await;
    assert_eq!(error(call).0, "IncorrectKeyException");
    stack.stop().await;
}

#[tokio::test]
async fn states_reject_as_kms_does() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    assert_eq!(outcome(&kms, &arn).await, "Ok");

    kms.disable_key().key_id(&arn).send().await.unwrap();
    let call = kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256).send().await;
    assert_eq!(error(call), ("DisabledException".to_owned(), format!("{arn} is disabled.")));
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
    assert_eq!(error(call), expected);
    let call = kms.enable_key().key_id(&arn).send().await;
    assert_eq!(error(call).0, "KMSInvalidStateException");

    kms.cancel_key_deletion().key_id(&arn).send().await.unwrap();
    assert_eq!(outcome(&kms, &arn).await, "DisabledException");
    let call = kms.cancel_key_deletion().key_id(&arn).send().await;
    assert_eq!(error(call).0, "KMSInvalidStateException");
    stack.stop().await;
}

#[tokio::test]
async fn only_symmetric_keys_for_encryption_make_data_keys() {
    let (stack, kms) = start().await;
    for (spec, usage, message) in [
        ("RSA_2048", "ENCRYPT_DECRYPT", "You cannot generate a data key with an asymmetric CMK"),
        ("RSA_2048", "SIGN_VERIFY", "key usage is SIGN_VERIFY which is not valid for"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "key usage is SIGN_VERIFY which is not valid for"),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "key usage is KEY_AGREEMENT which is not valid for"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "key usage is GENERATE_VERIFY_MAC which is not"),
    ] {
        let key = create_key_for(&kms, spec, usage).await;
        let arn = key.arn.unwrap();
        let generate = || kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256);
        let (code, text) = error(generate().send().await);
        assert_eq!(code, "InvalidKeyUsageException", "{spec} {usage}");
        assert!(text.contains(message), "{text}");

        // KMS checks the usage first, then the state, then the specification.
        kms.disable_key().key_id(&arn).send().await.unwrap();
        let expected = if usage == "ENCRYPT_DECRYPT" {
            "DisabledException"
        } else {
            "InvalidKeyUsageException"
        };
        assert_eq!(error(generate().send().await).0, expected, "{spec} {usage}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn keys_are_of_every_specification_and_usage_that_go_together() {
    let (stack, kms) = start().await;
    let both = ["ENCRYPT_DECRYPT", "SIGN_VERIFY"].as_slice();
    let agree = ["SIGN_VERIFY", "KEY_AGREEMENT"].as_slice();
    let sign = ["SIGN_VERIFY"].as_slice();
    let mac = ["GENERATE_VERIFY_MAC"].as_slice();
    let encapsulate = ["ENCAPSULATE_DECAPSULATE"].as_slice();
    let specs = [
        ("SYMMETRIC_DEFAULT", ["ENCRYPT_DECRYPT"].as_slice()),
        ("RSA_2048", both),
        ("RSA_3072", both),
        ("RSA_4096", both),
        ("ECC_NIST_P256", agree),
        ("ECC_NIST_P384", agree),
        ("ECC_NIST_P521", agree),
        ("ECC_SECG_P256K1", sign),
        ("ECC_NIST_EDWARDS25519", sign),
        ("ML_DSA_44", sign),
        ("ML_DSA_65", sign),
        ("ML_DSA_87", sign),
        ("HMAC_224", mac),
        ("HMAC_256", mac),
        ("HMAC_384", mac),
        ("HMAC_512", mac),
        ("ML_KEM_512", encapsulate),
        ("ML_KEM_768", encapsulate),
        ("ML_KEM_1024", encapsulate),
    ];
    // All but SM2.
    assert_eq!(specs.len(), KeySpec::values().len() - 1);
    for (spec, allowed) in specs {
        for usage in KeyUsageType::values() {
            let call = kms.create_key().key_spec(spec.into()).key_usage((*usage).into());
            if !allowed.contains(usage) {
                let expected = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
                assert_eq!(error(call.send().await), ("ValidationException".into(), expected));
                continue;
            }
            let key = call.send().await.unwrap().key_metadata.unwrap();
            let described = describe(&kms, &key.key_id).await;
            assert_eq!(described, key);
            assert_eq!(described.key_spec, Some(spec.into()));
            assert_eq!(described.key_usage, Some((*usage).into()));
            assert_eq!(described.key_state, Some(KeyState::Enabled));
            let encrypts = !described.encryption_algorithms().is_empty();
            assert_eq!(encrypts, *usage == "ENCRYPT_DECRYPT", "{spec} {usage}");
            let signs = !described.signing_algorithms().is_empty();
            assert_eq!(signs, *usage == "SIGN_VERIFY", "{spec} {usage}");
            let macs = !described.mac_algorithms().is_empty();
            assert_eq!(macs, *usage == "GENERATE_VERIFY_MAC", "{spec} {usage}");
        }
        if spec != "SYMMETRIC_DEFAULT" {
            let (code, message) = error(kms.create_key().key_spec(spec.into()).send().await);
            assert_eq!(code, "ValidationException");
            assert!(message.starts_with("You must specify a KeyUsage value"), "{message}");
        }
    }
    // Without a specification a key is symmetric.
    let call = kms.create_key().key_usage(KeyUsageType::SignVerify);
    assert_eq!(error(call.send().await).0, "ValidationException");
    #[expect(deprecated, reason = "callers still use it")]
    let call = kms.create_key().customer_master_key_spec("RSA_2048".into());
    let key = call.key_usage(KeyUsageType::SignVerify).send().await.unwrap().key_metadata.unwrap();
    assert_eq!(key.key_spec, Some(KeySpec::Rsa2048));
    #[expect(deprecated, reason = "callers still use it")]
    let call = kms.create_key().customer_master_key_spec("RSA_2048".into());
    let call = call.key_spec(KeySpec::Rsa2048).key_usage(KeyUsageType::SignVerify);
    assert_eq!(error(call.send().await).0, "ValidationException");
    stack.stop().await;
}

#[tokio::test]
async fn china_has_sm2_and_no_ml_kem() {
    let (stack, kms) = start().await;
    let sm2 = kms.create_key().key_spec("SM2".into()).key_usage(KeyUsageType::SignVerify);
    assert_eq!(error(sm2.send().await).0, "UnsupportedOperationException");
    stack.stop().await;
    let (stack, kms) = start_in("cn-north-1").await;
    let ml_kem = kms.create_key().key_spec("ML_KEM_512".into());
    let ml_kem = ml_kem.key_usage("ENCAPSULATE_DECAPSULATE".into());
    assert_eq!(error(ml_kem.send().await).0, "UnsupportedOperationException");
    let key = create_key_for(&kms, "SM2", "ENCRYPT_DECRYPT").await;
    assert!(key.arn.unwrap().starts_with("arn:aws-cn:kms:cn-north-1:012345678910:key/"));
    stack.stop().await;
}

#[tokio::test]
async fn a_key_without_material_is_pending_import() {
    let (stack, kms) = start().await;
    let arn = create_pending_import(&kms).await;
    let key = describe(&kms, &arn).await;
    assert_eq!(key.key_state, Some(KeyState::PendingImport));
    assert_eq!(key.origin, Some(OriginType::External));
    assert!(!key.enabled);

    let expected = ("KMSInvalidStateException".to_owned(), format!("{arn} is pending import."));
    let generate = kms.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256);
    assert_eq!(error(generate.send().await), expected);
    assert_eq!(error(kms.enable_key().key_id(&arn).send().await), expected);
    assert_eq!(error(kms.disable_key().key_id(&arn).send().await), expected);
    kms.create_alias().alias_name("alias/waiting").target_key_id(&arn).send().await.unwrap();

    kms.schedule_key_deletion().key_id(&arn).send().await.unwrap();
    assert_eq!(describe(&kms, &arn).await.key_state, Some(KeyState::PendingDeletion));
    kms.cancel_key_deletion().key_id(&arn).send().await.unwrap();
    assert_eq!(describe(&kms, &arn).await.key_state, Some(KeyState::PendingImport));
    stack.stop().await;
}

#[tokio::test]
async fn origins_have_their_conditions() {
    let (stack, kms) = start().await;
    let create = || kms.create_key();
    let hsm = || create().origin(OriginType::AwsCloudhsm);
    let store = || create().origin(OriginType::ExternalKeyStore);
    let sign = KeyUsageType::SignVerify;
    for (call, code) in [
        (create().origin("NOWHERE".into()), "ValidationException"),
        (hsm(), "ValidationException"),
        (store().xks_key_id("x"), "ValidationException"),
        (hsm().custom_key_store_id("cks-1"), "CustomKeyStoreNotFoundException"),
        (store().custom_key_store_id("cks-1"), "CustomKeyStoreNotFoundException"),
        (hsm().custom_key_store_id("cks-1").multi_region(true), "UnsupportedOperationException"),
        (
            hsm().custom_key_store_id("cks-1").key_spec(KeySpec::Rsa2048).key_usage(sign.clone()),
            "UnsupportedOperationException",
        ),
        (create().custom_key_store_id("cks-1"), "ValidationException"),
        (create().custom_key_store_id(""), "ValidationException"),
        (create().xks_key_id("x"), "ValidationException"),
        (
            create().origin(OriginType::External).key_spec("ML_DSA_44".into()).key_usage(sign),
            "UnsupportedOperationException",
        ),
    ] {
        assert_eq!(error(call.send().await).0, code);
    }
    for (spec, usage) in [("RSA_2048", "ENCRYPT_DECRYPT"), ("HMAC_512", "GENERATE_VERIFY_MAC")] {
        let call = create().origin(OriginType::External).key_spec(spec.into());
        let key = call.key_usage(usage.into()).send().await.unwrap().key_metadata.unwrap();
        assert_eq!(key.key_state, Some(KeyState::PendingImport));
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_multi_region_key_says_so_in_its_id() {
    let (stack, kms) = start().await;
    let key = kms.create_key().multi_region(true).send().await.unwrap().key_metadata.unwrap();
    assert!(key.key_id.starts_with("mrk-") && key.key_id.len() == 36, "{}", key.key_id);
    let primary = key.multi_region_configuration.unwrap().primary_key.unwrap();
    assert_eq!(primary.region(), Some("us-west-2"));
    let sealed = kms.generate_data_key().key_id(&key.key_id).number_of_bytes(16).send().await;
    let opened = kms.decrypt().ciphertext_blob(sealed.unwrap().ciphertext_blob.unwrap());
    assert_eq!(opened.send().await.unwrap().key_id, key.arn);
    stack.stop().await;
}

#[tokio::test]
async fn what_each_state_allows() {
    const DISABLED: &str = "DisabledException";
    const STATE: &str = "KMSInvalidStateException";
    let (stack, kms) = start().await;
    // GenerateDataKey, Decrypt, DescribeKey, EnableKey, DisableKey, CreateAlias,
    // ScheduleKeyDeletion, CancelKeyDeletion, PutKeyPolicy.
    let table = [
        ("Enabled", ["Ok", "Ok", "Ok", "Ok", "Ok", "Ok", "Ok", STATE, "Ok"]),
        ("Disabled", [DISABLED, DISABLED, "Ok", "Ok", "Ok", "Ok", "Ok", STATE, "Ok"]),
        ("PendingDeletion", [STATE, STATE, "Ok", STATE, STATE, STATE, STATE, "Ok", "Ok"]),
    ];
    for (state, expected) in table {
        for (operation, expected) in expected.iter().enumerate() {
            let arn = create_key(&kms).await;
            let sealed = kms.generate_data_key().key_id(&arn).number_of_bytes(16).send().await;
            let blob = sealed.unwrap().ciphertext_blob.unwrap();
            match state {
                "Disabled" => drop(kms.disable_key().key_id(&arn).send().await.unwrap()),
                "PendingDeletion" => {
                    kms.schedule_key_deletion().key_id(&arn).send().await.unwrap();
                }
                _ => {}
            }
            let alias = format!("alias/{state}");
            let key = arn.clone();
            let result = match operation {
                0 => outcome(&kms, &key).await,
                1 => code(kms.decrypt().ciphertext_blob(blob).send().await),
                2 => code(kms.describe_key().key_id(key).send().await),
                3 => code(kms.enable_key().key_id(key).send().await),
                4 => code(kms.disable_key().key_id(key).send().await),
                5 => code(kms.create_alias().alias_name(alias).target_key_id(key).send().await),
                6 => code(kms.schedule_key_deletion().key_id(key).send().await),
                7 => code(kms.cancel_key_deletion().key_id(key).send().await),
                _ => code(kms.put_key_policy().key_id(key).policy("{}").send().await),
            };
            assert_eq!(result, *expected, "{operation} of a key in state {state}");
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_key_is_named_by_id_arn_alias_or_alias_arn() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let id = arn.rsplit('/').next().unwrap();
    kms.create_alias().alias_name("alias/app").target_key_id(id).send().await.unwrap();
    let prefix = "arn:aws:kms:us-west-2:012345678910:";
    for name in [id, &arn, "alias/app", &format!("{prefix}alias/app")] {
        assert_eq!(outcome(&kms, name).await, "Ok", "{name}");
        assert_eq!(describe(&kms, name).await.arn(), Some(&*arn));
    }
    let missing = "0d5a8f57-0000-4000-8000-000000000000";
    let mrk = "mrk-0d5a8f57000040008000000000000000";
    for (name, message) in [
        (missing, format!("Key '{prefix}key/{missing}' does not exist")),
        (mrk, format!("Key '{prefix}key/{mrk}' does not exist")),
        (&format!("{prefix}key/{missing}"), format!("Key '{prefix}key/{missing}' does not exist")),
        ("foo", "Invalid keyId 'foo'".to_owned()),
        ("../../etc/passwd", "Invalid keyId '../../etc/passwd'".to_owned()),
        (&format!("key/{id}"), format!("Invalid keyId 'key/{id}'")),
        (&id.to_uppercase(), format!("Key '{prefix}key/{}' does not exist", id.to_uppercase())),
        (&format!("{prefix}key/foo"), "Invalid keyId foo".to_owned()),
        (&format!("{prefix}{id}"), format!("Invalid arn {prefix}{id}")),
        (&arn.replace("us-west-2", "eu-west-1"), "Invalid arn eu-west-1".to_owned()),
        (&arn.replace("arn:aws:", "arn:aws-cn:"), "Invalid arn us-west-2".to_owned()),
        ("arn:aws:s3:::bucket", "Invalid arn arn:aws:s3:::bucket".to_owned()),
        ("alias/none", format!("Alias {prefix}alias/none is not found.")),
        (&format!("{prefix}alias/none"), format!("Alias {prefix}alias/none is not found.")),
        ("alias/aws/ecr", format!("Alias {prefix}alias/aws/ecr is not found.")),
    ] {
        let expected = ("NotFoundException".to_owned(), message);
        assert_eq!(error(kms.describe_key().key_id(name).send().await), expected);
        let generate = kms.generate_data_key().key_id(name).number_of_bytes(16).send().await;
        assert_eq!(error(generate), expected);
    }
    let foreign = arn.replace("012345678910", "999999999999");
    let (code, message) = error(kms.describe_key().key_id(&foreign).send().await);
    assert_eq!(code, "AccessDeniedException");
    let not =
        format!("is not authorized to perform: kms:DescribeKey on resource: {foreign} because");
    assert!(message.contains(&not), "{message}");
    assert_eq!(outcome(&kms, &foreign).await, "AccessDeniedException");
    for invalid in ["", &"a".repeat(2049), "schlüssel"] {
        assert_eq!(outcome(&kms, invalid).await, "ValidationException");
    }
    stack.stop().await;
}

#[tokio::test]
async fn operations_on_keys_take_no_alias() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    kms.create_alias().alias_name("alias/app").target_key_id(&arn).send().await.unwrap();
    let expected = (
        "InvalidArnException".to_owned(),
        "Key Aliases are not supported for this operation.".to_owned(),
    );
    for alias in ["alias/app", "arn:aws:kms:us-west-2:012345678910:alias/app", "alias/none"] {
        assert_eq!(error(kms.enable_key().key_id(alias).send().await), expected);
        assert_eq!(error(kms.disable_key().key_id(alias).send().await), expected);
        assert_eq!(error(kms.schedule_key_deletion().key_id(alias).send().await), expected);
        assert_eq!(error(kms.cancel_key_deletion().key_id(alias).send().await), expected);
        assert_eq!(error(kms.list_aliases().key_id(alias).send().await), expected);
        let put = kms.put_key_policy().key_id(alias).policy("{}");
        assert_eq!(error(put.send().await), expected);
        let aliases = "Aliases must refer to keys. Not aliases".to_owned();
        let create = kms.create_alias().alias_name("alias/b").target_key_id(alias);
        assert_eq!(error(create.send().await), ("ValidationException".to_owned(), aliases));
    }
    stack.stop().await;
}

#[tokio::test]
async fn aliases_move_between_keys() {
    let (stack, kms) = start().await;
    let (first, second) = (create_key(&kms).await, create_key(&kms).await);
    let create = || kms.create_alias().alias_name("alias/app").target_key_id(&first).send();
    create().await.unwrap();
    assert_eq!(error(create().await).0, "AlreadyExistsException");
    let target = async || {
        let call = kms.generate_data_key().key_id("alias/app").key_spec(DataKeySpec::Aes128);
        call.send().await.unwrap().key_id.unwrap()
    };
    assert_eq!(target().await, first);
    kms.update_alias().alias_name("alias/app").target_key_id(&second).send().await.unwrap();
    assert_eq!(target().await, second);
    let aliases = kms.list_aliases().send().await.unwrap().aliases.unwrap();
    assert_eq!(aliases[0].alias_name(), Some("alias/app"));
    // The third is the default key.
    assert_eq!(kms.list_keys().send().await.unwrap().keys.unwrap().len(), 3);
    kms.delete_alias().alias_name("alias/app").send().await.unwrap();
    assert_eq!(outcome(&kms, "alias/app").await, "NotFoundException");
    stack.stop().await;
}

#[tokio::test]
async fn alias_names_have_their_form() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let create = |name: &str| kms.create_alias().alias_name(name).target_key_id(&arn).send();
    create(&format!("alias/{}", "a".repeat(250))).await.unwrap();
    create("alias/A-Z_a/z9").await.unwrap();
    for (name, code) in [
        ("app", "ValidationException"),
        ("", "ValidationException"),
        ("alias/", "ValidationException"),
        ("alias/a.b", "ValidationException"),
        ("alias/a:b", "ValidationException"),
        ("alias/ü", "ValidationException"),
        (&format!("alias/{}", "a".repeat(251)), "ValidationException"),
        ("alias/aws/ecr", "NotAuthorizedException"),
    ] {
        assert_eq!(error(create(name).await).0, code, "{name}");
        let update = kms.update_alias().alias_name(name).target_key_id(&arn).send().await;
        assert_eq!(error(update).0, code, "{name}");
        assert_eq!(error(kms.delete_alias().alias_name(name).send().await).0, code, "{name}");
    }
    assert_eq!(
        error(kms.delete_alias().alias_name("alias/none").send().await).0,
        "NotFoundException"
    );
    let update = kms.update_alias().alias_name("alias/none").target_key_id(&arn);
    assert_eq!(error(update.send().await).0, "NotFoundException");
    stack.stop().await;
}

#[tokio::test]
async fn an_alias_moves_between_keys_of_one_type_and_usage() {
    let (stack, kms) = start().await;
    let rsa_sign = create_key_for(&kms, "RSA_2048", "SIGN_VERIFY").await.key_id;
    let rsa_encrypt = create_key_for(&kms, "RSA_2048", "ENCRYPT_DECRYPT").await.key_id;
    let ecc_sign = create_key_for(&kms, "ECC_NIST_P256", "SIGN_VERIFY").await.key_id;
    let symmetric = create_key(&kms).await;
    kms.create_alias().alias_name("alias/app").target_key_id(&rsa_sign).send().await.unwrap();
    let update = |key: &str| kms.update_alias().alias_name("alias/app").target_key_id(key).send();
    update(&ecc_sign).await.unwrap();
    assert_eq!(error(update(&rsa_encrypt).await).0, "ValidationException");
    assert_eq!(error(update(&symmetric).await).0, "ValidationException");

    // The old key may be in any state, the new one not.
    kms.schedule_key_deletion().key_id(&ecc_sign).send().await.unwrap();
    update(&rsa_sign).await.unwrap();
    assert_eq!(error(update(&ecc_sign).await).0, "KMSInvalidStateException");
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
        let (code, message) = error(call);
        assert_eq!(code, "AccessDeniedException");
        assert!(message.contains("not authorized to perform: kms:GenerateDataKey"), "{message}");
    }
    put(policy("Allow", "kms:*")).await.unwrap();
    assert_eq!(outcome(&kms, &arn).await, "Ok");
    assert_eq!(error(put("{".into()).await).0, "MalformedPolicyDocumentException");
    let padded = |length: usize| format!("{{\"Id\":\"{}\"}}", "x".repeat(length - 9));
    put(padded(32_768)).await.unwrap();
    assert_eq!(error(put(padded(32_769)).await).0, "LimitExceededException");
    assert_eq!(error(put(padded(131_073)).await).0, "ValidationException");
    assert_eq!(error(put("{\"Id\":\"€\"}".into()).await).0, "ValidationException");
    let named = kms.put_key_policy().key_id(&arn).policy("{}").policy_name("other");
    assert_eq!(error(named.send().await).0, "NotFoundException");
    let created = kms.create_key().policy(padded(32_769)).send().await;
    assert_eq!(error(created).0, "LimitExceededException");
    stack.stop().await;
}

#[tokio::test]
async fn a_data_key_has_one_length() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let generate = || kms.generate_data_key().key_id(&arn);
    let either = "Please specify either number of bytes or key spec.";
    let constraint = |what: &str| {
        format!(
            "1 validation error detected: Value {what} failed to satisfy constraint: Member must"
        )
    };
    for (call, message) in [
        (generate(), either.to_owned()),
        (generate().key_spec(DataKeySpec::Aes256).number_of_bytes(32), either.to_owned()),
        (generate().number_of_bytes(0), constraint("'0' at 'numberOfBytes'")),
        (generate().number_of_bytes(1025), constraint("'1025' at 'numberOfBytes'")),
        (generate().number_of_bytes(-1), constraint("'-1' at 'numberOfBytes'")),
        (generate().key_spec("AES_512".into()), constraint("'AES_512' at 'keySpec'")),
    ] {
        let (code, text) = error(call.send().await);
        assert_eq!(code, "ValidationException");
        assert!(text.starts_with(&message), "{text}");
    }
    for (call, length) in [
        (generate().number_of_bytes(1), 1),
        (generate().number_of_bytes(1024), 1024),
        (generate().key_spec(DataKeySpec::Aes128), 16),
        (generate().key_spec(DataKeySpec::Aes256), 32),
    ] {
        let plaintext = call.send().await.unwrap().plaintext.unwrap();
        assert_eq!(plaintext.into_inner().len(), length);
    }
    stack.stop().await;
}

#[tokio::test]
async fn every_violation_is_named() {
    let (stack, kms) = start().await;
    let call = kms.generate_data_key().key_id("").number_of_bytes(0);
    let (code, message) = error(call.send().await);
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "3 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member \
         must have length greater than or equal to 1; Value '' at 'keyId' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: ^\\p{ASCII}+$; Value '0' at \
         'numberOfBytes' failed to satisfy constraint: Member must have value greater than or \
         equal to 1"
    );
    let response = raw(&stack.kms_url(), "DescribeKey", b"{}").await;
    assert!(
        response.contains("Value null at 'keyId' failed to satisfy constraint: Member must not")
    );
    stack.stop().await;
}

#[tokio::test]
async fn grant_tokens_and_dry_runs_count() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let generate = || kms.generate_data_key().key_id(&arn).number_of_bytes(16);
    let sealed = generate().send().await.unwrap();
    let blob = sealed.ciphertext_blob.unwrap();
    let decrypt = || kms.decrypt().ciphertext_blob(blob.clone());
    for call in [generate().grant_tokens("token"), generate().grant_tokens("x".repeat(8192))] {
        assert_eq!(error(call.send().await).0, "InvalidGrantTokenException");
    }
    assert_eq!(error(decrypt().grant_tokens("token").send().await).0, "InvalidGrantTokenException");
    let describe = kms.describe_key().key_id(&arn).grant_tokens("token");
    assert_eq!(error(describe.send().await).0, "InvalidGrantTokenException");
    let too_long = generate().grant_tokens("x".repeat(8193));
    assert_eq!(error(too_long.send().await).0, "ValidationException");
    let too_many = generate().set_grant_tokens(Some(vec!["token".into(); 11]));
    assert_eq!(error(too_many.send().await).0, "ValidationException");

    assert_eq!(error(generate().dry_run(true).send().await).0, "DryRunOperationException");
    assert_eq!(error(decrypt().dry_run(true).send().await).0, "DryRunOperationException");
    generate().dry_run(false).send().await.unwrap();
    let wrong = decrypt().dry_run(true).encryption_context("a", "b");
    assert_eq!(error(wrong.send().await).0, "InvalidCiphertextException");
    stack.stop().await;
}

#[tokio::test]
async fn a_ciphertext_has_a_length_and_an_algorithm() {
    let (stack, kms) = start().await;
    let arn = create_key(&kms).await;
    let sealed = kms.generate_data_key().key_id(&arn).number_of_bytes(16).send().await.unwrap();
    let blob = sealed.ciphertext_blob.unwrap();
    for length in [0, 6145] {
        let call = kms.decrypt().ciphertext_blob(Blob::new(vec![0; length]));
        assert_eq!(error(call.send().await).0, "ValidationException");
    }
    assert_eq!(error(kms.decrypt().send().await).0, "ValidationException");
    let longest = kms.decrypt().ciphertext_blob(Blob::new(vec![0; 6144]));
    assert_eq!(error(longest.send().await).0, "InvalidCiphertextException");

    let decrypt = |algorithm: &str| {
        kms.decrypt().ciphertext_blob(blob.clone()).encryption_algorithm(algorithm.into())
    };
    decrypt("SYMMETRIC_DEFAULT").send().await.unwrap();
    assert_eq!(error(decrypt("ROT13").send().await).0, "ValidationException");
    let rsa = EncryptionAlgorithmSpec::RsaesOaepSha256;
    assert_eq!(error(decrypt(rsa.as_str()).send().await).0, "ValidationException");
    let (code, message) = error(decrypt(rsa.as_str()).key_id(&arn).send().await);
    assert_eq!(code, "InvalidKeyUsageException");
    let expected = "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.";
    assert_eq!(message, expected);
    let key = create_key_for(&kms, "RSA_2048", "ENCRYPT_DECRYPT").await.key_id;
    let call = decrypt(rsa.as_str()).key_id(&key).send().await;
    assert_eq!(error(call).0, "InvalidCiphertextException");
    let call = kms.decrypt().ciphertext_blob(blob.clone()).key_id(&key).send().await;
    assert_eq!(error(call).0, "IncorrectKeyException");
    stack.stop().await;
}

#[tokio::test]
async fn tags_are_checked() {
    let (stack, kms) = start().await;
    let tag =
        |key: &str, value: &str| Tag::builder().tag_key(key).tag_value(value).build().unwrap();
    let many = |count: usize| (0..count).map(|number| tag(&format!("k{number}"), "")).collect();
    let longest = tag(&"k".repeat(128), &"v".repeat(256));
    kms.create_key().set_tags(Some(many(50))).send().await.unwrap();
    kms.create_key().tags(longest).send().await.unwrap();
    for (tags, code) in [
        (many(51), "TagException"),
        (vec![tag("aws:x", "v")], "TagException"),
        (vec![tag("a", "1"), tag("a", "2")], "TagException"),
        (vec![tag("", "v")], "ValidationException"),
        (vec![tag(&"k".repeat(129), "v")], "ValidationException"),
        (vec![tag("k", &"v".repeat(257))], "ValidationException"),
    ] {
        assert_eq!(error(kms.create_key().set_tags(Some(tags)).send().await).0, code);
    }
    let described = kms.create_key().description("d".repeat(8193));
    assert_eq!(error(described.send().await).0, "ValidationException");
    let days = kms.schedule_key_deletion().key_id(create_key(&kms).await);
    assert_eq!(error(days.clone().pending_window_in_days(6).send().await).0, "ValidationException");
    assert_eq!(error(days.pending_window_in_days(31).send().await).0, "ValidationException");
    let call = kms.create_grant().key_id("k").grantee_principal("p").send().await;
    assert_eq!(error(call).0, "UnknownOperationException");
    stack.stop().await;
}

#[tokio::test]
async fn nonsense_is_rejected_and_the_service_goes_on() {
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
            let response = raw(&stack.kms_url(), operation, body).await;
            let rejected =
                response.starts_with("HTTP/1.1 400 ") && response.contains("\"__type\":");
            // Unknown members are ignored, as KMS does.
            let ignored = response.starts_with("HTTP/1.1 200 ") && body.starts_with(b"{\"");
            assert!(rejected || ignored, "{operation} {response}");
        }
    }
    for body in ["{", "7", "{\"CiphertextBlob\":\"%\"}", "{\"CiphertextBlob\":7}"] {
        let response = raw(&stack.kms_url(), "Decrypt", body.as_bytes()).await;
        assert!(response.contains("\"__type\":\"SerializationException\""), "{body} {response}");
    }
    create_key(&kms).await;
    stack.stop().await;
}

/// The response to a request that no SDK would send.
async fn raw(url: &str, operation: &str, body: &[u8]) -> String {
    let mut connection = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: kms\r\nx-amz-target: TrentService.{operation}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    response
}
