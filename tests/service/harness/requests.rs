//! The requests that tests send.

use ecr_registry::names::{Digest, RegistryId, RepositoryName, RepositoryRef};
use serde_json::{Value, json};
use testing::{ACCOUNT, sha256};

pub(crate) fn request(repository: &str, manifest: &str, tag: Option<&str>) -> Value {
    let mut request = json!({ "repositoryName": repository, "imageManifest": manifest });
    match tag {
        Some(tag) => request["imageTag"] = json!(tag),
        None => request["imageDigest"] = json!(sha256(manifest)),
    }
    request
}

pub(crate) fn layer_key(repository: &str, digest: &str) -> String {
    let repository = RepositoryRef {
        registry: RegistryId::parse(ACCOUNT.into()).unwrap(),
        name: RepositoryName::parse(repository.into()).unwrap(),
    };
    let digest = Digest::parse(digest).unwrap();
    ecr_registry::layer_key(&repository, &digest)
}
