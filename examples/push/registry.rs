//! A registry from a client's point of view: ECR's API for repositories and images, and the layer
//! bucket for blobs.

use std::error::Error;
use std::fmt::Write as _;

use aws_config::SdkConfig;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ecr_registry::layer_key;
use ecr_registry::names::{ImageTag, RegistryId, RepositoryName, RepositoryRef};

use crate::layout::{Blob, Manifest};
use crate::progress;
use sign_for_execute_api::SignForExecuteApi;

/// The outcome of a call that did not fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    AlreadyThere,
}

/// The caller's own registry.
pub(crate) struct Registry {
    ecr: aws_sdk_ecr::Client,
    s3: aws_sdk_s3::Client,
    layer_bucket: String,
}

impl Registry {
    /// The registry at the endpoint `ecr_url`, with the region and credentials of `aws`.
    pub(crate) fn new(aws: &SdkConfig, ecr_url: &str, layer_bucket: String) -> Self {
        let mut ecr = aws_sdk_ecr::config::Builder::from(aws).endpoint_url(ecr_url);
        if ecr_url.contains("execute-api") {
            ecr = ecr.interceptor(SignForExecuteApi);
        }
        Self {
            ecr: aws_sdk_ecr::Client::from_conf(ecr.build()),
            s3: aws_sdk_s3::Client::new(aws),
            layer_bucket,
        }
    }

    /// Creates the repository, unless it exists. Both responses contain the caller's registry id.
    pub(crate) async fn create_repository(
        &self,
        name: &RepositoryName,
    ) -> Result<(RepositoryRef, Outcome), String> {
        let response = self.ecr.create_repository().repository_name(name.as_str()).send().await;
        let (registry, outcome) = match response {
            Ok(created) => {
                let repository = created.repository();
                let registry = repository.and_then(|repository| repository.registry_id());
                (registry.map(str::to_owned), Outcome::Done)
            }
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_repository_already_exists_exception() => {
                    // "… already exists in the registry with id 'A'": only the message contains it.
                    let message = service.message().unwrap_or_default();
                    (message.rsplit('\'').nth(1).map(str::to_owned), Outcome::AlreadyThere)
                }
                _ => return Err(error_text("ECR", &error)),
            },
        };
        let registry = registry.and_then(|id| RegistryId::parse(id).ok());
        let registry =
            registry.ok_or("ECR's response does not contain the caller's registry id")?;
        Ok((RepositoryRef { registry, name: name.clone() }, outcome))
    }

    /// Puts a blob where the service looks for the layers of `repository`.
    pub(crate) async fn put_blob(
        &self,
        repository: &RepositoryRef,
        blob: &Blob,
    ) -> Result<Outcome, String> {
        let key = layer_key(repository, &blob.digest);
        let head = self.s3.head_object().bucket(&self.layer_bucket).key(&key).send().await;
        match head {
            Ok(_) => return Ok(Outcome::AlreadyThere),
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404) => {}
            Err(error) => return Err(error_text("S3", &error)),
        }
        let unreadable = |error| format!("blob {}: {error}", blob.digest);
        let stream = ByteStream::from_path(&blob.path).await.map_err(unreadable)?;
        let name = blob.digest.hex().get(..12).unwrap_or_default();
        let put = self
            .s3
            .put_object()
            .bucket(&self.layer_bucket)
            .key(key)
            // S3 rejects bytes that do not have the blob's digest.
            .set_checksum_sha256(sha256_checksum(blob))
            .body(progress::shown(stream, blob.size, name));
        put.send().await.map(|_| Outcome::Done).map_err(|error| error_text("S3", &error))
    }

    /// Puts an image, by `tag` or by its digest alone.
    pub(crate) async fn put_image(
        &self,
        RepositoryRef { registry, name }: &RepositoryRef,
        manifest: &Manifest,
        tag: Option<&ImageTag>,
    ) -> Result<Outcome, String> {
        let put = self
            .ecr
            .put_image()
            .registry_id(registry.as_str())
            .repository_name(name.as_str())
            .image_manifest(&manifest.text)
            .image_manifest_media_type(&manifest.media_type)
            .image_digest(manifest.digest.as_str())
            .set_image_tag(tag.map(ToString::to_string));
        match put.send().await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_image_already_exists_exception() => {
                    Ok(Outcome::AlreadyThere)
                }
                _ => Err(error_text("ECR", &error)),
            },
        }
    }
}

/// A sha256 digest as S3 takes it: Base64 of its bytes.
fn sha256_checksum(Blob { digest, .. }: &Blob) -> Option<String> {
    if digest.algorithm() != "sha256" {
        return None;
    }
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digest.hex().as_bytes().chunks(2).map(byte).collect();
    bytes.map(|bytes| BASE64_STANDARD.encode(bytes))
}

/// `CODE: message` if `service` returned an error with a code, else a description of the failure.
fn error_text<E>(service: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or("(no message)"));
    }
    if let Some(response) = error.raw_response() {
        return format!("{service} returned HTTP {}", response.status().as_u16());
    }
    let mut text = format!("no answer from {service}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
