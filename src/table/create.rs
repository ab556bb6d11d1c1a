//! Creating a repository: one conditional put.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::Table;
use super::items::{n, repository_key, s, text};
use crate::backoff::Backoff;
use crate::error::Failure;
use crate::names::Repository;
use crate::repository::{Encryption, TagMutability};
use crate::sdk::failure;

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
    /// Creates a repository; `false` where the name is taken. A retry that finds the repository
    /// that a lost answer of its own call created has succeeded.
    ///
    /// # Errors
    /// The write failed, retries included.
    pub async fn create(&self, new: &NewRepository<'_>) -> Result<bool, Failure> {
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

        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(PK)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut backoff = Backoff::default();
        loop {
            let Err(error) = put.clone().send().await else { return Ok(true) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(taken)) => {
                    let holder = taken.item().and_then(|item| text(item, "repoId"));
                    return Ok(holder == Some(new.repo_id));
                }
                // The name is taken by a repository that is just being pushed to. The SDK does not
                // retry this.
                Some(PutItemError::TransactionConflictException(_)) => backoff.pause().await,
                _ => return Err(failure("creating a repository", error)),
            }
        }
    }
}
