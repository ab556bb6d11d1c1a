//! The body of a new image: its manifest, sealed where the repository has a KMS key, in the table
//! or in S3.

use bytes::Bytes;
use tokio::time::Instant;

use super::push::Push;
use crate::api::error::Error;
use crate::api::log::PushFacts;
use crate::app::App;
use crate::background::Background;
use crate::ecr::names::{Digest, RepositoryRef};
use crate::ecr::repository::RepositoryRecord;
use crate::stores::manifests::body_key;
use crate::stores::seal::{DataKey, Sealing};

/// The largest body that an item holds, in bytes. A DynamoDB item may have 400 KB and a transaction
/// 4 MB, but every KB of an item costs two write units.
pub const INLINE_BYTES: usize = 64 * 1024;

/// Where a manifest is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the table, these bytes.
    Inline(Bytes),
    /// In S3, under this key.
    Spilled(String),
}

#[derive(Debug)]
pub(super) struct Body {
    /// The incarnation of the repository that it was stored for.
    pub(super) repo_id: String,
    pub(super) place: Place,
}

impl Place {
    /// As the log names it.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Inline(_) => "inline",
            Self::Spilled(_) => "s3",
        }
    }
}

/// A data key that was requested from KMS.
pub(super) type PendingKey<'a> = Background<'a, Result<DataKey, Error>>;

/// Requests a data key from KMS if the repository's manifests are sealed.
pub(super) fn ask_for_key<'a>(
    app: &'a App,
    repository: &'a RepositoryRef,
    record: &RepositoryRecord,
) -> Option<PendingKey<'a>> {
    let kms_key = record.encryption.kms_key()?.to_owned();
    Some(Background::new(async move {
        let arn = repository.arn(&app.config.region);
        app.kms.data_key(repository, &arn, &kms_key).await
    }))
}

/// Seals the manifest if the repository has a KMS key, and puts it into S3 if it is too large for
/// an item.
///
/// # Errors
/// `KmsException`, `ServerException`.
pub(super) async fn store<'a>(
    app: &'a App,
    push: &'a Push,
    put_id: &str,
    record: &RepositoryRecord,
    key: Option<PendingKey<'a>>,
    facts: &mut PushFacts,
) -> Result<Place, Error> {
    let began = Instant::now();
    // No key was requested yet if the image existed at the first read, but not at the confirmation.
    let data_key = match key.or_else(|| ask_for_key(app, &push.repository, record)) {
        Some(mut key) => key.take().await.transpose()?,
        None => None,
    };
    facts.key_wait += began.elapsed();

    let began = Instant::now();
    // The digest of a body that is not sealed is known: it is the image's.
    let (bytes, content) = match data_key {
        None => (push.manifest_bytes.clone(), push.digest.clone()),
        Some(data_key) => {
            let repository_arn = &push.repository.arn(&app.config.region);
            let media_type = push.manifest.media_type.as_str();
            let sealing = Sealing { repository_arn, digest: &push.digest, media_type };
            let sealed = Bytes::from(data_key.seal(sealing, &push.manifest_bytes)?);
            let content = Digest::of(&sealed);
            (sealed, content)
        }
    };
    if bytes.len() <= INLINE_BYTES {
        return Ok(Place::Inline(bytes));
    }
    let key = body_key(&record.repo_id, &push.digest, put_id);
    app.manifests.put(&push.repository, &key, bytes, &content).await?;
    facts.commit += began.elapsed();
    Ok(Place::Spilled(key))
}
