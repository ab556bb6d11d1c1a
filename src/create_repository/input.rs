//! CreateRepository's request: JSON members → settings that cannot be bad.

use std::collections::HashSet;

use serde::Deserialize;

use crate::error::Error;
use crate::json::{AtMost, Object, members, optional, required};
use crate::names::{Constraint, NOT_NULL, RegistryId, RepositoryName};
use crate::repository::{MutabilityMode, TagMutability, is_exclusion_filter};

const MAX_FILTERS: usize = 5;
const MAX_TAGS: usize = 50;

const FILTERS: &str = "imageTagMutabilityExclusionFilters";
const ENCRYPTION: &str = "encryptionConfiguration";

/// A request whose every member meets its constraint.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) repository_name: RepositoryName,
    pub(super) registry_id: Option<RegistryId>,
    pub(super) tag_mutability: TagMutability,
    pub(super) encryption: EncryptionChoice,
    pub(super) scan_on_push: bool,
    /// Keys and values.
    pub(super) tags: Vec<(String, String)>,
}

/// The encryption that was asked for: its key by id, ARN or alias.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EncryptionChoice {
    Aes256,
    Kms(String),
    KmsDsse(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    repository_name: Option<String>,
    registry_id: Option<String>,
    image_tag_mutability: Option<String>,
    image_tag_mutability_exclusion_filters: Option<AtMost<{ MAX_FILTERS + 1 }, Object<Filter>>>,
    encryption_configuration: Option<Object<EncryptionConfiguration>>,
    image_scanning_configuration: Option<Object<ImageScanningConfiguration>>,
    tags: Option<AtMost<{ MAX_TAGS + 1 }, Object<Tag>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: Option<String>,
    filter: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EncryptionConfiguration {
    encryption_type: Option<String>,
    kms_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageScanningConfiguration {
    scan_on_push: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: Option<String>,
    value: Option<String>,
}

impl Input {
    /// # Errors
    /// `SerializationException`, or `InvalidParameterException` for the first fault in the order
    /// of the members.
    pub(super) fn parse(body: &str, default_kms_key: Option<&str>) -> Result<Self, Error> {
        let raw: Members = members(body)?;
        let scanning = raw.image_scanning_configuration;
        Ok(Self {
            repository_name: required(
                "repositoryName",
                raw.repository_name,
                RepositoryName::parse,
            )?,
            registry_id: optional("registryId", raw.registry_id, RegistryId::parse)?,
            tag_mutability: tag_mutability(
                raw.image_tag_mutability.as_deref(),
                raw.image_tag_mutability_exclusion_filters.map(|AtMost(filters)| filters),
            )?,
            encryption: match raw.encryption_configuration {
                Some(Object(configuration)) => encryption(configuration, default_kms_key)?,
                None => EncryptionChoice::Aes256,
            },
            scan_on_push: scanning.and_then(|Object(it)| it.scan_on_push).unwrap_or(false),
            tags: tags(raw.tags.map(|AtMost(tags)| tags).unwrap_or_default())?,
        })
    }
}

fn tag_mutability(
    mode: Option<&str>,
    filters: Option<Vec<Object<Filter>>>,
) -> Result<TagMutability, Error> {
    let mode = match mode {
        None => MutabilityMode::Mutable,
        Some(text) => MutabilityMode::parse(text).ok_or_else(|| {
            let known = MutabilityMode::ALL.map(MutabilityMode::as_str);
            Error::invalid("imageTagMutability", enum_constraint(&known))
        })?,
    };
    let refused = |what: &str| {
        let mode = mode.as_str();
        let unmet = format!(
            "ImageTagMutabilityExclusionFilters can't be {what} when imageTagMutability is set as \
             {mode}"
        );
        Error::invalid(FILTERS, unmet)
    };
    let filters = match filters {
        None if mode.has_exclusions() => return Err(refused("null")),
        None => Vec::new(),
        Some(filters) => {
            let filters = exclusion_filters(filters)?;
            if !mode.has_exclusions() {
                return Err(refused("set"));
            }
            filters
        }
    };
    Ok(TagMutability { mode, filters })
}

fn exclusion_filters(filters: Vec<Object<Filter>>) -> Result<Vec<String>, Error> {
    let invalid = |unmet: &str| Error::invalid(FILTERS, unmet);
    match filters.len() {
        0 => return Err(invalid("must have length greater than or equal to 1")),
        1..=MAX_FILTERS => {}
        _ => return Err(invalid("must have length less than or equal to 5")),
    }
    let parse = |Object(Filter { filter_type, filter })| match (filter_type.as_deref(), filter) {
        (None, _) | (_, None) => Err(invalid(NOT_NULL)),
        (Some("WILDCARD"), Some(filter)) if is_exclusion_filter(&filter) => Ok(filter),
        (Some("WILDCARD"), Some(_)) => Err(invalid(
            "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$' and have at most 2 wildcards",
        )),
        (Some(_), Some(_)) => Err(Error::invalid(FILTERS, enum_constraint(&["WILDCARD"]))),
    };
    filters.into_iter().map(parse).collect()
}

fn encryption(
    EncryptionConfiguration { encryption_type, kms_key }: EncryptionConfiguration,
    default_kms_key: Option<&str>,
) -> Result<EncryptionChoice, Error> {
    let invalid = |unmet: &str| Error::invalid(ENCRYPTION, unmet);
    match kms_key.as_ref().map_or(1, |key| key.chars().count()) {
        0 => return Err(invalid("kmsKey must have length greater than or equal to 1")),
        2049.. => return Err(invalid("kmsKey must have length less than or equal to 2048")),
        _ => {}
    }
    let with_kms: fn(String) -> EncryptionChoice = match encryption_type.as_deref() {
        None | Some("AES256") => {
            return match kms_key {
                None => Ok(EncryptionChoice::Aes256),
                Some(_) => Err(invalid("kmsKey can't be set when encryptionType is set as AES256")),
            };
        }
        Some("KMS") => EncryptionChoice::Kms,
        Some("KMS_DSSE") => EncryptionChoice::KmsDsse,
        Some(_) => {
            let unmet = enum_constraint(&["AES256", "KMS", "KMS_DSSE"]);
            return Err(Error::invalid(ENCRYPTION, unmet));
        }
    };
    let key = kms_key.or(default_kms_key.map(str::to_owned));
    key.map(with_kms).ok_or_else(|| invalid("kmsKey can't be null: there is no default key"))
}

/// The API reference's bounds on resource tags: 50 at most, keys of 1–128 and values of 0–256
/// characters, each key once.
fn tags(tags: Vec<Object<Tag>>) -> Result<Vec<(String, String)>, Error> {
    let check = || -> Result<Vec<(String, String)>, Constraint> {
        if tags.len() > MAX_TAGS {
            return Err("must have length less than or equal to 50");
        }
        let mut keys = HashSet::new();
        tags.into_iter()
            .map(|Object(Tag { key, value })| {
                let (key, value) = (key.ok_or(NOT_NULL)?, value.ok_or(NOT_NULL)?);
                match (key.chars().count(), value.chars().count()) {
                    (1..=128, 0..=256) if keys.insert(key.clone()) => Ok((key, value)),
                    (1..=128, 0..=256) => Err("must have unique keys"),
                    _ => Err("must have keys of 1 to 128 and values of 0 to 256 characters"),
                }
            })
            .collect()
    };
    check().map_err(|unmet| Error::invalid("tags", unmet))
}

fn enum_constraint(values: &[&str]) -> String {
    format!("must satisfy enum value set: [{}]", values.join(", "))
}
