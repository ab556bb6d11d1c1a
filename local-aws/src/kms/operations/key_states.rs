//! Keys come, change and go.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KeyInput, Nothing};
use crate::clock;
use crate::kms::error::KmsError;
use crate::kms::keys::{Key, KeyMetadata, KeyState, seconds};
use crate::kms::store::Store;

const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct CreateKeyInput {
    description: Option<String>,
    key_usage: Option<String>,
    #[serde(alias = "CustomerMasterKeySpec")]
    key_spec: Option<String>,
    policy: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct KeyOutput {
    key_metadata: KeyMetadata,
}

pub(in crate::kms) fn create_key(
    store: &Store,
    input: &CreateKeyInput,
) -> Result<KeyOutput, KmsError> {
    let mut key = Key::generate(input.key_usage.as_deref(), input.key_spec.as_deref())?;
    key.description = input.description.clone().unwrap_or_default();
    key.policy = input.policy.as_deref().map(well_formed).transpose()?;
    let key_metadata = key.metadata(store.key_arn(&key.id));
    store.change(|ring| {
        ring.keys.insert(key.id.clone(), key);
        Ok(KeyOutput { key_metadata })
    })
}

pub(in crate::kms) fn describe_key(store: &Store, input: &KeyInput) -> Result<KeyOutput, KmsError> {
    let ring = store.read();
    let id = store.find(&ring, &input.key_id)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    let arn = store.key_arn(&id);
    key.permitted(&arn, "DescribeKey")?;
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
    change_key(store, &input.key_id, "EnableKey", |key, arn| {
        refuse_pending_deletion(key, arn)?;
        key.state = KeyState::Enabled;
        Ok(Nothing {})
    })
}

pub(in crate::kms) fn disable_key(store: &Store, input: &KeyInput) -> Result<Nothing, KmsError> {
    change_key(store, &input.key_id, "DisableKey", |key, arn| {
        refuse_pending_deletion(key, arn)?;
        key.state = KeyState::Disabled;
        Ok(Nothing {})
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct ScheduleKeyDeletionInput {
    key_id: String,
    pending_window_in_days: Option<u32>,
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
    if !(7..=30).contains(&days) {
        return Err(KmsError::validation(format!(
            "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to \
             satisfy constraint: Member must be between 7 and 30"
        )));
    }
    change_key(store, &input.key_id, "ScheduleKeyDeletion", |key, arn| {
        refuse_pending_deletion(key, arn)?;
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

/// Leaves the key disabled, as KMS does.
pub(in crate::kms) fn cancel_key_deletion(
    store: &Store,
    input: &KeyInput,
) -> Result<CancelKeyDeletionOutput, KmsError> {
    change_key(store, &input.key_id, "CancelKeyDeletion", |key, arn| {
        if key.state != KeyState::PendingDeletion {
            return Err(KmsError::invalid_state(format!("{arn} is not pending deletion.")));
        }
        key.state = KeyState::Disabled;
        key.deletion = None;
        Ok(CancelKeyDeletionOutput { key_id: arn.to_owned() })
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct PutKeyPolicyInput {
    key_id: String,
    policy: String,
}

/// Always allowed, or a test that denied `kms:*` could never take it back.
pub(in crate::kms) fn put_key_policy(
    store: &Store,
    input: &PutKeyPolicyInput,
) -> Result<Nothing, KmsError> {
    let policy = well_formed(&input.policy)?;
    store.change(|ring| {
        let id = store.find_key(ring, &input.key_id)?;
        let key = ring.keys.get_mut(&id).ok_or_else(KmsError::internal)?;
        key.policy = Some(policy);
        Ok(Nothing {})
    })
}

/// Changes one key.
fn change_key<T>(
    store: &Store,
    reference: &str,
    action: &str,
    change: impl FnOnce(&mut Key, &str) -> Result<T, KmsError>,
) -> Result<T, KmsError> {
    store.change(|ring| {
        let id = store.find_key(ring, reference)?;
        let key = ring.keys.get_mut(&id).ok_or_else(KmsError::internal)?;
        let arn = store.key_arn(&id);
        key.permitted(&arn, action)?;
        change(key, &arn)
    })
}

fn refuse_pending_deletion(key: &Key, arn: &str) -> Result<(), KmsError> {
    if key.state == KeyState::PendingDeletion {
        return Err(KmsError::invalid_state(format!("{arn} is pending deletion.")));
    }
    Ok(())
}

fn well_formed(policy: &str) -> Result<String, KmsError> {
    match serde_json::from_str::<Value>(policy) {
        Ok(Value::Object(_)) => Ok(policy.to_owned()),
        _ => Err(KmsError::new("MalformedPolicyDocumentException", "The policy is not valid JSON")),
    }
}
