//! A key: its secret, its state, and the operations that the state allows.

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::KmsError;
use super::names::{EncryptionAlgorithm, KeySpec, KeyState, KeyType, KeyUsage, Named as _, Origin};
use super::policy;
use crate::{DEFAULT_ACCOUNT, clock};

/// A KMS key as stored. Its id has 36 bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: [u8; 32],
    pub(super) state: KeyState,
    pub(super) usage: KeyUsage,
    pub(super) spec: KeySpec,
    #[serde(default = "aws_kms")]
    pub(super) origin: Origin,
    #[serde(default)]
    pub(super) multi_region: bool,
    pub(super) description: String,
    /// Milliseconds since 1970.
    pub(super) created: u64,
    /// When a key that is pending deletion would be deleted, in milliseconds since 1970. It never
    /// is.
    pub(super) deletion: Option<u64>,
    /// The policy document as given, if one was.
    pub(super) policy: Option<String>,
}

/// The origin in files that were written before keys had one.
fn aws_kms() -> Origin {
    Origin::AwsKms
}

/// `KeyMetadata` of the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyMetadata {
    #[serde(rename = "AWSAccountId")]
    account: &'static str,
    arn: String,
    /// Seconds since 1970, as every time of this protocol.
    creation_date: f64,
    customer_master_key_spec: KeySpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<f64>,
    description: String,
    enabled: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    encapsulation_algorithms: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    encryption_algorithms: &'static [EncryptionAlgorithm],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    key_agreement_algorithms: &'static [&'static str],
    key_id: String,
    key_manager: &'static str,
    key_spec: KeySpec,
    key_state: KeyState,
    key_usage: KeyUsage,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mac_algorithms: &'static [&'static str],
    multi_region: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region_configuration: Option<MultiRegionConfiguration>,
    origin: Origin,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    signing_algorithms: &'static [&'static str],
}

/// Of a primary key without replicas.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRegionConfiguration {
    multi_region_key_type: &'static str,
    primary_key: PrimaryKey,
    replica_keys: [(); 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PrimaryKey {
    arn: String,
    region: String,
}

impl Key {
    /// A new key. It is enabled unless its material is to be imported.
    pub(super) fn generate(
        spec: KeySpec,
        usage: KeyUsage,
        origin: Origin,
        multi_region: bool,
    ) -> Result<Key, KmsError> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| KmsError::internal())?;
        let id = Uuid::new_v4();
        Ok(Key {
            id: if multi_region { format!("mrk-{}", id.simple()) } else { id.to_string() },
            secret,
            state: initial_state(origin),
            usage,
            spec,
            origin,
            multi_region,
            description: String::new(),
            created: clock::epoch_millis(clock::now()),
            deletion: None,
            policy: None,
        })
    }

    /// # Errors
    /// If `action` cannot generate a data key under this key.
    pub(super) fn check_data_keys(&self, arn: &str, action: &str) -> Result<(), KmsError> {
        self.check_encryption(arn, action)?;
        if self.spec.key_type() != KeyType::Symmetric {
            let message = "You cannot generate a data key with an asymmetric CMK";
            return Err(KmsError::invalid_key_usage(message));
        }
        Ok(())
    }

    /// # Errors
    /// If `action` cannot encrypt or decrypt with this key and `algorithm`.
    pub(super) fn check_algorithm(
        &self,
        arn: &str,
        action: &str,
        algorithm: EncryptionAlgorithm,
    ) -> Result<(), KmsError> {
        self.check_encryption(arn, action)?;
        if !self.spec.encryption_algorithms().contains(&algorithm) {
            let (algorithm, spec) = (algorithm.name(), self.spec.name());
            let message = format!("Algorithm {algorithm} is incompatible with key spec {spec}.");
            return Err(KmsError::invalid_key_usage(message));
        }
        Ok(())
    }

    /// KMS checks the usage before the state.
    fn check_encryption(&self, arn: &str, action: &str) -> Result<(), KmsError> {
        if self.usage != KeyUsage::EncryptDecrypt {
            let usage = self.usage.name();
            let message = format!("{arn} key usage is {usage} which is not valid for {action}.");
            return Err(KmsError::invalid_key_usage(message));
        }
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => {
                Err(KmsError::new("DisabledException", format!("{arn} is disabled.")))
            }
            KeyState::PendingDeletion => Err(pending_deletion(arn)),
            KeyState::PendingImport => Err(pending_import(arn)),
        }
    }

    pub(super) fn check_not_pending_deletion(&self, arn: &str) -> Result<(), KmsError> {
        if self.state == KeyState::PendingDeletion { Err(pending_deletion(arn)) } else { Ok(()) }
    }

    pub(super) fn check_not_pending_import(&self, arn: &str) -> Result<(), KmsError> {
        if self.state == KeyState::PendingImport { Err(pending_import(arn)) } else { Ok(()) }
    }

    /// Disables a key whose deletion was cancelled. A key without material is pending import again.
    pub(super) fn keep(&mut self) {
        self.deletion = None;
        self.state = match initial_state(self.origin) {
            KeyState::PendingImport => KeyState::PendingImport,
            _ => KeyState::Disabled,
        };
    }

    /// # Errors
    /// `AccessDeniedException` if a statement of the key's policy denies `action`. Everything else is
    /// allowed.
    pub(super) fn permitted(&self, arn: &str, action: &str) -> Result<(), KmsError> {
        if !self.policy.as_deref().is_some_and(|policy| policy::denies(policy, action)) {
            return Ok(());
        }
        let reason = "with an explicit deny in a resource-based policy";
        Err(access_denied(arn, action, reason))
    }

    pub(super) fn metadata(&self, arn: String) -> KeyMetadata {
        fn only<T>(condition: bool, all: &'static [T]) -> &'static [T] {
            if condition { all } else { &[] }
        }
        let is = |usage| self.usage == usage;
        let spec = self.spec;
        KeyMetadata {
            account: DEFAULT_ACCOUNT,
            creation_date: seconds(self.created),
            customer_master_key_spec: spec,
            deletion_date: self.deletion.map(seconds),
            description: self.description.clone(),
            enabled: self.state == KeyState::Enabled,
            encapsulation_algorithms: only(is(KeyUsage::EncapsulateDecapsulate), &["ML_KEM"]),
            encryption_algorithms: only(is(KeyUsage::EncryptDecrypt), spec.encryption_algorithms()),
            key_agreement_algorithms: only(is(KeyUsage::KeyAgreement), &["ECDH"]),
            key_id: self.id.clone(),
            key_manager: "CUSTOMER",
            key_spec: spec,
            key_state: self.state,
            key_usage: self.usage,
            mac_algorithms: spec.mac_algorithms(),
            multi_region: self.multi_region,
            multi_region_configuration: self.multi_region.then(|| MultiRegionConfiguration {
                multi_region_key_type: "PRIMARY",
                primary_key: PrimaryKey {
                    arn: arn.clone(),
                    region: arn.split(':').nth(3).unwrap_or_default().to_owned(),
                },
                replica_keys: [],
            }),
            origin: self.origin,
            signing_algorithms: only(is(KeyUsage::SignVerify), spec.signing_algorithms()),
            arn,
        }
    }
}

pub(super) fn access_denied(arn: &str, action: &str, reason: &str) -> KmsError {
    let user = format!("arn:aws:iam::{DEFAULT_ACCOUNT}:user/local");
    let message = format!(
        "User: {user} is not authorized to perform: kms:{action} on resource: {arn} {reason}"
    );
    KmsError::new("AccessDeniedException", message)
}

fn initial_state(origin: Origin) -> KeyState {
    if origin == Origin::External { KeyState::PendingImport } else { KeyState::Enabled }
}

fn pending_deletion(arn: &str) -> KmsError {
    KmsError::invalid_state(format!("{arn} is pending deletion."))
}

fn pending_import(arn: &str) -> KmsError {
    KmsError::invalid_state(format!("{arn} is pending import."))
}

/// A time of the API: seconds since 1970 with a fraction.
pub(super) fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
