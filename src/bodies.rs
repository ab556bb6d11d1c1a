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

use crate::error::{Error, Failure};
use crate::layers::client_config;
use crate::names::{Digest, Repository};
use crate::sdk::failure;

/// The most bytes that stand in an item. A DynamoDB item may have 400 KB and a transaction 4 MB,
/// but every KB of an item costs two write units.
pub const INLINE_BYTES: usize = 64 * 1024;

/// What every key begins with.
pub const PREFIX: &str = "manifests/";

/// Where a manifest is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// In the table, these bytes.
    Inline(Bytes),
    /// In S3, under this key.
    Spilled {
        /// `manifests/<repoId>/<hex>/<putId>`.
        key: String,
    },
}

impl Body {
    /// For the log.
    #[must_use]
    pub fn place(&self) -> &'static str {
        match self {
            Self::Inline(_) => "inline",
            Self::Spilled { .. } => "s3",
        }
    }
}

/// A body that the bucket holds, as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBody {
    /// Its key; of whatever form, if somebody else wrote it.
    pub key: String,
    /// When it was written, since 1970.
    pub written: Duration,
}

/// The image whose body has `key`, in the repository of this id; `None` where no push wrote it.
#[must_use]
pub fn image_of(key: &str) -> Option<(&str, Digest)> {
    let mut parts = key.strip_prefix(PREFIX)?.split('/');
    let (repo_id, hex, put_id) = (parts.next()?, parts.next()?, parts.next()?);
    let written_by_a_push = parts.next().is_none()
        && Uuid::try_parse(repo_id).is_ok()
        && Uuid::try_parse(put_id).is_ok();
    written_by_a_push.then_some(())?;
    Some((repo_id, Digest::parse(&format!("sha256:{hex}"))?))
}

/// The bucket of manifest bodies.
#[derive(Debug)]
pub struct Bodies {
    client: Client,
    bucket: String,
}

impl Bodies {
    /// The bucket `bucket`.
    #[must_use]
    pub fn new(aws: &SdkConfig, bucket: String) -> Self {
        let attempt = Duration::from_secs(5);
        Self { client: Client::from_conf(client_config(aws, attempt)), bucket }
    }

    /// Puts a body that is too large for an item, and returns once S3 has it. The key names the
    /// call, so a repetition writes the same bytes to the same place. `content` is the body's own
    /// SHA-256; of one that is not encrypted it is the image's digest, which is known.
    ///
    /// # Errors
    /// `KmsException` where S3 could not use the bucket's key, else `ServerException`.
    pub async fn put(
        &self,
        repository: &Repository,
        repo_id: &str,
        digest: &Digest,
        put_id: &str,
        body: Bytes,
        content: &Digest,
    ) -> Result<Body, Error> {
        let key = format!("{PREFIX}{repo_id}/{}/{put_id}", digest.hex());
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .checksum_sha256(BASE64_STANDARD.encode(content.bytes()))
            .body(ByteStream::from(body));
        // The signature covers the checksum, which S3 holds against the bytes: to sign them, too,
        // would be to hash them once more on either side.
        match put.customize().disable_payload_signing().send().await {
            Ok(_) => Ok(Body::Spilled { key }),
            Err(error) => Err(refusal(repository, error)),
        }
    }

    /// Up to 1,000 bodies whose keys come after `after`, in the order of their keys; none at the
    /// end.
    ///
    /// # Errors
    /// S3 did not list them, retries included.
    pub async fn list(&self, after: &str) -> Result<Vec<StoredBody>, Failure> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(PREFIX);
        let page = list.start_after(after).send().await;
        let page = page.map_err(|error| failure("listing bodies", error))?;
        let stored = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let written = u64::try_from(object.last_modified?.secs()).ok()?;
            Some(StoredBody { key: object.key?, written: Duration::from_secs(written) })
        });
        Ok(stored.collect())
    }

    /// Deletes the body with this key. The bucket keeps it as a version for a while.
    ///
    /// # Errors
    /// S3 did not delete it, retries included.
    pub async fn delete(&self, key: &str) -> Result<(), Failure> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        delete.map(drop).map_err(|error| failure("deleting a body", error))
    }
}

/// S3 reports failures of a bucket's key as `KMS.<code of KMS>`.
fn refusal(repository: &Repository, error: SdkError<PutObjectError>) -> Error {
    let kms_error = error.code().and_then(|code| code.strip_prefix("KMS."));
    if let Some(kms_error) = kms_error.map(str::to_owned) {
        return Error::Kms { repository: repository.clone(), kms_error, source: error.into() };
    }
    failure("storing a manifest", error).into()
}
