//! The state and its file. A change is written to the file before its response is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::KmsError;
use super::keys::{Key, access_denied};
use crate::{DEFAULT_ACCOUNT, file, partition};

/// The keys of one account in one region.
#[derive(Debug)]
pub(super) struct Store {
    /// `arn:<partition>:kms:<region>:<account>:`
    arn_prefix: String,
    file: Option<PathBuf>,
    state: Mutex<KeyRing>,
}

/// The content of the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct KeyRing {
    /// By key id.
    pub(super) keys: BTreeMap<String, Key>,
    /// Key ids by alias name, which begins with `alias/`.
    pub(super) aliases: BTreeMap<String, String>,
}

impl Store {
    /// Reads the file if it exists. An unreadable file is an error, because a new one would lose
    /// the keys.
    pub(super) fn open(file: Option<PathBuf>, region: &str) -> io::Result<Self> {
        let state = match file.as_ref().map(fs::read) {
            Some(Ok(content)) => serde_json::from_slice(&content)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => KeyRing::default(),
        };
        let partition = partition::of(region);
        let arn_prefix = format!("arn:{partition}:kms:{region}:{DEFAULT_ACCOUNT}:");
        Ok(Store { arn_prefix, file, state: Mutex::new(state) })
    }

    pub(super) fn is_in_china(&self) -> bool {
        self.arn_prefix.starts_with("arn:aws-cn:")
    }

    pub(super) fn read(&self) -> MutexGuard<'_, KeyRing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state. The change is durable when this returns, and undone on an error.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut KeyRing) -> Result<T, KmsError>,
    ) -> Result<T, KmsError> {
        let mut state = self.read();
        let mut next = state.clone();
        let output = change(&mut next)?;
        if let Some(path) = &self.file {
            let content = serde_json::to_vec(&next).map_err(|_| KmsError::internal())?;
            file::replace(path, &content).map_err(|_| KmsError::internal())?;
        }
        *state = next;
        Ok(output)
    }

    pub(super) fn key_arn(&self, id: &str) -> String {
        format!("{}key/{id}", self.arn_prefix)
    }

    /// `name` begins with `alias/`.
    pub(super) fn alias_arn(&self, name: &str) -> String {
        format!("{}{name}", self.arn_prefix)
    }

    /// The id of the key that `reference` names: a key id or key ARN.
    ///
    /// # Errors
    /// `InvalidArnException` for an alias.
    pub(super) fn find_key(
        &self,
        ring: &KeyRing,
        reference: &str,
        action: &str,
    ) -> Result<String, KmsError> {
        if is_alias(reference) {
            let message = "Key Aliases are not supported for this operation.";
            return Err(KmsError::new("InvalidArnException", message));
        }
        self.find(ring, reference, action)
    }

    /// The id of the key that `reference` names: a key id, key ARN, alias or alias ARN.
    pub(super) fn find(
        &self,
        ring: &KeyRing,
        reference: &str,
        action: &str,
    ) -> Result<String, KmsError> {
        if reference.starts_with("alias/") {
            return self.find_alias(ring, reference);
        }
        let Some(resource) = self.resource(reference, action)? else {
            // The message quotes an id, but not an ARN's.
            return self.find_id(ring, reference, &format!("'{reference}'"));
        };
        match resource.strip_prefix("key/") {
            Some(id) => self.find_id(ring, id, id),
            None if resource.starts_with("alias/") => self.find_alias(ring, resource),
            None => Err(KmsError::not_found(format!("Invalid arn {reference}"))),
        }
    }

    /// The resource part of an ARN of this account and region. `None` if `reference` is no ARN.
    fn resource<'a>(&self, reference: &'a str, action: &str) -> Result<Option<&'a str>, KmsError> {
        if !reference.starts_with("arn:") {
            return Ok(None);
        }
        if let Some(resource) = reference.strip_prefix(&self.arn_prefix) {
            return Ok(Some(resource));
        }
        let parts: Vec<_> = reference.splitn(6, ':').collect();
        let [_, partition, "kms", region, account, _] = parts.as_slice() else {
            return Err(KmsError::not_found(format!("Invalid arn {reference}")));
        };
        let here = format!("arn:{partition}:kms:{region}:{DEFAULT_ACCOUNT}:");
        if *account == DEFAULT_ACCOUNT || here != self.arn_prefix {
            return Err(KmsError::not_found(format!("Invalid arn {region}")));
        }
        // Only a policy of that key could allow it, and no key of another account exists here.
        let reason = "because the resource does not exist in this Region, no resource-based \
                      policies allow access, or a resource-based policy explicitly denies access";
        Err(access_denied(reference, action, reason))
    }

    fn find_alias(&self, ring: &KeyRing, name: &str) -> Result<String, KmsError> {
        ring.aliases.get(name).cloned().ok_or_else(|| self.no_such_alias(name))
    }

    pub(super) fn no_such_alias(&self, name: &str) -> KmsError {
        KmsError::not_found(format!("Alias {} is not found.", self.alias_arn(name)))
    }

    fn find_id(&self, ring: &KeyRing, id: &str, quoted: &str) -> Result<String, KmsError> {
        if ring.keys.contains_key(id) {
            return Ok(id.to_owned());
        }
        if !is_key_id(id) {
            return Err(KmsError::not_found(format!("Invalid keyId {quoted}")));
        }
        Err(KmsError::not_found(format!("Key '{}' does not exist", self.key_arn(id))))
    }
}

pub(super) fn is_alias(reference: &str) -> bool {
    reference.starts_with("alias/") || reference.contains(":alias/")
}

/// Whether it has the form of a key id: a UUID, or `mrk-` and a UUID without hyphens.
fn is_key_id(id: &str) -> bool {
    match id.strip_prefix("mrk-") {
        Some(digits) => digits.len() == 32 && Uuid::try_parse(digits).is_ok(),
        None => id.len() == 36 && Uuid::try_parse(id).is_ok(),
    }
}
