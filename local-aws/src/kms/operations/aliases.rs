//! Other names of keys.

use serde::{Deserialize, Serialize};

use super::Nothing;
use crate::kms::error::KmsError;
use crate::kms::store::Store;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct AliasInput {
    alias_name: String,
    target_key_id: String,
}

pub(in crate::kms) fn create_alias(store: &Store, input: &AliasInput) -> Result<Nothing, KmsError> {
    if !input.alias_name.starts_with("alias/") {
        return Err(KmsError::validation(
            "Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ));
    }
    store.change(|ring| {
        let id = store.find_key(ring, &input.target_key_id)?;
        if ring.aliases.contains_key(&input.alias_name) {
            let arn = store.alias_arn(&input.alias_name);
            return Err(KmsError::new(
                "AlreadyExistsException",
                format!("An alias with the name {arn} already exists"),
            ));
        }
        ring.aliases.insert(input.alias_name.clone(), id);
        Ok(Nothing {})
    })
}

pub(in crate::kms) fn update_alias(store: &Store, input: &AliasInput) -> Result<Nothing, KmsError> {
    store.change(|ring| {
        let id = store.find_key(ring, &input.target_key_id)?;
        match ring.aliases.get_mut(&input.alias_name) {
            Some(target) => *target = id,
            None => return Err(unknown(store, &input.alias_name)),
        }
        Ok(Nothing {})
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct DeleteAliasInput {
    alias_name: String,
}

pub(in crate::kms) fn delete_alias(
    store: &Store,
    input: &DeleteAliasInput,
) -> Result<Nothing, KmsError> {
    store.change(|ring| match ring.aliases.remove(&input.alias_name) {
        Some(_) => Ok(Nothing {}),
        None => Err(unknown(store, &input.alias_name)),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct ListAliasesInput {
    key_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct AliasListEntry {
    alias_name: String,
    alias_arn: String,
    target_key_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct ListAliasesOutput {
    aliases: Vec<AliasListEntry>,
    truncated: bool,
}

/// All aliases, or those of one key, in one page.
pub(in crate::kms) fn list_aliases(
    store: &Store,
    input: &ListAliasesInput,
) -> Result<ListAliasesOutput, KmsError> {
    let ring = store.read();
    let of = input.key_id.as_ref().map(|key_id| store.find(&ring, key_id)).transpose()?;
    let aliases = ring
        .aliases
        .iter()
        .filter(|(_, target)| of.as_ref().is_none_or(|of| of == *target))
        .map(|(name, target)| AliasListEntry {
            alias_name: name.clone(),
            alias_arn: store.alias_arn(name),
            target_key_id: target.clone(),
        })
        .collect();
    Ok(ListAliasesOutput { aliases, truncated: false })
}

fn unknown(store: &Store, name: &str) -> KmsError {
    KmsError::not_found(format!("Alias {} is not found.", store.alias_arn(name)))
}
