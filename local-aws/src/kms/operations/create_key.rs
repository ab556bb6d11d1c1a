//! Creates a key, with KMS's rules on which specifications, usages and origins go together.
//! <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html>

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{KeyOutput, policy, policy_constraints};
use crate::kms::constraints::Constraints;
use crate::kms::error::KmsError;
use crate::kms::keys::Key;
use crate::kms::names::{KeySpec, KeyUsage, Named as _, Origin};
use crate::kms::store::Store;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kms) struct CreateKeyInput {
    custom_key_store_id: Option<String>,
    customer_master_key_spec: Option<String>,
    description: Option<String>,
    key_spec: Option<String>,
    key_usage: Option<String>,
    multi_region: Option<bool>,
    origin: Option<String>,
    policy: Option<String>,
    tags: Option<Vec<Tag>>,
    xks_key_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: Option<String>,
    tag_value: Option<String>,
}

struct Wanted {
    spec: KeySpec,
    usage: Option<KeyUsage>,
    origin: Origin,
}

pub(in crate::kms) fn create_key(
    store: &Store,
    input: &CreateKeyInput,
) -> Result<KeyOutput, KmsError> {
    let Wanted { spec, usage, origin } = check_members(input)?;
    check_tags(input.tags.as_deref().unwrap_or_default())?;
    let usage = usage_for(spec, usage)?;
    let exists = if store.is_in_china() { spec.exists_in_china() } else { spec.exists_elsewhere() };
    if !exists {
        let message = format!("KeySpec {} is not supported in this Region.", spec.name());
        return Err(KmsError::unsupported(message));
    }
    check_origin(input, spec, origin)?;

    let mut key = Key::generate(spec, usage, origin, input.multi_region == Some(true))?;
    key.description = input.description.clone().unwrap_or_default();
    key.policy = input.policy.as_deref().map(policy).transpose()?;
    let key_metadata = key.metadata(store.key_arn(&key.id));
    store.change(|ring| {
        ring.keys.insert(key.id.clone(), key);
        Ok(KeyOutput { key_metadata })
    })
}

fn check_members(input: &CreateKeyInput) -> Result<Wanted, KmsError> {
    let mut constraints = Constraints::default();
    if let Some(document) = &input.policy {
        policy_constraints(&mut constraints, document);
    }
    if let Some(description) = &input.description {
        constraints.length("description", description, 0..=8192);
    }
    let usage = constraints.named("keyUsage", input.key_usage.as_deref());
    let spec: Option<KeySpec> = constraints.named("keySpec", input.key_spec.as_deref());
    let member = "customerMasterKeySpec";
    let old_spec = constraints.named(member, input.customer_master_key_spec.as_deref());
    let origin = constraints.named("origin", input.origin.as_deref());
    if let Some(store) = &input.custom_key_store_id {
        constraints.length("customKeyStoreId", store, 1..=64);
    }
    for (number, tag) in (1..).zip(input.tags.iter().flatten()) {
        let member = |name: &str| format!("tags.{number}.member.{name}");
        if let Some(key) = constraints.required(&member("tagKey"), tag.tag_key.as_deref()) {
            constraints.length(&member("tagKey"), key, 1..=128);
        }
        if let Some(value) = constraints.required(&member("tagValue"), tag.tag_value.as_deref()) {
            constraints.length(&member("tagValue"), value, 0..=256);
        }
    }
    constraints.check()?;
    if spec.is_some() && old_spec.is_some() {
        return Err(KmsError::validation(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. \
             CustomerMasterKeySpec is deprecated.",
        ));
    }
    Ok(Wanted {
        spec: spec.or(old_spec).unwrap_or(KeySpec::Symmetric),
        usage,
        origin: origin.unwrap_or(Origin::AwsKms),
    })
}

fn check_tags(tags: &[Tag]) -> Result<(), KmsError> {
    let keys: Vec<_> = tags.iter().filter_map(|tag| tag.tag_key.as_deref()).collect();
    let message = if keys.len() > 50 {
        "Too many tags"
    } else if keys.iter().collect::<BTreeSet<_>>().len() < keys.len() {
        "Duplicate tag keys"
    } else if keys.iter().any(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        "Tags beginning with aws: are reserved"
    } else {
        return Ok(());
    };
    Err(KmsError::new("TagException", message))
}

fn usage_for(spec: KeySpec, usage: Option<KeyUsage>) -> Result<KeyUsage, KmsError> {
    let Some(usage) = usage else {
        if spec == KeySpec::Symmetric {
            return Ok(KeyUsage::EncryptDecrypt);
        }
        return Err(KmsError::validation(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption \
             keys.",
        ));
    };
    if !spec.usages().contains(&usage) {
        let (usage, spec) = (usage.name(), spec.name());
        let message = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
        return Err(KmsError::validation(message));
    }
    Ok(usage)
}

/// No `CustomKeyStoreId` is valid, because there are no custom key stores here.
fn check_origin(input: &CreateKeyInput, spec: KeySpec, origin: Origin) -> Result<(), KmsError> {
    let in_key_store = matches!(origin, Origin::AwsCloudHsm | Origin::ExternalKeyStore);
    let multi_region = input.multi_region == Some(true);
    match &input.custom_key_store_id {
        _ if in_key_store && (spec != KeySpec::Symmetric || multi_region) => Err(
            KmsError::unsupported("A key in a custom key store is symmetric and single-Region."),
        ),
        Some(store) if in_key_store => {
            let message = format!("Custom key store '{store}' does not exist");
            Err(KmsError::new("CustomKeyStoreNotFoundException", message))
        }
        None if in_key_store => {
            let origin = origin.name();
            Err(KmsError::validation(format!("Origin {origin} needs a CustomKeyStoreId.")))
        }
        Some(_) => Err(KmsError::validation("CustomKeyStoreId needs another Origin.")),
        None if input.xks_key_id.is_some() => {
            Err(KmsError::validation("XksKeyId needs Origin EXTERNAL_KEY_STORE."))
        }
        None if origin == Origin::External && !spec.can_be_imported() => {
            let spec = spec.name();
            Err(KmsError::unsupported(format!("KeySpec {spec} has no Origin EXTERNAL.")))
        }
        None => Ok(()),
    }
}
