//! The ids of repositories that the process has seen: a hint where to read, on which no response
//! relies.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::ecr::names::RepositoryRef;

/// How many repositories' ids the process remembers.
const REMEMBERED: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct RepoIds(Mutex<HashMap<RepositoryRef, String>>);

impl RepoIds {
    /// The id that a repository of this name had when the process last saw it.
    pub(crate) fn get(&self, repository: &RepositoryRef) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(repository).cloned()
    }

    pub(crate) fn remember(&self, repository: &RepositoryRef, repo_id: &str) {
        let mut repo_ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if repo_ids.len() >= REMEMBERED {
            repo_ids.clear();
        }
        repo_ids.insert(repository.clone(), repo_id.to_owned());
    }

    pub(crate) fn forget(&self, repository: &RepositoryRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(repository);
    }
}
