//! The operations, as the KMS API reference has their shapes.

mod aliases;
mod create_key;
mod data_keys;
mod key_states;

pub(super) use aliases::{create_alias, delete_alias, ensure_alias, list_aliases, update_alias};
pub(super) use create_key::create_key;
pub(super) use data_keys::{check_data_key, check_decryption, decrypt, generate_data_key};
pub(super) use key_states::{
    cancel_key_deletion, describe_key, disable_key, enable_key, list_keys, put_key_policy,
    schedule_key_deletion,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::constraints::Constraints;
use super::error::KmsError;
use super::keys::KeyMetadata;

/// The request of every operation that takes a key and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyInput {
    key_id: Option<String>,
}

impl KeyInput {
    fn key_id(&self) -> Result<&str, KmsError> {
        let mut constraints = Constraints::default();
        let key_id = constraints.key_id("keyId", self.key_id.as_deref());
        constraints.check()?;
        Ok(key_id)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyOutput {
    key_metadata: KeyMetadata,
}

/// `{}`
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// Checks a policy document: JSON of at most 32 KB.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html>
fn policy(document: &str) -> Result<String, KmsError> {
    if document.len() > 32 * 1024 {
        let message = "The key policy is longer than 32768 bytes";
        return Err(KmsError::new("LimitExceededException", message));
    }
    match serde_json::from_str::<Value>(document) {
        Ok(Value::Object(_)) => Ok(document.to_owned()),
        _ => Err(KmsError::new("MalformedPolicyDocumentException", "The policy is not valid JSON")),
    }
}

fn policy_constraints(constraints: &mut Constraints, document: &str) {
    constraints.size("policy", document.chars().count(), 1..=131_072);
    let allowed = |c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    if !document.is_empty() && !document.chars().all(allowed) {
        let pattern = r"[\u0009\u000A\u000D\u0020-\u00FF]+";
        constraints.pattern("policy", document, pattern, false);
    }
}

/// No token is valid, because there are no grants here.
fn grant_token_constraints(constraints: &mut Constraints, tokens: &[String]) {
    constraints.size("grantTokens", tokens.len(), 0..=10);
    for (number, token) in (1..).zip(tokens) {
        constraints.length(&format!("grantTokens.{number}.member"), token, 1..=8192);
    }
}

fn check_grant_tokens(tokens: &[String]) -> Result<(), KmsError> {
    if tokens.is_empty() { Ok(()) } else { Err(KmsError::new("InvalidGrantTokenException", "")) }
}

fn check_dry_run(dry_run: Option<bool>) -> Result<(), KmsError> {
    if dry_run == Some(true) {
        let message = "The request would have succeeded, but the DryRun option is set.";
        return Err(KmsError::new("DryRunOperationException", message));
    }
    Ok(())
}
