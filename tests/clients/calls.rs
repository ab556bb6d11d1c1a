//! The table's calls through the SDK, and how the SDK presents the responses.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::operation::RequestId;
use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::operation::put_image::PutImageError;
use aws_sdk_ecr::types::{
    EncryptionConfiguration, Image, ImageTagMutability, ImageTagMutabilityExclusionFilter,
    ImageTagMutabilityExclusionFilterType, Repository,
};
use serde_json::{Value, json};

use crate::table::Step;

/// An error response of a service, as the SDK presents it.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) kms_error: Option<String>,
    /// The exception whose `is_…` method returns true.
    pub(crate) exception: Option<&'static str>,
}

/// A modelled exception's name, and whether an error is one.
type Exception<E> = (&'static str, fn(&E) -> bool);

/// Sends the call of `step` with `input`, which has no placeholders left.
pub(crate) async fn call(ecr: &Client, step: &Step, input: &Value) -> Result<Value, Rejection> {
    match step.call.as_str() {
        "PutImage" => put_image(ecr, input).await,
        "CreateRepository" => create_repository(ecr, input).await,
        other => panic!("no call {other}"),
    }
}

async fn put_image(ecr: &Client, input: &Value) -> Result<Value, Rejection> {
    let member = |name: &str| input[name].as_str().map(str::to_owned);
    let put = ecr
        .put_image()
        .set_registry_id(member("registryId"))
        .set_repository_name(member("repositoryName"))
        .set_image_manifest(member("imageManifest"))
        .set_image_manifest_media_type(member("imageManifestMediaType"))
        .set_image_tag(member("imageTag"))
        .set_image_digest(member("imageDigest"));
    match put.send().await {
        Ok(put) => {
            assert_eq!(put.request_id().map(str::len), Some(36));
            Ok(json!({ "image": image(put.image().unwrap()) }))
        }
        Err(error) => {
            let service = error.as_service_error().unwrap_or_else(|| panic!("{error:?}"));
            let (exception, kms_error) = (put_image_exception(service), kms_error_of_put(service));
            Err(rejection(&error, exception, kms_error))
        }
    }
}

fn image(image: &Image) -> Value {
    let id = image.image_id().unwrap();
    let mut image_id = json!({ "imageDigest": id.image_digest() });
    if let Some(tag) = id.image_tag() {
        image_id["imageTag"] = tag.into();
    }
    json!({
        "registryId": image.registry_id(),
        "repositoryName": image.repository_name(),
        "imageId": image_id,
        "imageManifest": image.image_manifest(),
        "imageManifestMediaType": image.image_manifest_media_type(),
    })
}

fn put_image_exception(error: &PutImageError) -> Option<&'static str> {
    let exceptions: [Exception<PutImageError>; 10] = [
        ("ImageAlreadyExistsException", PutImageError::is_image_already_exists_exception),
        (
            "ImageDigestDoesNotMatchException",
            PutImageError::is_image_digest_does_not_match_exception,
        ),
        ("ImageTagAlreadyExistsException", PutImageError::is_image_tag_already_exists_exception),
        ("InvalidParameterException", PutImageError::is_invalid_parameter_exception),
        ("KmsException", PutImageError::is_kms_exception),
        ("LayersNotFoundException", PutImageError::is_layers_not_found_exception),
        ("LimitExceededException", PutImageError::is_limit_exceeded_exception),
        (
            "ReferencedImagesNotFoundException",
            PutImageError::is_referenced_images_not_found_exception,
        ),
        ("RepositoryNotFoundException", PutImageError::is_repository_not_found_exception),
        ("ServerException", PutImageError::is_server_exception),
    ];
    exceptions.iter().find(|(_, is)| is(error)).map(|(name, _)| *name)
}

fn kms_error_of_put(error: &PutImageError) -> Option<&str> {
    match error {
        PutImageError::KmsException(exception) => exception.kms_error(),
        _ => None,
    }
}

async fn create_repository(ecr: &Client, input: &Value) -> Result<Value, Rejection> {
    let member = |name: &str| input[name].as_str();
    let encryption = &input["encryptionConfiguration"];
    let encryption = encryption["encryptionType"].as_str().map(|kind| {
        EncryptionConfiguration::builder()
            .encryption_type(kind.into())
            .set_kms_key(encryption["kmsKey"].as_str().map(str::to_owned))
            .build()
            .unwrap()
    });
    let filters = input["imageTagMutabilityExclusionFilters"].as_array().map(|filters| {
        let filter = |filter: &Value| {
            ImageTagMutabilityExclusionFilter::builder()
                .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
                .filter(filter["filter"].as_str().unwrap())
                .build()
                .unwrap()
        };
        filters.iter().map(filter).collect()
    });
    let create = ecr
        .create_repository()
        .set_repository_name(member("repositoryName").map(str::to_owned))
        .set_image_tag_mutability(member("imageTagMutability").map(Into::into))
        .set_image_tag_mutability_exclusion_filters(filters)
        .set_encryption_configuration(encryption);
    match create.send().await {
        Ok(created) => {
            assert_eq!(created.request_id().map(str::len), Some(36));
            Ok(json!({ "repository": repository(created.repository().unwrap()) }))
        }
        Err(error) => {
            let service = error.as_service_error().unwrap_or_else(|| panic!("{error:?}"));
            let exception = create_repository_exception(service);
            let kms_error = match service {
                CreateRepositoryError::KmsException(exception) => exception.kms_error(),
                _ => None,
            };
            Err(rejection(&error, exception, kms_error))
        }
    }
}

fn repository(repository: &Repository) -> Value {
    let encryption = repository.encryption_configuration().unwrap();
    let mut encryption_configuration =
        json!({ "encryptionType": encryption.encryption_type().as_str() });
    if let Some(key) = encryption.kms_key() {
        encryption_configuration["kmsKey"] = key.into();
    }
    let filter = |filter: &ImageTagMutabilityExclusionFilter| json!({ "filterType": filter.filter_type().as_str(), "filter": filter.filter() });
    let filters = repository.image_tag_mutability_exclusion_filters().iter().map(filter);
    let scanning = repository.image_scanning_configuration().unwrap();
    json!({
        "registryId": repository.registry_id(),
        "repositoryName": repository.repository_name(),
        "repositoryArn": repository.repository_arn(),
        "repositoryUri": repository.repository_uri(),
        "imageScanningConfiguration": { "scanOnPush": scanning.scan_on_push() },
        "imageTagMutability": repository.image_tag_mutability().map(ImageTagMutability::as_str),
        "imageTagMutabilityExclusionFilters": filters.collect::<Vec<_>>(),
        "encryptionConfiguration": encryption_configuration,
    })
}

fn create_repository_exception(error: &CreateRepositoryError) -> Option<&'static str> {
    let exceptions: [Exception<CreateRepositoryError>; 4] = [
        ("InvalidParameterException", CreateRepositoryError::is_invalid_parameter_exception),
        ("KmsException", CreateRepositoryError::is_kms_exception),
        (
            "RepositoryAlreadyExistsException",
            CreateRepositoryError::is_repository_already_exists_exception,
        ),
        ("ServerException", CreateRepositoryError::is_server_exception),
    ];
    exceptions.iter().find(|(_, is)| is(error)).map(|(name, _)| *name)
}

/// The SDK's view of any error response of the service.
pub(crate) fn rejection<E: ProvideErrorMetadata>(
    error: &SdkError<E>,
    exception: Option<&'static str>,
    kms_error: Option<&str>,
) -> Rejection {
    Rejection {
        code: error.code().unwrap_or_default().to_owned(),
        message: error.message().unwrap_or_default().to_owned(),
        status: error.raw_response().map_or(0, |response| response.status().as_u16()),
        request_id: error.meta().request_id().unwrap_or_default().to_owned(),
        kms_error: kms_error.map(str::to_owned),
        exception,
    }
}
