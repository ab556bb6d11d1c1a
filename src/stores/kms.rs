//! KMS: the keys of repositories with `KMS` or `KMS_DSSE`, and the data keys made under them.

use std::sync::LazyLock;

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::types::{DataKeySpec, KeyMetadata, KeySpec, KeyState, KeyUsageType};
use zeroize::Zeroizing;

use super::sdk;
use super::seal::DataKey;
use crate::api::error::Error;
use crate::ecr::names::RepositoryRef;
use crate::failure::{Cause, Failure};

#[derive(Debug)]
pub(crate) struct Kms {
    /// Made by the first call that needs it, because most registries have no KMS key.
    client: LazyLock<Client, Box<dyn FnOnce() -> Client + Send>>,
}

impl Kms {
    pub(crate) fn new(aws: &SdkConfig) -> Self {
        let config = sdk::kms(aws);
        Self { client: LazyLock::new(Box::new(|| Client::from_conf(config))) }
    }

    /// A new data key under `kms_key`. Never cached: a push must fail once the key is disabled.
    ///
    /// # Errors
    /// `KmsException` with KMS's code, or `ServerException` where KMS did not respond.
    pub(crate) async fn data_key(
        &self,
        repository: &RepositoryRef,
        repository_arn: &str,
        kms_key: &str,
    ) -> Result<DataKey, Error> {
        let request = self
            .client
            .generate_data_key()
            .key_id(kms_key)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context("aws:ecr:arn", repository_arn);
        let response = request.send().await.map_err(|error| kms_error(repository, error))?;
        match (response.plaintext, response.ciphertext_blob, response.key_id) {
            (Some(plaintext), Some(encrypted), Some(key_arn)) => Ok(DataKey {
                plaintext: Zeroizing::new(plaintext.into_inner()),
                encrypted: encrypted.into_inner(),
                key_arn,
            }),
            _ => Err(Failure::new("reading a data key").into()),
        }
    }

    /// The ARN of the key that `kms_key`, an id, ARN or alias, names. The key must be able to
    /// encrypt manifests now, because a repository keeps its key permanently.
    ///
    /// # Errors
    /// As [`data_key`](Self::data_key), which would return the same code for the key's state or
    /// usage.
    pub(crate) async fn usable_key(
        &self,
        repository: &RepositoryRef,
        kms_key: &str,
    ) -> Result<String, Error> {
        let response = self.client.describe_key().key_id(kms_key).send().await;
        let response = response.map_err(|error| kms_error(repository, error))?;
        let key = response.key_metadata.ok_or_else(|| Failure::new("reading a key's metadata"))?;
        if let Some(code) = unusable(&key) {
            let why = format!("{:?}, {:?}, {:?}", key.key_state, key.key_usage, key.key_spec);
            return Err(Error::Kms {
                repository: repository.clone(),
                kms_error: code.to_owned(),
                source: Cause::from(why),
            });
        }
        key.arn.ok_or_else(|| Failure::new("reading a key's ARN").into())
    }
}

/// The code with which `GenerateDataKey` rejects a key like this (its API reference;
/// developer guide, "Key states of AWS KMS keys").
fn unusable(key: &KeyMetadata) -> Option<&'static str> {
    let symmetric = key.key_spec == Some(KeySpec::SymmetricDefault)
        && key.key_usage == Some(KeyUsageType::EncryptDecrypt);
    match key.key_state {
        _ if !symmetric => Some("InvalidKeyUsageException"),
        Some(KeyState::Enabled) => None,
        Some(KeyState::Disabled) => Some("DisabledException"),
        _ => Some("KMSInvalidStateException"),
    }
}

/// The client gets only KMS's code, because KMS's message names keys and roles.
fn kms_error<E>(repository: &RepositoryRef, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    // KMS rejecting the function's own credentials says nothing about the repository's key.
    let credentials =
        ["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"];
    let code = error.code().map(str::to_owned);
    match code {
        Some(kms_error) if !credentials.contains(&kms_error.as_str()) => {
            Error::Kms { repository: repository.clone(), kms_error, source: error.into() }
        }
        aws_code => {
            let source = Some(error.into());
            Error::Server(Failure { doing: "calling KMS", aws_code, source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(state: KeyState, usage: KeyUsageType, spec: KeySpec) -> KeyMetadata {
        let key = KeyMetadata::builder().key_id("key").key_state(state);
        key.key_usage(usage).key_spec(spec).build().unwrap()
    }

    #[test]
    fn only_an_enabled_symmetric_encryption_key_is_usable() {
        let symmetric =
            |state| unusable(&key(state, KeyUsageType::EncryptDecrypt, KeySpec::SymmetricDefault));
        for state in KeyState::values() {
            let expected = match *state {
                "Enabled" => None,
                "Disabled" => Some("DisabledException"),
                _ => Some("KMSInvalidStateException"),
            };
            assert_eq!(symmetric(KeyState::from(*state)), expected, "{state}");
        }
        for usage in KeyUsageType::values() {
            for spec in KeySpec::values() {
                let usable = *usage == "ENCRYPT_DECRYPT" && *spec == "SYMMETRIC_DEFAULT";
                let expected = (!usable).then_some("InvalidKeyUsageException");
                let key = key(KeyState::Enabled, (*usage).into(), (*spec).into());
                assert_eq!(unusable(&key), expected, "{usage} {spec}");
            }
        }
        assert!(unusable(&KeyMetadata::builder().key_id("key").build().unwrap()).is_some());
    }
}
