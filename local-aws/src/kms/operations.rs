//! The operations: request, rule, answer. Shapes are the KMS API reference's.

mod aliases;
mod data_keys;
mod key_states;

pub(super) use aliases::{create_alias, delete_alias, list_aliases, update_alias};
pub(super) use data_keys::{decrypt, generate_data_key};
pub(super) use key_states::{
    cancel_key_deletion, create_key, describe_key, disable_key, enable_key, list_keys,
    put_key_policy, schedule_key_deletion,
};

use serde::{Deserialize, Serialize};

/// The request of every operation that takes a key and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyInput {
    key_id: String,
}

/// The answer of operations that have none: `{}`.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}
