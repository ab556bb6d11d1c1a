//! The items of the table: their keys, and records ⇄ attributes.
//!
//! | item | PK | SK |
//! |---|---|---|
//! | META, a repository | `REPO#<registryId>#<name>` | `#META` |
//! | IMAGE | `R#<repoId>` | `IMAGE#<digest>` |
//! | MANIFEST, its body | `R#<repoId>` | `MANIFEST#<digest>` |
//! | TAG | `R#<repoId>` | `TAG#<tag>` |
//!
//! Sort keys stay under DynamoDB's 1,024 bytes: a tag has 300 ASCII characters at most.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::ecr::manifest::MediaType;
use crate::ecr::mutability::{ExclusionFilter, FilterKind, MutabilityMode, TagMutability};
use crate::ecr::names::{Digest, ImageTag, RepositoryRef};
use crate::ecr::repository::{
    Encryption, EncryptionType, ImageRecord, RepositoryRecord, TagRecord,
};
use crate::failure::Failure;

/// An item, or its key.
pub type Item = HashMap<String, AttributeValue>;

/// The key of a repository's item.
#[must_use]
pub fn repository_key(repository: &RepositoryRef) -> Item {
    key(format!("REPO#{}#{}", repository.registry, repository.name), "#META".into())
}

/// The key of an image's item.
#[must_use]
pub fn image_key(repo_id: &str, digest: &Digest) -> Item {
    key(partition(repo_id), format!("IMAGE#{digest}"))
}

/// The key of the item that holds an image's manifest.
#[must_use]
pub fn manifest_key(repo_id: &str, digest: &Digest) -> Item {
    key(partition(repo_id), format!("MANIFEST#{digest}"))
}

/// The key of a tag's item.
#[must_use]
pub fn tag_key(repo_id: &str, tag: &ImageTag) -> Item {
    key(partition(repo_id), format!("TAG#{tag}"))
}

fn partition(repo_id: &str) -> String {
    format!("R#{repo_id}")
}

fn key(pk: String, sk: String) -> Item {
    [("PK".to_owned(), AttributeValue::S(pk)), ("SK".to_owned(), AttributeValue::S(sk))].into()
}

/// A string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
#[must_use]
pub fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// # Errors
/// An attribute is missing or malformed: something else wrote the item.
pub(crate) fn repository_from_item(item: &Item) -> Result<RepositoryRecord, Failure> {
    let filters = match item.get("filters") {
        Some(filters) => filters.as_l().ok().and_then(|filters| {
            let pattern = |filter: &AttributeValue| filter.as_s().ok().cloned();
            let filter = |pattern| ExclusionFilter::parse(FilterKind::Wildcard, pattern);
            filters.iter().map(|value| filter(pattern(value)?)).collect()
        }),
        None => Some(Vec::new()),
    };
    let read = || {
        let kind = EncryptionType::parse(text(item, "encryption")?)?;
        Some(RepositoryRecord {
            repo_id: text(item, "repoId")?.to_owned(),
            rev: text(item, "rev")?.to_owned(),
            active: text(item, "status")? == "ACTIVE",
            tag_mutability: TagMutability {
                mode: MutabilityMode::parse(text(item, "mutability")?)?,
                filters: filters?,
            },
            encryption: Encryption::new(kind, text(item, "kmsKey").map(str::to_owned))?,
            policy: text(item, "policy").map(str::to_owned),
            image_count: number(item, "imageCount")?,
            del_epoch: number(item, "delEpoch")?,
            big_indexes: match item.get("bigIndexes") {
                Some(digests) => digests.as_ss().ok()?.len() as u64,
                None => 0,
            },
        })
    };
    read().ok_or_else(|| Failure::new("reading a repository's item"))
}

/// # Errors
/// As [`repository_from_item`].
pub(crate) fn tag_from_item(item: &Item) -> Result<TagRecord, Failure> {
    let read = || {
        let digest = Digest::parse(text(item, "digest")?)?;
        Some(TagRecord { digest, put_id: text(item, "putId")?.to_owned() })
    };
    read().ok_or_else(|| Failure::new("reading a tag's item"))
}

/// # Errors
/// As [`repository_from_item`].
pub(crate) fn image_from_item(item: &Item) -> Result<ImageRecord, Failure> {
    let read = || {
        let media_type = MediaType::parse(text(item, "mediaType")?)?;
        Some(ImageRecord { tag_count: number(item, "tagCount")?, media_type })
    };
    read().ok_or_else(|| Failure::new("reading an image's item"))
}

/// The key of the body that an image's item refers to; `None` where its manifest is in the table.
///
/// # Errors
/// As [`repository_from_item`].
pub(crate) fn body_key_from_item(mut item: Item) -> Result<Option<String>, Failure> {
    match item.remove("bodyKey") {
        None => Ok(None),
        Some(AttributeValue::S(key)) => Ok(Some(key)),
        Some(_) => Err(Failure::new("reading an image's item")),
    }
}

/// The string in `attribute`.
pub(crate) fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

fn number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}
