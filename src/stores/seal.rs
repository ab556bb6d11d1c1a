//! The sealed form of a manifest: how manifests of repositories with a KMS key are stored.
//!
//! A line of JSON and then the ciphertext, in an item and in S3 alike:
//!
//! ```text
//! {"version":1,"keyArn":"arn:aws:kms:…","dataKey":"<base64>","nonce":"<base64>"}\n
//! <AES-256-GCM ciphertext and its tag of 16 bytes>
//! ```
//!
//! To open it: KMS `Decrypt` of `dataKey` under the encryption context `aws:ecr:arn` = the
//! repository's ARN, then AES-256-GCM with the additional data of [`Sealing::additional_data`].

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::ecr::names::Digest;
use crate::failure::Failure;

/// The version of the sealed form.
const VERSION: u8 = 1;

/// A key for one manifest. Its plaintext is wiped when it is dropped.
pub(crate) struct DataKey {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) encrypted: Vec<u8>,
    pub(super) key_arn: String,
}

/// What a sealed manifest is bound to: it cannot be opened with other values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing<'a> {
    pub(crate) repository_arn: &'a str,
    pub(crate) digest: &'a Digest,
    pub(crate) media_type: &'a str,
}

impl DataKey {
    /// Encrypts one manifest: a key is used with a single nonce.
    ///
    /// # Errors
    /// The key does not have 32 bytes.
    pub(crate) fn seal(self, sealing: Sealing<'_>, manifest: &[u8]) -> Result<Vec<u8>, Failure> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Header<'a> {
            version: u8,
            key_arn: &'a str,
            data_key: String,
            nonce: String,
        }
        let broken = |_| Failure::new("encrypting a manifest");

        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(broken)?;
        let header = Header {
            version: VERSION,
            key_arn: &self.key_arn,
            data_key: BASE64_STANDARD.encode(&self.encrypted),
            nonce: BASE64_STANDARD.encode(nonce),
        };
        let mut sealed =
            serde_json::to_vec(&header).map_err(|error| Failure::caused("sealing", error))?;
        sealed.push(b'\n');

        let key = UnboundKey::new(&AES_256_GCM, &self.plaintext).map_err(broken)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let additional = Aad::from(sealing.additional_data(manifest.len()));
        let mut ciphertext = manifest.to_vec();
        LessSafeKey::new(key)
            .seal_in_place_append_tag(nonce, additional, &mut ciphertext)
            .map_err(broken)?;
        sealed.append(&mut ciphertext);
        Ok(sealed)
    }
}

impl Sealing<'_> {
    /// Five lines: the version, the repository's ARN, the digest, the media type, and the length
    /// of the manifest in bytes.
    fn additional_data(&self, manifest_bytes: usize) -> String {
        let Self { repository_arn, digest, media_type } = self;
        format!("{VERSION}\n{repository_arn}\n{digest}\n{media_type}\n{manifest_bytes}")
    }
}
