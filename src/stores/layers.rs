//! S3: the layers of images.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::StorageClass;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::sdk::{self, failure};
use crate::ecr::names::{Digest, RepositoryRef};
use crate::failure::Failure;

/// HEAD requests in flight for one push.
const HEADS_AT_ONCE: usize = 32;

/// The bucket of layers.
#[derive(Debug)]
pub(crate) struct Layers {
    client: Client,
    bucket: String,
}

impl Layers {
    pub(crate) fn new(aws: &SdkConfig, bucket: String) -> Self {
        Self { client: sdk::s3_for_layers(aws), bucket }
    }

    /// The layers that the repository does not have, in the order given. Another repository's copy
    /// does not count.
    ///
    /// # Errors
    /// S3's response does not say whether a layer exists, retries included.
    pub(crate) async fn missing(
        &self,
        repository: &RepositoryRef,
        layers: &[Digest],
    ) -> Result<Vec<Digest>, Failure> {
        let heads: Vec<_> = layers.iter().map(|layer| self.exists(repository, layer)).collect();
        let exist: Vec<bool> = stream::iter(heads).buffered(HEADS_AT_ONCE).try_collect().await?;
        let missing = layers.iter().zip(exist).filter(|(_, exists)| !exists);
        Ok(missing.map(|(layer, _)| layer.clone()).collect())
    }

    async fn exists(&self, repository: &RepositoryRef, layer: &Digest) -> Result<bool, Failure> {
        let key = object_key(repository, layer);
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => Ok(is_readable(&object)),
            // S3 returns 404 only to a role that may list the bucket; other roles get 403.
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => Ok(false),
            Err(error) => Err(failure("looking for a layer", error)),
        }
    }
}

/// `<registryId>/<repositoryName>/<algorithm>/<hex>`
#[must_use]
pub fn object_key(RepositoryRef { registry, name }: &RepositoryRef, layer: &Digest) -> String {
    format!("{registry}/{name}/{}/{}", layer.algorithm(), layer.hex())
}

/// An archived object cannot be read until it is restored. Intelligent-Tiering keeps its storage
/// class and reports an archive status as long as the object is archived.
fn is_readable(object: &HeadObjectOutput) -> bool {
    let archived =
        matches!(object.storage_class(), Some(StorageClass::Glacier | StorageClass::DeepArchive))
            || object.archive_status().is_some();
    let restored =
        object.restore().is_some_and(|state| state.contains("ongoing-request=\"false\""));
    !archived || restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::ArchiveStatus;

    #[test]
    fn intelligent_tierings_archives_are_archives() {
        let object = HeadObjectOutput::builder().storage_class(StorageClass::IntelligentTiering);
        assert!(is_readable(&object.clone().build()));
        for status in [ArchiveStatus::ArchiveAccess, ArchiveStatus::DeepArchiveAccess] {
            assert!(!is_readable(&object.clone().archive_status(status).build()));
        }
    }
}
