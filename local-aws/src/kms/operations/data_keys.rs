//! Envelope encryption: generates data keys and decrypts them.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::{check_dry_run, check_grant_tokens, grant_token_constraints};
use crate::kms::cipher::{self, EncryptionContext};
use crate::kms::constraints::Constraints;
use crate::kms::error::KmsError;
use crate::kms::keys::Key;
use crate::kms::names::{DataKeySpec, EncryptionAlgorithm, Named as _};
use crate::kms::store::Store;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct GenerateDataKeyInput {
    key_id: Option<String>,
    key_spec: Option<String>,
    number_of_bytes: Option<i64>,
    encryption_context: Option<EncryptionContext>,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
    recipient: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct GenerateDataKeyOutput {
    ciphertext_blob: String,
    plaintext: String,
    key_id: String,
}

pub(in crate::kms) fn generate_data_key(
    store: &Store,
    input: &GenerateDataKeyInput,
) -> Result<GenerateDataKeyOutput, KmsError> {
    const ACTION: &str = "GenerateDataKey";
    let grant_tokens = input.grant_tokens.as_deref().unwrap_or_default();
    let mut constraints = Constraints::default();
    let key_id = constraints.key_id("keyId", input.key_id.as_deref());
    if let Some(bytes) = input.number_of_bytes {
        constraints.value("numberOfBytes", bytes, 1..=1024);
    }
    let spec: Option<DataKeySpec> = constraints.named("keySpec", input.key_spec.as_deref());
    grant_token_constraints(&mut constraints, grant_tokens);
    constraints.check()?;

    let ring = store.read();
    let id = store.find(&ring, key_id, ACTION)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    let arn = store.key_arn(&id);
    let length = match (spec, input.number_of_bytes) {
        (Some(DataKeySpec::Aes256), None) => 32,
        (Some(DataKeySpec::Aes128), None) => 16,
        (None, Some(bytes)) => usize::try_from(bytes).map_err(|_| KmsError::internal())?,
        (None, None) | (Some(_), Some(_)) => {
            let message = "Please specify either number of bytes or key spec.";
            return Err(KmsError::validation(message));
        }
    };
    check_grant_tokens(grant_tokens)?;
    key.permitted(&arn, ACTION)?;
    key.check_data_keys(&arn, ACTION)?;
    check_recipient(input.recipient.as_ref())?;
    check_dry_run(input.dry_run)?;

    let mut plaintext = vec![0; length];
    rand::fill(&mut plaintext).map_err(|_| KmsError::internal())?;
    let context = input.encryption_context.clone().unwrap_or_default();
    let blob = cipher::seal(key, &context, &plaintext)?;
    Ok(GenerateDataKeyOutput {
        ciphertext_blob: STANDARD.encode(blob),
        plaintext: STANDARD.encode(plaintext),
        key_id: arn,
    })
}

/// The ARN of the key that `reference` names.
///
/// # Errors
/// If it cannot generate data keys.
pub(in crate::kms) fn check_data_key(store: &Store, reference: &str) -> Result<String, KmsError> {
    const ACTION: &str = "GenerateDataKey";
    let ring = store.read();
    let id = store.find(&ring, reference, ACTION)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    let arn = store.key_arn(&id);
    key.permitted(&arn, ACTION)?;
    key.check_data_keys(&arn, ACTION)?;
    Ok(arn)
}

pub(in crate::kms) fn check_decryption(store: &Store, reference: &str) -> Result<(), KmsError> {
    const ACTION: &str = "Decrypt";
    let ring = store.read();
    let id = store.find(&ring, reference, ACTION)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    let arn = store.key_arn(&id);
    key.permitted(&arn, ACTION)?;
    key.check_algorithm(&arn, ACTION, EncryptionAlgorithm::Symmetric)
}

/// This KMS cannot verify an attestation document.
fn check_recipient(recipient: Option<&Value>) -> Result<(), KmsError> {
    match recipient {
        None => Ok(()),
        Some(_) => Err(KmsError::unsupported("Recipient is not supported.")),
    }
}

/// Bytes, which JSON has in Base64.
#[derive(Debug)]
struct Blob(Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct DecryptInput {
    ciphertext_blob: Option<Blob>,
    key_id: Option<String>,
    encryption_algorithm: Option<String>,
    encryption_context: Option<EncryptionContext>,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
    recipient: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct DecryptOutput {
    key_id: String,
    plaintext: String,
    encryption_algorithm: &'static str,
}

pub(in crate::kms) fn decrypt(
    store: &Store,
    input: &DecryptInput,
) -> Result<DecryptOutput, KmsError> {
    const ACTION: &str = "Decrypt";
    let grant_tokens = input.grant_tokens.as_deref().unwrap_or_default();
    let mut constraints = Constraints::default();
    let blob = constraints.required("ciphertextBlob", input.ciphertext_blob.as_ref());
    let Blob(blob) = blob.unwrap_or(const { &Blob(Vec::new()) });
    if input.ciphertext_blob.is_some() {
        constraints.size("ciphertextBlob", blob.len(), 1..=6144);
    }
    if input.key_id.is_some() {
        constraints.key_id("keyId", input.key_id.as_deref());
    }
    let algorithm = constraints.named("encryptionAlgorithm", input.encryption_algorithm.as_deref());
    grant_token_constraints(&mut constraints, grant_tokens);
    constraints.check()?;
    let algorithm = algorithm.unwrap_or(EncryptionAlgorithm::Symmetric);

    let ring = store.read();
    let named =
        input.key_id.as_ref().map(|key_id| store.find(&ring, key_id, ACTION)).transpose()?;
    let named = named.and_then(|id| ring.keys.get(&id));
    let key = key_of(blob, algorithm, &ring.keys, named)?;
    let arn = store.key_arn(&key.id);
    check_grant_tokens(grant_tokens)?;
    key.permitted(&arn, ACTION)?;
    key.check_algorithm(&arn, ACTION, algorithm)?;
    check_recipient(input.recipient.as_ref())?;
    let context = input.encryption_context.clone().unwrap_or_default();
    let plaintext = cipher::open(key, &context, blob)?;
    check_dry_run(input.dry_run)?;
    Ok(DecryptOutput {
        plaintext: STANDARD.encode(plaintext),
        key_id: arn,
        encryption_algorithm: algorithm.name(),
    })
}

/// The key that decrypts the blob. A symmetric ciphertext names its key. For all others, which
/// nothing here creates, the caller names it.
fn key_of<'a>(
    blob: &[u8],
    algorithm: EncryptionAlgorithm,
    keys: &'a std::collections::BTreeMap<String, Key>,
    named: Option<&'a Key>,
) -> Result<&'a Key, KmsError> {
    if algorithm != EncryptionAlgorithm::Symmetric {
        let message = "KeyId is required to decrypt with an asymmetric KMS key.";
        return named.ok_or_else(|| KmsError::validation(message));
    }
    let sealed_by = cipher::key_id(blob).and_then(|id| keys.get(id));
    let sealed_by = sealed_by.ok_or_else(KmsError::invalid_ciphertext)?;
    if named.is_some_and(|named| named.id != sealed_by.id) {
        return Err(KmsError::new(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    Ok(sealed_by)
}
