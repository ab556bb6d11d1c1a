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

use crate::error::Failure;
use crate::names::{Digest, ImageTag, Repository};
use crate::put_image::decision::{ImageRecord, TagRecord};
use crate::repository::{Encryption, MutabilityMode, RepositoryRecord, TagMutability};

/// An item, or its key.
pub type Item = HashMap<String, AttributeValue>;

/// The key of a repository's item.
#[must_use]
pub fn repository_key(repository: &Repository) -> Item {
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

impl RepositoryRecord {
    /// # Errors
    /// An attribute that is missing or of another form: somebody else wrote it.
    pub(super) fn from_item(item: &Item) -> Result<Self, Failure> {
        Self::read(item).ok_or_else(|| Failure::new("reading a repository's item"))
    }

    fn read(item: &Item) -> Option<Self> {
        let filters = match item.get("filters") {
            Some(filters) => filters
                .as_l()
                .ok()?
                .iter()
                .map(|filter| filter.as_s().ok().cloned())
                .collect::<Option<_>>()?,
            None => Vec::new(),
        };
        let key = text(item, "kmsKey").map(str::to_owned);
        Some(Self {
            repo_id: text(item, "repoId")?.to_owned(),
            rev: text(item, "rev")?.to_owned(),
            active: text(item, "status")? == "ACTIVE",
            tag_mutability: TagMutability {
                mode: MutabilityMode::parse(text(item, "mutability")?)?,
                filters,
            },
            encryption: match (text(item, "encryption")?, key) {
                ("AES256", None) => Encryption::Aes256,
                ("KMS", Some(key)) => Encryption::Kms(key),
                ("KMS_DSSE", Some(key)) => Encryption::KmsDsse(key),
                _ => return None,
            },
            policy: text(item, "policy").map(str::to_owned),
            image_count: number(item, "imageCount")?,
            del_epoch: number(item, "delEpoch")?,
            big_indexes: match item.get("bigIndexes") {
                Some(digests) => digests.as_ss().ok()?.len() as u64,
                None => 0,
            },
        })
    }
}

impl TagRecord {
    /// # Errors
    /// As [`RepositoryRecord::from_item`].
    pub(super) fn from_item(item: &Item) -> Result<Self, Failure> {
        let read = || {
            let digest = Digest::parse(text(item, "digest")?)?;
            Some(Self { digest, put_id: text(item, "putId")?.to_owned() })
        };
        read().ok_or_else(|| Failure::new("reading a tag's item"))
    }
}

impl ImageRecord {
    /// # Errors
    /// As [`RepositoryRecord::from_item`].
    pub(super) fn from_item(item: &Item) -> Result<Self, Failure> {
        let tag_count = number(item, "tagCount");
        tag_count
            .map(|tag_count| Self { tag_count })
            .ok_or_else(|| Failure::new("reading an image's item"))
    }
}

/// The string in `attribute`.
pub(super) fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

fn number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}
