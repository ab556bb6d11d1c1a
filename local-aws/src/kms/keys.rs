//! A key: its secret, its states, and what may be done with it in each.

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::KmsError;
use super::policy;
use crate::{DEFAULT_ACCOUNT, clock};

/// A KMS key as stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: [u8; 32],
    pub(super) state: KeyState,
    pub(super) usage: String,
    pub(super) spec: String,
    pub(super) description: String,
    /// Milliseconds since 1970.
    pub(super) created: u64,
    /// When a key that is pending deletion would go, in milliseconds since 1970. It never does.
    pub(super) deletion: Option<u64>,
    /// The policy document as given, if one was.
    pub(super) policy: Option<String>,
}

/// The states of a symmetric key that an operator can bring about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<f64>,
    description: String,
    enabled: bool,
    key_id: String,
    key_manager: &'static str,
    key_spec: String,
    key_state: KeyState,
    key_usage: String,
    multi_region: bool,
    origin: &'static str,
}

impl Key {
    /// A new, enabled key. Without a specification the usage's common one is taken.
    pub(super) fn generate(usage: Option<&str>, spec: Option<&str>) -> Result<Key, KmsError> {
        let usage = usage.unwrap_or("ENCRYPT_DECRYPT");
        let default_spec = match usage {
            "ENCRYPT_DECRYPT" => "SYMMETRIC_DEFAULT",
            "SIGN_VERIFY" => "RSA_2048",
            "GENERATE_VERIFY_MAC" => "HMAC_256",
            _ => {
                return Err(KmsError::validation(format!(
                    "1 validation error detected: Value '{usage}' at 'keyUsage' failed to satisfy \
                     constraint: Member must satisfy enum value set: \
                     [ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC]"
                )));
            }
        };
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| KmsError::internal())?;
        Ok(Key {
            id: Uuid::new_v4().to_string(),
            secret,
            state: KeyState::Enabled,
            usage: usage.to_owned(),
            spec: spec.unwrap_or(default_spec).to_owned(),
            description: String::new(),
            created: clock::epoch_millis(clock::now()),
            deletion: None,
            policy: None,
        })
    }

    /// Whether `action` may use this key to encrypt or decrypt, by policy, state and usage.
    pub(super) fn usable(&self, arn: &str, action: &str) -> Result<(), KmsError> {
        self.permitted(arn, action)?;
        match self.state {
            KeyState::Disabled => {
                Err(KmsError::new("DisabledException", format!("{arn} is disabled.")))
            }
            KeyState::PendingDeletion => {
                Err(KmsError::invalid_state(format!("{arn} is pending deletion.")))
            }
            KeyState::Enabled if self.usage != "ENCRYPT_DECRYPT" => Err(KmsError::new(
                "InvalidKeyUsageException",
                format!("{arn} key usage is {} which is not valid for {action}.", self.usage),
            )),
            KeyState::Enabled => Ok(()),
        }
    }

    /// Whether the key's policy leaves `action` allowed: everything is, but for a Deny.
    pub(super) fn permitted(&self, arn: &str, action: &str) -> Result<(), KmsError> {
        if !self.policy.as_deref().is_some_and(|policy| policy::denies(policy, action)) {
            return Ok(());
        }
        Err(KmsError::new(
            "AccessDeniedException",
            format!(
                "User: arn:aws:iam::{DEFAULT_ACCOUNT}:user/local is not authorized to perform: \
                 kms:{action} on resource: {arn} with an explicit deny in a resource-based policy"
            ),
        ))
    }

    pub(super) fn metadata(&self, arn: String) -> KeyMetadata {
        KeyMetadata {
            account: DEFAULT_ACCOUNT,
            arn,
            creation_date: seconds(self.created),
            deletion_date: self.deletion.map(seconds),
            description: self.description.clone(),
            enabled: self.state == KeyState::Enabled,
            key_id: self.id.clone(),
            key_manager: "CUSTOMER",
            key_spec: self.spec.clone(),
            key_state: self.state,
            key_usage: self.usage.clone(),
            multi_region: false,
            origin: "AWS_KMS",
        }
    }
}

/// A time of the API: seconds since 1970 with a fraction.
pub(super) fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
