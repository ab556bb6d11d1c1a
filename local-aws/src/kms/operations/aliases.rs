//! Aliases of keys.
//! <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>

use serde::{Deserialize, Serialize};

use super::Nothing;
use crate::kms::constraints::Constraints;
use crate::kms::error::KmsError;
use crate::kms::keys::Key;
use crate::kms::names::{KeySpec, KeyUsage, Origin};
use crate::kms::store::{KeyRing, Store, is_alias};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct AliasInput {
    alias_name: Option<String>,
    target_key_id: Option<String>,
}

impl AliasInput {
    /// The alias and its target.
    fn check(&self) -> Result<(&str, &str), KmsError> {
        let mut constraints = Constraints::default();
        let name = constraints.alias_name(self.alias_name.as_deref());
        let target = constraints.key_id("targetKeyId", self.target_key_id.as_deref());
        constraints.check()?;
        check_name(name)?;
        if is_alias(target) {
            return Err(KmsError::validation("Aliases must refer to keys. Not aliases"));
        }
        Ok((name, target))
    }
}

pub(in crate::kms) fn create_alias(store: &Store, input: &AliasInput) -> Result<Nothing, KmsError> {
    let (name, target) = input.check()?;
    store.change(|ring| {
        let key = target_key(store, ring, target, "CreateAlias")?;
        let id = key.id.clone();
        if ring.aliases.contains_key(name) {
            let arn = store.alias_arn(name);
            return Err(KmsError::new(
                "AlreadyExistsException",
                format!("An alias with the name {arn} already exists"),
            ));
        }
        ring.aliases.insert(name.to_owned(), id);
        Ok(Nothing {})
    })
}

/// Creates a symmetric key under the alias unless the alias exists.
pub(in crate::kms) fn ensure_alias(store: &Store, name: &str) -> Result<(), KmsError> {
    if store.read().aliases.contains_key(name) {
        return Ok(());
    }
    let (spec, usage) = (KeySpec::Symmetric, KeyUsage::EncryptDecrypt);
    let key = Key::generate(spec, usage, Origin::AwsKms, false)?;
    store.change(|ring| {
        ring.aliases.insert(name.to_owned(), key.id.clone());
        ring.keys.insert(key.id.clone(), key);
        Ok(())
    })
}

/// The previous target may be in any state.
pub(in crate::kms) fn update_alias(store: &Store, input: &AliasInput) -> Result<Nothing, KmsError> {
    let (name, target) = input.check()?;
    store.change(|ring| {
        let key = target_key(store, ring, target, "UpdateAlias")?;
        let before = ring.aliases.get(name).ok_or_else(|| store.no_such_alias(name))?;
        let before = ring.keys.get(before).ok_or_else(KmsError::internal)?;
        if (before.usage, before.spec.key_type()) != (key.usage, key.spec.key_type()) {
            return Err(KmsError::validation(
                "The current and the new KMS key must be of the same type and have the same key \
                 usage.",
            ));
        }
        let id = key.id.clone();
        ring.aliases.insert(name.to_owned(), id);
        Ok(Nothing {})
    })
}

fn target_key<'a>(
    store: &Store,
    ring: &'a KeyRing,
    reference: &str,
    action: &str,
) -> Result<&'a Key, KmsError> {
    let id = store.find(ring, reference, action)?;
    let key = ring.keys.get(&id).ok_or_else(KmsError::internal)?;
    key.permitted(&store.key_arn(&id), action)?;
    key.check_not_pending_deletion(&store.key_arn(&id))?;
    Ok(key)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct DeleteAliasInput {
    alias_name: Option<String>,
}

pub(in crate::kms) fn delete_alias(
    store: &Store,
    input: &DeleteAliasInput,
) -> Result<Nothing, KmsError> {
    let mut constraints = Constraints::default();
    let name = constraints.alias_name(input.alias_name.as_deref());
    constraints.check()?;
    check_name(name)?;
    store.change(|ring| match ring.aliases.remove(name) {
        Some(_) => Ok(Nothing {}),
        None => Err(store.no_such_alias(name)),
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
    let mut constraints = Constraints::default();
    if input.key_id.is_some() {
        constraints.key_id("keyId", input.key_id.as_deref());
    }
    constraints.check()?;
    let ring = store.read();
    let of = input.key_id.as_ref();
    let of = of.map(|key_id| store.find_key(&ring, key_id, "ListAliases")).transpose()?;
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

fn check_name(name: &str) -> Result<(), KmsError> {
    let Some(rest) = name.strip_prefix("alias/") else {
        return Err(KmsError::validation(
            "Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ));
    };
    if rest.is_empty() || rest.contains(':') {
        let message = format!("{name} contains invalid characters for an alias");
        return Err(KmsError::validation(message));
    }
    // Reserved for AWS managed keys.
    if rest == "aws" || rest.starts_with("aws/") {
        return Err(KmsError::new("NotAuthorizedException", ""));
    }
    Ok(())
}
