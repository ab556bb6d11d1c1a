//! What CreateRepository writes: a transaction of one conditional put. A plain put that is repeated
//! after a lost response could bring back, with the same ids, a repository that was deleted
//! meanwhile.

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use crate::ecr::mutability::{ExclusionFilter, TagMutability};
use crate::ecr::names::RepositoryRef;
use crate::ecr::repository::Encryption;
use crate::failure::Failure;
use crate::retry::Backoff;
use crate::stores::table::items::{Item, n, repository_key, s};
use crate::stores::table::transaction::{ABSENT, Outcome, put};
use crate::stores::table::{Table, Usage};

/// A repository to be created.
#[derive(Debug)]
pub(super) struct NewRepository<'a> {
    pub(super) repository: &'a RepositoryRef,
    /// A new UUID.
    pub(super) repo_id: &'a str,
    /// A new UUID.
    pub(super) rev: &'a str,
    pub(super) tag_mutability: &'a TagMutability,
    pub(super) encryption: &'a Encryption,
    /// Stored as the client sent it; this service scans nothing.
    pub(super) scan_on_push: bool,
    /// Keys and values.
    pub(super) tags: &'a [(String, String)],
    /// In milliseconds since 1970.
    pub(super) created_at: u64,
}

/// Creates a repository. Returns `false` if the name is taken.
///
/// # Errors
/// A failure of the service, or an outcome that stays unknown.
pub(super) async fn create(
    table: &Table,
    new: &NewRepository<'_>,
    usage: &mut Usage,
) -> Result<bool, Failure> {
    let item = new.item();
    let mut backoff = Backoff::default();
    loop {
        let put = put(&table.name, item.clone(), ABSENT, []).map(|put| vec![put]);
        let token = Uuid::new_v4().to_string();
        match table.transact("creating a repository", put, token, usage).await? {
            Outcome::Committed => return Ok(true),
            Outcome::StartAgain if table.repository(new.repository, usage).await?.is_some() => {
                return Ok(false);
            }
            Outcome::StartAgain => backoff.pause().await,
        }
    }
}

impl NewRepository<'_> {
    fn item(&self) -> Item {
        let Self { tag_mutability, encryption, .. } = self;
        let mut item = repository_key(self.repository);
        item.extend([
            ("repoId".into(), s(self.repo_id)),
            ("rev".into(), s(self.rev)),
            ("status".into(), s("ACTIVE")),
            ("mutability".into(), s(tag_mutability.mode.as_str())),
            ("encryption".into(), s(encryption.kind().as_str())),
            ("imageCount".into(), n(0)),
            ("delEpoch".into(), n(0)),
            ("createdAt".into(), n(self.created_at)),
            ("scanOnPush".into(), AttributeValue::Bool(self.scan_on_push)),
            ("registryId".into(), s(self.repository.registry.as_str())),
            ("repositoryName".into(), s(self.repository.name.as_str())),
        ]);
        if !tag_mutability.filters.is_empty() {
            // There is one kind of filter, so an item holds the patterns alone.
            let filters = tag_mutability.filters.iter().map(ExclusionFilter::pattern).map(s);
            item.insert("filters".into(), AttributeValue::L(filters.collect()));
        }
        if let Some(key) = encryption.kms_key() {
            item.insert("kmsKey".into(), s(key));
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|(key, value)| (key.clone(), s(value))).collect();
            item.insert("tags".into(), AttributeValue::M(tags));
        }
        item
    }
}
