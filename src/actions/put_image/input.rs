//! PutImage's request: JSON members → types that hold only what the API accepts.

use serde::Deserialize;

use crate::api::error::Error;
use crate::api::members::{members, optional, required};
use crate::ecr::names::{Constraint, ExpectedDigest, ImageTag, RegistryId, RepositoryName};

/// The API reference's bound on `imageManifest`, in characters.
const MAX_MANIFEST_CHARS: usize = 4_194_304;

/// A request whose every member satisfies its constraint.
#[derive(Debug)]
pub(crate) struct Input {
    pub repository_name: RepositoryName,
    /// The caller's own by default.
    pub registry_id: Option<RegistryId>,
    /// As it was sent, 1–4,194,304 characters, not yet parsed.
    pub image_manifest: String,
    pub image_manifest_media_type: Option<String>,
    pub image_tag: Option<ImageTag>,
    pub image_digest: Option<ExpectedDigest>,
}

impl Input {
    /// # Errors
    /// `SerializationException`, or `InvalidParameterException` for the first fault in the order
    /// repositoryName, registryId, imageManifest, imageTag, imageDigest.
    pub(crate) fn parse(body: &str) -> Result<Self, Error> {
        let raw: Members = members(body)?;
        Ok(Self {
            repository_name: required(
                "repositoryName",
                raw.repository_name,
                RepositoryName::parse,
            )?,
            registry_id: optional("registryId", raw.registry_id, RegistryId::parse)?,
            image_manifest: required("imageManifest", raw.image_manifest, manifest_text)?,
            image_manifest_media_type: raw.image_manifest_media_type,
            image_tag: optional("imageTag", raw.image_tag, ImageTag::parse)?,
            image_digest: optional("imageDigest", raw.image_digest, ExpectedDigest::parse)?,
        })
    }
}

/// The members that are read. A member named twice, or of another type, is a
/// `SerializationException`; any other member is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    repository_name: Option<String>,
    registry_id: Option<String>,
    image_manifest: Option<String>,
    image_manifest_media_type: Option<String>,
    image_tag: Option<String>,
    image_digest: Option<String>,
}

fn manifest_text(text: String) -> Result<String, Constraint> {
    if text.is_empty() {
        return Err(Constraint::MinLength(1));
    }
    // A text has at most as many characters as bytes, so most texts need not be counted.
    if text.len() > MAX_MANIFEST_CHARS && text.chars().count() > MAX_MANIFEST_CHARS {
        return Err(Constraint::MaxLength(MAX_MANIFEST_CHARS));
    }
    Ok(text)
}
