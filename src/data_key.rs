//! KMS, and what its data keys encrypt: the manifests of repositories with `KMS` or `KMS_DSSE`.
//!
//! A sealed manifest is a line of JSON and then the ciphertext, wherever it is stored:
//!
//! ```text
//! {"version":1,"keyArn":"arn:aws:kms:…","dataKey":"<base64>","nonce":"<base64>"}\n
//! <AES-256-GCM ciphertext and its tag of 16 bytes>
//! ```
//!
//! To open one: KMS `Decrypt` of `dataKey` under the encryption context `aws:ecr:arn` = the
//! repository's ARN, then AES-256-GCM with the additional data of [`Sealing::additional_data`].

use std::sync::LazyLock;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::types::DataKeySpec;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::{Error, Failure};
use crate::names::{Digest, Repository};
use crate::sdk;

/// The version of the sealed form.
const VERSION: u8 = 1;

/// KMS.
#[derive(Debug)]
pub struct DataKeys {
    /// Made by the first push that needs it: most registries have no KMS key.
    client: LazyLock<Client, Box<dyn FnOnce() -> Client + Send>>,
}

/// A key for one manifest. The plain half is wiped when it is dropped.
pub struct DataKey {
    plaintext: Zeroizing<Vec<u8>>,
    encrypted: Vec<u8>,
    key_arn: String,
}

/// What a sealed manifest is bound to: it opens as nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// Of the repository.
    pub repository_arn: &'a str,
    /// Of the manifest.
    pub digest: &'a Digest,
    /// Of the manifest.
    pub media_type: &'a str,
}

impl DataKeys {
    /// The KMS of the account and region that `aws` names.
    #[must_use]
    pub fn new(aws: &SdkConfig) -> Self {
        let config = aws_sdk_kms::config::Builder::from(aws)
            .retry_config(sdk::retries(3, Duration::from_millis(50)))
            .timeout_config(sdk::timeouts(Duration::from_secs(2)))
            .build();
        Self { client: LazyLock::new(Box::new(|| Client::from_conf(config))) }
    }

    /// A new data key under `kms_key`. Never cached: a push must fail once the key is disabled.
    ///
    /// # Errors
    /// `KmsException` with KMS's code, or `ServerException` where KMS did not answer.
    pub async fn generate(
        &self,
        repository: &Repository,
        repository_arn: &str,
        kms_key: &str,
    ) -> Result<DataKey, Error> {
        let request = self
            .client
            .generate_data_key()
            .key_id(kms_key)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context("aws:ecr:arn", repository_arn);
        let answer = request.send().await.map_err(|error| refusal(repository, error))?;
        match (answer.plaintext, answer.ciphertext_blob, answer.key_id) {
            (Some(plaintext), Some(encrypted), Some(key_arn)) => Ok(DataKey {
                plaintext: Zeroizing::new(plaintext.into_inner()),
                encrypted: encrypted.into_inner(),
                key_arn,
            }),
            _ => Err(Failure::new("reading a data key").into()),
        }
    }

    /// The ARN of the key that `kms_key`, an id, ARN or alias, names.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub async fn key_arn(&self, repository: &Repository, kms_key: String) -> Result<String, Error> {
        let answer = self.client.describe_key().key_id(kms_key).send().await;
        let answer = answer.map_err(|error| refusal(repository, error))?;
        let arn = answer.key_metadata.and_then(|key| key.arn);
        arn.ok_or_else(|| Failure::new("reading a key's ARN").into())
    }
}

/// KMS's own words name keys and roles: the client reads the code alone.
fn refusal<E>(repository: &Repository, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    // KMS refusing our own credentials says nothing about the repository's key.
    let ours =
        ["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"];
    let code = error.code().map(str::to_owned);
    match code {
        Some(kms_error) if !ours.contains(&kms_error.as_str()) => {
            Error::Kms { repository: repository.clone(), kms_error, source: error.into() }
        }
        aws_code => {
            let source = Some(error.into());
            Error::Server(Failure { doing: "asking KMS", aws_code, source })
        }
    }
}

impl DataKey {
    /// Encrypts a manifest, once: a key serves one nonce.
    ///
    /// # Errors
    /// A key that is not of 32 bytes.
    pub fn seal(self, sealing: Sealing<'_>, manifest: &[u8]) -> Result<Vec<u8>, Failure> {
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
        let mut sealed = serde_json::to_vec(&header)
            .map_err(|error| Failure { source: Some(error.into()), ..Failure::new("sealing") })?;
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
    #[must_use]
    pub fn additional_data(&self, manifest_bytes: usize) -> String {
        let Self { repository_arn, digest, media_type } = self;
        format!("{VERSION}\n{repository_arn}\n{digest}\n{media_type}\n{manifest_bytes}")
    }
}
