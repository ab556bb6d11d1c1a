//! Describes keys and changes their states. What each state allows:
//! <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    KeyInput, KeyOutput, Nothing, check_grant_tokens, grant_token_constraints, policy,
    policy_constraints,
};
use crate::clock;
use crate::kms::constraints::Constraints;
use crate::kms::error::KmsError;
use crate::kms::keys::{Key, seconds};
use crate::kms::names::KeyState;
use crate::kms::store::Store;

const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct DescribeKeyInput {
    key_id: Option<String>,
    grant_tokens: Option<Vec<String>>,
}

pub(in crate::kms) fn describe_key(
    store: &Store,
    input: &DescribeKeyInput,
) -> Result<KeyOutput, KmsError> {
    const ACTION: &str = "DescribeKey";
    let grant_tokens = input.grant_tokens.as_deref().unwrap_or_default();
    let mut constraints = Constraints::default();
    let key_id = constraints.key_id("keyId", input.key_id.as_deref());
    grant_token_constraints(&mut constraints, grant_tokens);
    constraints.check()?;

    let ring = store.read();
    let id = store.find(&ring, key_id, ACTION)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    let arn = store.key_arn(&id);
    check_grant_tokens(grant_tokens)?;
    key.permitted(&arn, ACTION)?;
    Ok(KeyOutput { key_metadata: key.metadata(arn) })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct KeyListEntry {
    key_id: String,
    key_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct ListKeysOutput {
    keys: Vec<KeyListEntry>,
    truncated: bool,
}

/// All keys in one page.
#[expect(clippy::unnecessary_wraps, reason = "the shape that the table of operations takes")]
pub(in crate::kms) fn list_keys(store: &Store, _: &Value) -> Result<ListKeysOutput, KmsError> {
    let ring = store.read();
    let entry = |id: &String| KeyListEntry { key_id: id.clone(), key_arn: store.key_arn(id) };
    Ok(ListKeysOutput { keys: ring.keys.keys().map(entry).collect(), truncated: false })
}

pub(in crate::kms) fn enable_key(store: &Store, input: &KeyInput) -> Result<Nothing, KmsError> {
    set_state(store, input, "EnableKey", KeyState::Enabled)
}

pub(in crate::kms) fn disable_key(store: &Store, input: &KeyInput) -> Result<Nothing, KmsError> {
    set_state(store, input, "DisableKey", KeyState::Disabled)
}

fn set_state(
    store: &Store,
    input: &KeyInput,
    action: &str,
    state: KeyState,
) -> Result<Nothing, KmsError> {
    change_key(store, input.key_id()?, action, |key, arn| {
        key.check_not_pending_deletion(arn)?;
        key.check_not_pending_import(arn)?;
        key.state = state;
        Ok(Nothing {})
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct ScheduleKeyDeletionInput {
    key_id: Option<String>,
    pending_window_in_days: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct ScheduleKeyDeletionOutput {
    key_id: String,
    deletion_date: f64,
    key_state: KeyState,
    pending_window_in_days: u32,
}

pub(in crate::kms) fn schedule_key_deletion(
    store: &Store,
    input: &ScheduleKeyDeletionInput,
) -> Result<ScheduleKeyDeletionOutput, KmsError> {
    let days = input.pending_window_in_days.unwrap_or(30);
    let mut constraints = Constraints::default();
    let key_id = constraints.key_id("keyId", input.key_id.as_deref());
    constraints.value("pendingWindowInDays", days, 7..=30);
    constraints.check()?;
    let days = u32::try_from(days).map_err(|_| KmsError::internal())?;
    change_key(store, key_id, "ScheduleKeyDeletion", |key, arn| {
        key.check_not_pending_deletion(arn)?;
        let deletion = clock::epoch_millis(clock::now() + DAY * days);
        key.state = KeyState::PendingDeletion;
        key.deletion = Some(deletion);
        Ok(ScheduleKeyDeletionOutput {
            key_id: arn.to_owned(),
            deletion_date: seconds(deletion),
            key_state: key.state,
            pending_window_in_days: days,
        })
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct CancelKeyDeletionOutput {
    key_id: String,
}

pub(in crate::kms) fn cancel_key_deletion(
    store: &Store,
    input: &KeyInput,
) -> Result<CancelKeyDeletionOutput, KmsError> {
    change_key(store, input.key_id()?, "CancelKeyDeletion", |key, arn| {
        if key.state != KeyState::PendingDeletion {
            return Err(KmsError::invalid_state(format!("{arn} is not pending deletion.")));
        }
        key.keep();
        Ok(CancelKeyDeletionOutput { key_id: arn.to_owned() })
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct PutKeyPolicyInput {
    key_id: Option<String>,
    policy: Option<String>,
    policy_name: Option<String>,
}

/// Always allowed, because a test that denied `kms:*` could not undo it otherwise.
pub(in crate::kms) fn put_key_policy(
    store: &Store,
    input: &PutKeyPolicyInput,
) -> Result<Nothing, KmsError> {
    let mut constraints = Constraints::default();
    let key_id = constraints.key_id("keyId", input.key_id.as_deref());
    let document = constraints.required("policy", input.policy.as_deref());
    if let Some(document) = document {
        policy_constraints(&mut constraints, document);
    }
    constraints.check()?;
    if input.policy_name.as_deref().is_some_and(|name| name != "default") {
        return Err(KmsError::not_found("No such policy exists"));
    }
    let policy = policy(document.unwrap_or_default())?;
    store.change(|ring| {
        let id = store.find_key(ring, key_id, "PutKeyPolicy")?;
        let key = ring.keys.get_mut(&id).ok_or_else(KmsError::internal)?;
        key.policy = Some(policy);
        Ok(Nothing {})
    })
}

/// Changes the key that an id or a key ARN names.
fn change_key<T>(
    store: &Store,
    reference: &str,
    action: &str,
    change: impl FnOnce(&mut Key, &str) -> Result<T, KmsError>,
) -> Result<T, KmsError> {
    store.change(|ring| {
        let id = store.find_key(ring, reference, action)?;
        let key = ring.keys.get_mut(&id).ok_or_else(KmsError::internal)?;
        let arn = store.key_arn(&id);
        key.permitted(&arn, action)?;
        change(key, &arn)
    })
}
