//! DynamoDB: repositories, images and tags, in one table.
//!
//! [`items`] has the keys and attributes, [`read`] what a push reads, [`commit`] and [`create`] what
//! is written, [`transaction`] how.

pub mod commit;
pub mod create;
pub mod items;
pub mod read;
pub mod transaction;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ConsumedCapacity;

use crate::names::Repository;
use crate::sdk;

/// How many repositories' ids the process remembers.
const REMEMBERED: usize = 1024;

/// The table.
#[derive(Debug)]
pub struct Table {
    /// Retries as the SDK's standard mode does: for all but transactions.
    client: Client,
    /// Never retries: for commits, whose every repetition is the protocol's own. A retry inside
    /// the SDK would hide an unknown first outcome behind a definite second answer.
    commits: Client,
    name: String,
    /// Only a hint where to read; no answer relies on it.
    repo_ids: Mutex<HashMap<Repository, String>>,
}

impl Table {
    /// The table `name` of the account and region that `aws` names.
    #[must_use]
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(aws)
            .retry_config(sdk::retries(4, Duration::from_millis(25)))
            .timeout_config(sdk::timeouts(Duration::from_secs(2)));
        let commits = config.clone().retry_config(RetryConfig::disabled());
        Self {
            client: Client::from_conf(config.build()),
            commits: Client::from_conf(commits.build()),
            name,
            repo_ids: Mutex::default(),
        }
    }

    /// The id that a repository of this name had when the process last saw it.
    #[must_use]
    pub fn remembered(&self, repository: &Repository) -> Option<String> {
        self.repo_ids.lock().unwrap_or_else(PoisonError::into_inner).get(repository).cloned()
    }

    /// Remembers the id of the repository of this name.
    pub fn remember(&self, repository: &Repository, repo_id: &str) {
        let mut repo_ids = self.repo_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if repo_ids.len() >= REMEMBERED {
            repo_ids.clear();
        }
        repo_ids.insert(repository.clone(), repo_id.to_owned());
    }

    /// Forgets it, where there is no such repository any more, or none for the caller.
    pub fn forget(&self, repository: &Repository) {
        self.repo_ids.lock().unwrap_or_else(PoisonError::into_inner).remove(repository);
    }
}

/// What DynamoDB charged for a call.
fn units<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}
