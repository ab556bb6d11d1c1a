//! The exceptions of the API: one variant each, with its code, HTTP status and message.
//!
//! Each failure has two texts. [`Display`](std::fmt::Display) is returned to the client and never
//! names a table, bucket, key or service. The `source` chain is written to the log in full.

use crate::ecr::names::{Digest, ExpectedDigest, ImageTag, RepositoryRef};
use crate::ecr::repository::COUNTED_CHILDREN;
use crate::failure::{Cause, Failure};

/// The most resource tags of a repository (ECR API reference, CreateRepository).
pub(crate) const MAX_TAGS: usize = 50;
/// The longest key of a resource tag, in characters (ECR API reference, Tag).
pub(crate) const MAX_TAG_KEY: usize = 128;
/// The longest value of a resource tag, in characters.
pub(crate) const MAX_TAG_VALUE: usize = 256;

/// An exception of the ECR API, or one of the errors common to AWS's JSON protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The body is not one JSON object of the operation's shape.
    #[error("The request body could not be read: {0}")]
    Serialization(&'static str),

    /// The event lacks this member, so it is not an HTTP request.
    #[error("The request could not be read: the event that carries it is not an HTTP request")]
    NoRequest(&'static str),

    /// No action has this method, resource or target.
    #[error("The requested operation is not recognized by the service")]
    UnknownOperation,

    /// A member fails to satisfy its constraint.
    #[error("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'")]
    InvalidParameter {
        /// The member, in the letter case that ECR prints for this constraint.
        parameter: &'static str,
        /// As AWS words it.
        constraint: String,
    },

    /// The caller may not do this to this repository.
    #[error(
        "User: {caller} is not authorized to perform: ecr:{action} on resource: {resource} \
         because no {policy}-based policy allows the ecr:{action} action"
    )]
    AccessDenied {
        caller: String,
        /// Without `ecr:`, such as `PutImage`.
        action: &'static str,
        /// The repository's ARN, or `*`.
        resource: String,
        /// The kind of policy that would have to allow it: `resource` or `identity`.
        policy: &'static str,
    },

    /// No active repository has this name.
    #[error(
        "The repository with name '{name}' does not exist in the registry with id '{registry}'",
        name = .0.name, registry = .0.registry
    )]
    RepositoryNotFound(RepositoryRef),

    /// A resource tag of CreateRepository that AWS does not accept. The text is the ECR model's.
    #[error(
        "An invalid parameter has been specified. Tag keys can have a maximum character length of \
         {MAX_TAG_KEY} characters, and tag values can have a maximum length of {MAX_TAG_VALUE} \
         characters. {0}"
    )]
    InvalidTagParameter(&'static str),

    /// More resource tags than a repository may have. The text is the ECR model's.
    #[error(
        "The list of tags on the repository is over the limit. The maximum number of tags that can \
         be applied to a repository is {MAX_TAGS}."
    )]
    TooManyTags,

    /// CreateRepository of a name that is taken.
    #[error(
        "The repository with name '{name}' already exists in the registry with id '{registry}'",
        name = .0.name, registry = .0.registry
    )]
    RepositoryAlreadyExists(RepositoryRef),

    /// The push would change nothing.
    #[error(
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name \
         '{name}' in registry with id '{registry}'",
        tag = .tag.as_ref().map_or("null", ImageTag::as_str),
        name = .repository.name, registry = .repository.registry
    )]
    ImageAlreadyExists {
        repository: RepositoryRef,
        digest: Digest,
        /// The tag that was sent. `None` is printed as `null`, as ECR does.
        tag: Option<ImageTag>,
    },

    /// The tag names another image and may not move.
    #[error(
        "The image tag '{tag}' already exists in the '{name}' repository and cannot be \
         overwritten because the tag is immutable.",
        name = .repository.name
    )]
    ImageTagAlreadyExists { repository: RepositoryRef, tag: ImageTag },

    /// `imageDigest` is not the digest of `imageManifest`.
    #[error(
        "The image with digest '{supplied}' in repository '{name}' and registry ID '{registry}' \
         does not match the image digest that Amazon ECR has calculated.",
        name = .repository.name, registry = .repository.registry
    )]
    ImageDigestDoesNotMatch {
        repository: RepositoryRef,
        /// The digest that the client sent.
        supplied: ExpectedDigest,
    },

    /// Layers that were not uploaded to this repository.
    #[error(
        "Layers with digests '[{digests}]' required for pushing image into repository with name \
         '{name}' in the registry with id '{registry}' do not exist",
        digests = list(missing), name = .repository.name, registry = .repository.registry
    )]
    LayersNotFound {
        repository: RepositoryRef,
        /// Each once, in manifest order.
        missing: Vec<Digest>,
    },

    /// Children of an index that are not images of this repository.
    #[error(
        "Images with digests '[{digests}]' required for pushing image into repository with name \
         '{name}' in the registry with id '{registry}' do not exist",
        digests = list(missing), name = .repository.name, registry = .repository.registry
    )]
    ReferencedImagesNotFound {
        repository: RepositoryRef,
        /// Each once, in manifest order.
        missing: Vec<Digest>,
    },

    /// A quota of the repository is used up.
    #[error("{}", exceeded(.repository, limit))]
    LimitExceeded { repository: RepositoryRef, limit: Limit },

    /// KMS did not return a data key, the repository's key cannot be used, or S3 could not use the
    /// key of its bucket.
    #[error(
        "KMS answered {kms_error} for the encryption key of the repository with name '{name}' in \
         the registry with id '{registry}'",
        name = .repository.name, registry = .repository.registry
    )]
    Kms {
        repository: RepositoryRef,
        /// KMS's own code.
        kms_error: String,
        /// Only for the log, because KMS's message names keys and roles.
        source: Cause,
    },

    /// A failure of the service. The gateway adds the request id to the sentence.
    #[error("The request could not be completed because of a failure of the service.")]
    Server(#[from] Failure),
}

/// A quota that a push would exceed, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Images per repository.
    Images(u64),
    /// Big indexes per repository.
    BigIndexes(u64),
    /// Tags per image: the tag that is one too many, and the quota.
    Tags(ImageTag, u64),
}

impl Error {
    /// The exception's name: the body's `__type` and the header `x-amzn-ErrorType`.
    #[must_use]
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Serialization(_) | Self::NoRequest(_) => "SerializationException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::InvalidParameter { .. } => "InvalidParameterException",
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::RepositoryNotFound(_) => "RepositoryNotFoundException",
            Self::RepositoryAlreadyExists(_) => "RepositoryAlreadyExistsException",
            Self::InvalidTagParameter(_) => "InvalidTagParameterException",
            Self::TooManyTags => "TooManyTagsException",
            Self::ImageAlreadyExists { .. } => "ImageAlreadyExistsException",
            Self::ImageTagAlreadyExists { .. } => "ImageTagAlreadyExistsException",
            Self::ImageDigestDoesNotMatch { .. } => "ImageDigestDoesNotMatchException",
            Self::LayersNotFound { .. } => "LayersNotFoundException",
            Self::ReferencedImagesNotFound { .. } => "ReferencedImagesNotFoundException",
            Self::LimitExceeded { .. } => "LimitExceededException",
            Self::Kms { .. } => "KmsException",
            Self::Server(_) => "ServerException",
        }
    }

    /// The HTTP status. In the reference it is 400 for every exception but `ServerException`.
    #[must_use]
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::UnknownOperation => 404,
            Self::Server(_) => 500,
            _ => 400,
        }
    }

    /// The error code of the AWS service that caused this.
    #[must_use]
    pub(crate) fn aws_code(&self) -> Option<&str> {
        match self {
            Self::Kms { kms_error, .. } => Some(kms_error),
            Self::Server(failure) => failure.aws_code.as_deref(),
            _ => None,
        }
    }

    /// A member that fails to satisfy `constraint`.
    #[must_use]
    pub(crate) fn invalid(parameter: &'static str, constraint: impl Into<String>) -> Self {
        Self::InvalidParameter { parameter, constraint: constraint.into() }
    }
}

fn list(digests: &[Digest]) -> String {
    digests.iter().map(Digest::as_str).collect::<Vec<_>>().join(", ")
}

fn exceeded(RepositoryRef { registry, name }: &RepositoryRef, limit: &Limit) -> String {
    match limit {
        Limit::Images(max) => format!(
            "The repository with name '{name}' in registry with id '{registry}' already has the \
             maximum allowed number of images which is '{max}'"
        ),
        Limit::BigIndexes(max) => format!(
            "The repository with name '{name}' in registry with id '{registry}' already has the \
             maximum allowed number of images with more than {COUNTED_CHILDREN} children which is \
             '{max}'"
        ),
        Limit::Tags(tag, max) => format!(
            "Adding tag '{tag}' to an image in the repository with name '{name}' in registry with \
             id '{registry}' exceeds the maximum allowed number of tags per image which is '{max}'"
        ),
    }
}
