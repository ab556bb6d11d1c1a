//! CreateRepository's request: JSON members → settings.

use std::collections::HashSet;

use serde::Deserialize;

use crate::api::error::{Error, MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS};
use crate::api::members::{enum_constraint, members, optional, required};
use crate::ecr::mutability::{ExclusionFilter, FilterKind, MutabilityMode, TagMutability};
use crate::ecr::names::{Constraint, RegistryId, RepositoryName};
use crate::ecr::repository::{Encryption, EncryptionType};
use crate::json::{AtMost, Object};

const MAX_FILTERS: usize = 5;
const MAX_KMS_KEY: usize = 2048;

const FILTERS: &str = "imageTagMutabilityExclusionFilters";
const ENCRYPTION: &str = "encryptionConfiguration";

/// A request whose every member satisfies its constraint.
#[derive(Debug)]
pub(crate) struct Input {
    pub repository_name: RepositoryName,
    pub registry_id: Option<RegistryId>,
    pub tag_mutability: TagMutability,
    /// Its key is an id, an ARN or an alias.
    pub encryption: Encryption,
    pub scan_on_push: bool,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
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
    /// `SerializationException`, or the first fault in the order of the members:
    /// `InvalidParameterException`, of tags also `TooManyTagsException` and
    /// `InvalidTagParameterException`.
    pub(crate) fn parse(body: &str, default_kms_key: Option<&str>) -> Result<Self, Error> {
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
                None => Encryption::AES_256,
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
    let does_not_fit = |what: &str| {
        let mode = mode.as_str();
        let constraint = format!(
            "ImageTagMutabilityExclusionFilters can't be {what} when imageTagMutability is set as \
             {mode}"
        );
        Error::invalid(FILTERS, constraint)
    };
    let filters = match filters {
        None if mode.has_exclusions() => return Err(does_not_fit("null")),
        None => Vec::new(),
        Some(filters) => {
            let filters = exclusion_filters(filters)?;
            if !mode.has_exclusions() {
                return Err(does_not_fit("set"));
            }
            filters
        }
    };
    Ok(TagMutability { mode, filters })
}

fn exclusion_filters(filters: Vec<Object<Filter>>) -> Result<Vec<ExclusionFilter>, Error> {
    let invalid = |constraint| Error::invalid(FILTERS, constraint);
    match filters.len() {
        0 => return Err(invalid(Constraint::MinLength(1))),
        1..=MAX_FILTERS => {}
        _ => return Err(invalid(Constraint::MaxLength(MAX_FILTERS))),
    }
    let parse = |Object(Filter { filter_type, filter })| {
        let (Some(kind), Some(pattern)) = (filter_type, filter) else {
            return Err(invalid(Constraint::NotNull));
        };
        let known = FilterKind::ALL.map(FilterKind::as_str);
        let kind = FilterKind::parse(&kind)
            .ok_or_else(|| Error::invalid(FILTERS, enum_constraint(&known)))?;
        ExclusionFilter::parse(kind, pattern).ok_or_else(|| {
            invalid(Constraint::Text(
                "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$' and have at most 2 \
                 wildcards",
            ))
        })
    };
    filters.into_iter().map(parse).collect()
}

fn encryption(
    EncryptionConfiguration { encryption_type, kms_key }: EncryptionConfiguration,
    default_kms_key: Option<&str>,
) -> Result<Encryption, Error> {
    let invalid = |constraint: String| Error::invalid(ENCRYPTION, constraint);
    match kms_key.as_ref().map_or(1, |key| key.chars().count()) {
        0 => return Err(invalid(format!("kmsKey {}", Constraint::MinLength(1)))),
        length if length > MAX_KMS_KEY => {
            return Err(invalid(format!("kmsKey {}", Constraint::MaxLength(MAX_KMS_KEY))));
        }
        _ => {}
    }
    let kind = match encryption_type.as_deref() {
        None => EncryptionType::Aes256,
        Some(text) => EncryptionType::parse(text).ok_or_else(|| {
            let known = EncryptionType::ALL.map(EncryptionType::as_str);
            Error::invalid(ENCRYPTION, enum_constraint(&known))
        })?,
    };
    if kind == EncryptionType::Aes256 {
        return Encryption::new(kind, kms_key).ok_or_else(|| {
            invalid("kmsKey can't be set when encryptionType is set as AES256".to_owned())
        });
    }
    let key = kms_key.or(default_kms_key.map(str::to_owned));
    Encryption::new(kind, key)
        .ok_or_else(|| invalid("kmsKey can't be null: there is no default key".to_owned()))
}

fn tags(tags: Vec<Object<Tag>>) -> Result<Vec<(String, String)>, Error> {
    if tags.len() > MAX_TAGS {
        return Err(Error::TooManyTags);
    }
    let not_null = || Error::invalid("tags", Constraint::NotNull);
    let mut keys = HashSet::new();
    tags.into_iter()
        .map(|Object(Tag { key, value })| {
            let (key, value) = (key.ok_or_else(not_null)?, value.ok_or_else(not_null)?);
            check_tag(&key, &value).map_err(Error::InvalidTagParameter)?;
            if keys.insert(key.clone()) {
                Ok((key, value))
            } else {
                Err(Error::InvalidTagParameter("A tag key is given more than once."))
            }
        })
        .collect()
}

/// The rules for resource tags that all of AWS has in common ("Tag naming limits and requirements",
/// Tagging AWS Resources user guide).
fn check_tag(key: &str, value: &str) -> Result<(), &'static str> {
    // Unicode's separators are its white space without the control characters.
    let is_allowed = |c: char| {
        c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c)
    };
    let is_reserved = key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
    match (key.chars().count(), value.chars().count()) {
        (0, _) => Err("A tag key is empty."),
        (key, _) if key > MAX_TAG_KEY => Err("A tag key is too long."),
        (_, value) if value > MAX_TAG_VALUE => Err("A tag value is too long."),
        _ if is_reserved => Err("Tag keys that begin with aws: are reserved."),
        _ if !key.chars().chain(value.chars()).all(is_allowed) => {
            Err("Tags can have letters, digits, spaces and the characters _.:/=+-@ alone.")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_rules_that_all_of_aws_has_in_common() {
        for (key, value) in [
            ("k", ""),
            ("Kostenstelle Süd", "日本 _.:/=+-@ ٣"),
            ("aws", "aws:value"),
            ("éws:x", "v"),
            (&*"k".repeat(128), &*"v".repeat(256)),
        ] {
            assert_eq!(check_tag(key, value), Ok(()), "{key}");
        }
        for (key, value) in [
            ("", "v"),
            ("aws:x", "v"),
            ("AwS:x", "v"),
            ("k\n", "v"),
            ("k", "v#"),
            ("k", "a\tb"),
            (&*"é".repeat(129), "v"),
            ("k", &*"é".repeat(257)),
        ] {
            assert!(check_tag(key, value).is_err(), "{key} {value}");
        }
    }
}
