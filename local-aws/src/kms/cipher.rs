//! The ciphertext blob: `key id (36 bytes) | nonce (12) | AES-256-GCM ciphertext and tag`.
//!
//! As in KMS, the encryption context is authenticated and not stored.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};

use super::error::KmsError;
use super::keys::Key;

/// Of a UUID as text, in bytes.
const ID_LENGTH: usize = 36;
const NONCE_LENGTH: usize = 12;

/// The pairs of `EncryptionContext`, in order, so that equal contexts have equal bytes.
pub(super) type EncryptionContext = BTreeMap<String, String>;

/// Encrypts for `key` and an equal context.
pub(super) fn seal(
    key: &Key,
    context: &EncryptionContext,
    plaintext: &[u8],
) -> Result<Vec<u8>, KmsError> {
    let mut sealed = plaintext.to_vec();
    let nonce = aead(key)?
        .seal_in_place_append_tag(aad(context)?, &mut sealed)
        .map_err(|_| KmsError::internal())?;
    Ok([key.id.as_bytes(), nonce.as_ref(), &sealed].concat())
}

/// The id of the key that the blob names, if the blob has the form of this module's.
pub(super) fn key_id(blob: &[u8]) -> Option<&str> {
    std::str::from_utf8(blob.get(..ID_LENGTH)?).ok()
}

pub(super) fn open(
    key: &Key,
    context: &EncryptionContext,
    blob: &[u8],
) -> Result<Vec<u8>, KmsError> {
    let (nonce, sealed) = blob
        .get(ID_LENGTH..)
        .and_then(|rest| rest.split_first_chunk::<NONCE_LENGTH>())
        .ok_or_else(KmsError::invalid_ciphertext)?;
    let mut plaintext = sealed.to_vec();
    let opened = aead(key)?
        .open_in_place(Nonce::from(nonce), aad(context)?, &mut plaintext)
        .map_err(|_| KmsError::invalid_ciphertext())?
        .len();
    plaintext.truncate(opened);
    Ok(plaintext)
}

fn aead(key: &Key) -> Result<RandomizedNonceKey, KmsError> {
    RandomizedNonceKey::new(&AES_256_GCM, &key.secret).map_err(|_| KmsError::internal())
}

fn aad(context: &EncryptionContext) -> Result<Aad<Vec<u8>>, KmsError> {
    serde_json::to_vec(context).map(Aad::from).map_err(|_| KmsError::internal())
}
