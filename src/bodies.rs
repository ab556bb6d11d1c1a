//! S3: manifests that are too large for an item.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use sha2::Digest as _;

use crate::error::{Error, Failure};
use crate::names::{Digest, Repository};

/// The most bytes that stand in an item. A DynamoDB item may have 400 KB and a transaction 4 MB,
/// but every KB of an item costs two write units.
pub const INLINE_BYTES: usize = 64 * 1024;

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
        let attempt = std::time::Duration::from_secs(5);
        Self { client: Client::from_conf(crate::layers::client_config(aws, attempt)), bucket }
    }

    /// Puts a body that is too large for an item, and returns once S3 has it. The key names the
    /// call, so a repetition writes the same bytes to the same place.
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
    ) -> Result<Body, Error> {
        let key = format!("manifests/{repo_id}/{}/{put_id}", digest.hex());
        let checksum = BASE64_STANDARD.encode(sha2::Sha256::digest(&body));
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .checksum_sha256(checksum)
            .body(ByteStream::from(body));
        match put.send().await {
            Ok(_) => Ok(Body::Spilled { key }),
            Err(error) => Err(refusal(repository, error)),
        }
    }
}

/// S3 reports failures of a bucket's key as `KMS.<code of KMS>`.
fn refusal(repository: &Repository, error: SdkError<PutObjectError>) -> Error {
    let aws_code = error.code().map(str::to_owned);
    let kms_error = aws_code.as_deref().and_then(|code| code.strip_prefix("KMS."));
    if let Some(kms_error) = kms_error.map(str::to_owned) {
        return Error::Kms { repository: repository.clone(), kms_error, source: error.into() };
    }
    Error::Server(Failure { doing: "storing a manifest", aws_code, source: Some(error.into()) })
}
