//! Envelope encryption: a new data key with its sealed copy, and the way back.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::kms::cipher::{self, EncryptionContext};
use crate::kms::error::KmsError;
use crate::kms::store::Store;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct GenerateDataKeyInput {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: EncryptionContext,
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
    let length = length(input.key_spec.as_deref(), input.number_of_bytes)?;
    let ring = store.read();
    let id = store.find(&ring, &input.key_id)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    let arn = store.key_arn(&id);
    key.usable(&arn, "GenerateDataKey")?;

    let mut plaintext = vec![0; length];
    rand::fill(&mut plaintext).map_err(|_| KmsError::internal())?;
    let blob = cipher::seal(key, &input.encryption_context, &plaintext)?;
    Ok(GenerateDataKeyOutput {
        ciphertext_blob: STANDARD.encode(blob),
        plaintext: STANDARD.encode(plaintext),
        key_id: arn,
    })
}

/// The data key's length in bytes, from exactly one of the two parameters.
fn length(spec: Option<&str>, bytes: Option<usize>) -> Result<usize, KmsError> {
    match (spec, bytes) {
        (Some("AES_256"), None) => Ok(32),
        (Some("AES_128"), None) => Ok(16),
        (Some(spec), None) => Err(KmsError::validation(format!(
            "1 validation error detected: Value '{spec}' at 'keySpec' failed to satisfy \
             constraint: Member must satisfy enum value set: [AES_256, AES_128]"
        ))),
        (None, Some(bytes @ 1..=1024)) => Ok(bytes),
        (None, Some(bytes)) => Err(KmsError::validation(format!(
            "1 validation error detected: Value '{bytes}' at 'numberOfBytes' failed to satisfy \
             constraint: Member must be between 1 and 1024"
        ))),
        (None, None) | (Some(_), Some(_)) => {
            Err(KmsError::validation("Please specify either number of bytes or key spec."))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct DecryptInput {
    ciphertext_blob: String,
    key_id: Option<String>,
    #[serde(default)]
    encryption_context: EncryptionContext,
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
    let blob = STANDARD
        .decode(&input.ciphertext_blob)
        .map_err(|error| KmsError::validation(format!("CiphertextBlob: {error}")))?;
    let ring = store.read();
    let key = cipher::key_id(&blob)
        .and_then(|id| ring.keys.get(id))
        .ok_or_else(KmsError::invalid_ciphertext)?;
    if let Some(reference) = &input.key_id
        && store.find(&ring, reference)? != key.id
    {
        return Err(KmsError::new(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    let arn = store.key_arn(&key.id);
    key.usable(&arn, "Decrypt")?;
    Ok(DecryptOutput {
        plaintext: STANDARD.encode(cipher::open(key, &input.encryption_context, &blob)?),
        key_id: arn,
        encryption_algorithm: "SYMMETRIC_DEFAULT",
    })
}
