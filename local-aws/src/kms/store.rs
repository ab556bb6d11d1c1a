//! The state, and the file that holds it: written before a change is answered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::error::KmsError;
use super::keys::Key;
use crate::{DEFAULT_ACCOUNT, file};

/// The keys of one account in one region.
#[derive(Debug)]
pub(super) struct Store {
    /// `arn:aws:kms:<region>:<account>:`
    arn_prefix: String,
    file: Option<PathBuf>,
    state: Mutex<KeyRing>,
}

/// Everything that KMS knows; the content of its file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct KeyRing {
    /// By key id.
    pub(super) keys: BTreeMap<String, Key>,
    /// Key ids by alias name, which begins with `alias/`.
    pub(super) aliases: BTreeMap<String, String>,
}

impl Store {
    /// Reads the file, if there is one. An unreadable one is an error: keys are not to be lost
    /// by starting afresh.
    pub(super) fn open(file: Option<PathBuf>, region: &str) -> io::Result<Self> {
        let state = match file.as_ref().map(fs::read) {
            Some(Ok(content)) => serde_json::from_slice(&content)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => KeyRing::default(),
        };
        let arn_prefix = format!("arn:aws:kms:{region}:{DEFAULT_ACCOUNT}:");
        Ok(Store { arn_prefix, file, state: Mutex::new(state) })
    }

    /// The state, to read.
    pub(super) fn read(&self) -> MutexGuard<'_, KeyRing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state: durable when this returns, and unchanged if it fails.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut KeyRing) -> Result<T, KmsError>,
    ) -> Result<T, KmsError> {
        let mut state = self.read();
        let mut next = state.clone();
        let answer = change(&mut next)?;
        if let Some(path) = &self.file {
            let content = serde_json::to_vec(&next).map_err(|_| KmsError::internal())?;
            file::replace(path, &content).map_err(|_| KmsError::internal())?;
        }
        *state = next;
        Ok(answer)
    }

    /// The ARN of a key.
    pub(super) fn key_arn(&self, id: &str) -> String {
        format!("{}key/{id}", self.arn_prefix)
    }

    /// The ARN of an alias, whose name begins with `alias/`.
    pub(super) fn alias_arn(&self, name: &str) -> String {
        format!("{}{name}", self.arn_prefix)
    }

    /// The id of the key that `reference` names: id or key ARN, where an alias is not taken.
    pub(super) fn find_key(&self, ring: &KeyRing, reference: &str) -> Result<String, KmsError> {
        if reference.starts_with("alias/") || reference.contains(":alias/") {
            return Err(KmsError::not_found(format!("Invalid keyId '{reference}'")));
        }
        self.find(ring, reference)
    }

    /// The id of the key that `reference` names: id, key ARN, alias or alias ARN. ARNs of another
    /// region or account name nothing here.
    pub(super) fn find(&self, ring: &KeyRing, reference: &str) -> Result<String, KmsError> {
        let name = match reference.strip_prefix(&self.arn_prefix) {
            Some(resource) => resource.strip_prefix("key/").unwrap_or(resource),
            None if reference.starts_with("arn:") => {
                return Err(KmsError::not_found(format!("Invalid arn {reference}")));
            }
            None => reference,
        };
        if name.starts_with("alias/") {
            return ring.aliases.get(name).cloned().ok_or_else(|| {
                KmsError::not_found(format!("Alias {} is not found.", self.alias_arn(name)))
            });
        }
        if name.is_empty() {
            return Err(KmsError::validation("KeyId must not be empty"));
        }
        if !ring.keys.contains_key(name) {
            let arn = self.key_arn(name);
            return Err(KmsError::not_found(format!("Key '{arn}' does not exist")));
        }
        Ok(name.to_owned())
    }
}
