//! S3: which layers of an image are not there.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::StorageClass;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::error::Failure;
use crate::names::{Digest, Repository};
use crate::sdk::{self, failure};

/// HEADs in flight for one push.
const HEADS_AT_ONCE: usize = 32;

/// The bucket of layers.
#[derive(Debug)]
pub struct Layers {
    client: Client,
    bucket: String,
}

impl Layers {
    /// The bucket `bucket`.
    #[must_use]
    pub fn new(aws: &SdkConfig, bucket: String) -> Self {
        let attempt = Duration::from_millis(1500);
        Self { client: Client::from_conf(client_config(aws, attempt)), bucket }
    }

    /// Those of `layers` that the repository does not have, in the order given. Another
    /// repository's copy does not count.
    ///
    /// # Errors
    /// S3 gave an answer that says neither yes nor no, retries included.
    pub async fn missing(
        &self,
        repository: &Repository,
        layers: &[Digest],
    ) -> Result<Vec<Digest>, Failure> {
        let heads: Vec<_> = layers.iter().map(|layer| self.is_there(repository, layer)).collect();
        let there: Vec<bool> = stream::iter(heads).buffered(HEADS_AT_ONCE).try_collect().await?;
        let missing = layers.iter().zip(there).filter(|(_, there)| !there);
        Ok(missing.map(|(layer, _)| layer.clone()).collect())
    }

    async fn is_there(&self, repository: &Repository, layer: &Digest) -> Result<bool, Failure> {
        let key = object_key(repository, layer);
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => Ok(is_readable(&object)),
            // 404 is an answer only to a role that may list the bucket; to others S3 says 403.
            Err(SdkError::ServiceError(answer)) if answer.raw().status().as_u16() == 404 => {
                Ok(false)
            }
            Err(error) => Err(failure("looking for a layer", error)),
        }
    }
}

/// `<registryId>/<repositoryName>/<algorithm>/<hex>`.
#[must_use]
pub fn object_key(Repository { registry, name }: &Repository, layer: &Digest) -> String {
    format!("{registry}/{name}/{}/{}", layer.algorithm(), layer.hex())
}

/// An archived object is there for nobody until it is restored. Intelligent-Tiering keeps its class
/// and says so by a status, as long as that lasts.
fn is_readable(object: &HeadObjectOutput) -> bool {
    let archived =
        matches!(object.storage_class(), Some(StorageClass::Glacier | StorageClass::DeepArchive))
            || object.archive_status().is_some();
    let restored =
        object.restore().is_some_and(|state| state.contains("ongoing-request=\"false\""));
    !archived || restored
}

/// How this service calls S3.
pub(crate) fn client_config(aws: &SdkConfig, attempt: Duration) -> Config {
    aws_sdk_s3::config::Builder::from(aws)
        .retry_classifier(TooManyRequests)
        .retry_config(sdk::retries(3, Duration::from_millis(50)))
        .timeout_config(sdk::timeouts(attempt))
        .build()
}

/// S3 throttles with 429, too, and an answer to HEAD has no body to name a code in, which is what
/// the SDK goes by.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(answer) if answer.status().as_u16() == 429 => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "429 is a throttle"
    }
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
