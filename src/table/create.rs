//! Creating a repository: a transaction of one conditional put. A plain put that is repeated after a
//! lost answer could bring back, with the same ids, a repository that was deleted meanwhile.

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::Table;
use super::items::{n, repository_key, s};
use super::transaction::{ABSENT, Outcome, put};
use crate::backoff::Backoff;
use crate::call::CallLog;
use crate::error::Failure;
use crate::names::Repository;
use crate::repository::{Encryption, TagMutability};

/// A repository that is to be.
#[derive(Debug)]
pub struct NewRepository<'a> {
    /// Its name.
    pub repository: &'a Repository,
    /// A new UUID.
    pub repo_id: &'a str,
    /// A new UUID.
    pub rev: &'a str,
    /// Which tags may move.
    pub tag_mutability: &'a TagMutability,
    /// What encrypts its manifests.
    pub encryption: &'a Encryption,
    /// Kept as the client sent it; this service scans nothing.
    pub scan_on_push: bool,
    /// Kept as the client sent them.
    pub tags: &'a [(String, String)],
    /// In milliseconds since 1970.
    pub created_at: u64,
}

impl Table {
    /// Creates a repository; `false` where the name is taken.
    ///
    /// # Errors
    /// A failure of ours, or an outcome that stays unknown.
    pub async fn create(
        &self,
        new: &NewRepository<'_>,
        log: &mut CallLog,
    ) -> Result<bool, Failure> {
        let mut item = repository_key(new.repository);
        item.extend([
            ("repoId".into(), s(new.repo_id)),
            ("rev".into(), s(new.rev)),
            ("status".into(), s("ACTIVE")),
            ("mutability".into(), s(new.tag_mutability.mode.as_str())),
            ("encryption".into(), s(new.encryption.as_str())),
            ("imageCount".into(), n(0)),
            ("delEpoch".into(), n(0)),
            ("createdAt".into(), n(new.created_at)),
            ("scanOnPush".into(), AttributeValue::Bool(new.scan_on_push)),
            ("registryId".into(), s(new.repository.registry.as_str())),
            ("repositoryName".into(), s(new.repository.name.as_str())),
        ]);
        if !new.tag_mutability.filters.is_empty() {
            let filters = new.tag_mutability.filters.iter().map(s).collect();
            item.insert("filters".into(), AttributeValue::L(filters));
        }
        if let Some(key) = new.encryption.kms_key() {
            item.insert("kmsKey".into(), s(key));
        }
        if !new.tags.is_empty() {
            let tags = new.tags.iter().map(|(key, value)| (key.clone(), s(value))).collect();
            item.insert("tags".into(), AttributeValue::M(tags));
        }

        let mut backoff = Backoff::default();
        loop {
            let put = put(&self.name, item.clone(), ABSENT, []).map(|put| vec![put]);
            let token = Uuid::new_v4().to_string();
            match self.transact("creating a repository", put, token, log).await? {
                Outcome::Committed => return Ok(true),
                Outcome::StartAgain if self.repository(new.repository, log).await?.is_some() => {
                    return Ok(false);
                }
                Outcome::StartAgain => backoff.pause().await,
            }
        }
    }
}
