//! S3: manifests that are too large for an item.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use uuid::Uuid;

use super::sdk::{self, failure};
use crate::api::error::Error;
use crate::ecr::names::{Digest, RepositoryRef};
use crate::failure::Failure;

/// The beginning of every key.
pub(crate) const PREFIX: &str = "manifests/";

/// The key of a body: `manifests/<repoId>/<hex>/<putId>`. It names the call, so that a repetition
/// writes the same bytes to the same place.
pub(crate) fn body_key(repo_id: &str, digest: &Digest, put_id: &str) -> String {
    format!("{PREFIX}{repo_id}/{}/{put_id}", digest.hex())
}

/// The repository id and the image that a key names; `None` where no push wrote the object.
pub(crate) fn image_of(key: &str) -> Option<(&str, Digest)> {
    let mut parts = key.strip_prefix(PREFIX)?.split('/');
    let (repo_id, hex, put_id) = (parts.next()?, parts.next()?, parts.next()?);
    let written_by_a_push = parts.next().is_none()
        && Uuid::try_parse(repo_id).is_ok()
        && Uuid::try_parse(put_id).is_ok();
    written_by_a_push.then_some(())?;
    Some((repo_id, Digest::parse(&format!("sha256:{hex}"))?))
}

/// An object of the bucket, as a listing describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredBody {
    /// Of any form, if something else wrote the object.
    pub(crate) key: String,
    /// When it was written, since 1970.
    pub(crate) written: Duration,
}

/// The bucket of manifest bodies.
#[derive(Debug)]
pub(crate) struct Manifests {
    client: Client,
    bucket: String,
}

impl Manifests {
    pub(crate) fn new(aws: &SdkConfig, bucket: String) -> Self {
        Self { client: sdk::s3_for_manifests(aws), bucket }
    }

    /// Puts a body and returns once S3 has acknowledged it. `content` is the SHA-256 of `body`.
    ///
    /// # Errors
    /// `KmsException` where S3 could not use the key of its bucket, else `ServerException`.
    pub(crate) async fn put(
        &self,
        repository: &RepositoryRef,
        key: &str,
        body: Bytes,
        content: &Digest,
    ) -> Result<(), Error> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .checksum_sha256(BASE64_STANDARD.encode(content.bytes()))
            .body(ByteStream::from(body));
        // The signature covers the checksum, which S3 compares with the bytes. Signing the bytes as
        // well would hash them once more on both sides.
        let put = put.customize().disable_payload_signing().send().await;
        put.map(drop).map_err(|error| put_error(repository, error))
    }

    /// Up to 1,000 bodies whose keys come after `after`, in the order of their keys; an empty list
    /// at the end.
    ///
    /// # Errors
    /// S3 did not list them, retries included.
    pub(crate) async fn list(&self, after: &str) -> Result<Vec<StoredBody>, Failure> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(PREFIX);
        let page = list.start_after(after).send().await;
        let page = page.map_err(|error| failure("listing bodies", error))?;
        let stored = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let written = u64::try_from(object.last_modified?.secs()).ok()?;
            Some(StoredBody { key: object.key?, written: Duration::from_secs(written) })
        });
        Ok(stored.collect())
    }

    /// Deletes the body with this key. The bucket keeps it as a noncurrent version for some days.
    ///
    /// # Errors
    /// S3 did not delete it, retries included.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Failure> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        delete.map(drop).map_err(|error| failure("deleting a body", error))
    }
}

/// S3 reports failures of a bucket's key as `KMS.<code of KMS>`.
fn put_error(repository: &RepositoryRef, error: SdkError<PutObjectError>) -> Error {
    let kms_error = error.code().and_then(|code| code.strip_prefix("KMS."));
    if let Some(kms_error) = kms_error.map(str::to_owned) {
        return Error::Kms { repository: repository.clone(), kms_error, source: error.into() };
    }
    failure("storing a manifest", error).into()
}
