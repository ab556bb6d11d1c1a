//! What the API answers when it does not do what was asked: one variant per exception, its code,
//! its HTTP status and its message.
//!
//! Two texts per failure. [`Display`](std::fmt::Display) is what the client reads and holds
//! nothing of ours; the `source` chain is what the log keeps, whole.

use crate::names::{Digest, ExpectedDigest, ImageTag, Repository};

/// The cause of a failure, for the log alone.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An exception of the ECR API (or one of the errors common to AWS's JSON protocol).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not one JSON object of the operation's shape.
    #[error("The request body could not be read: {0}")]
    Serialization(&'static str),

    /// No action has this method, path or target.
    #[error("The requested operation is not recognized by the service")]
    UnknownOperation,

    /// A member does not meet its constraint.
    #[error("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'")]
    InvalidParameter {
        /// The member, in the letter case that ECR prints for this constraint.
        parameter: &'static str,
        /// What it had to be.
        constraint: String,
    },

    /// The caller may not do this to this repository.
    #[error(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} \
         because no resource-based policy allows the {action} action"
    )]
    AccessDenied {
        /// The caller's ARN.
        caller: String,
        /// `ecr:PutImage`, …
        action: &'static str,
        /// The repository's ARN.
        resource: String,
    },

    /// No active repository has this name.
    #[error(
        "The repository with name '{name}' does not exist in the registry with id '{registry}'",
        name = .0.name, registry = .0.registry
    )]
    RepositoryNotFound(Repository),

    /// CreateRepository of a name that is taken.
    #[error(
        "The repository with name '{name}' already exists in the registry with id '{registry}'",
        name = .0.name, registry = .0.registry
    )]
    RepositoryAlreadyExists(Repository),

    /// The push would change nothing.
    #[error(
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name \
         '{name}' in registry with id '{registry}'",
        tag = .tag.as_ref().map_or("null", ImageTag::as_str),
        name = .repository.name, registry = .repository.registry
    )]
    ImageAlreadyExists {
        /// Where.
        repository: Repository,
        /// The image's.
        digest: Digest,
        /// The tag that was sent; none prints as `null`, as ECR does.
        tag: Option<ImageTag>,
    },

    /// The tag names another image and may not move.
    #[error(
        "The image tag '{tag}' already exists in the '{name}' repository and cannot be \
         overwritten because the tag is immutable.",
        name = .repository.name
    )]
    ImageTagAlreadyExists {
        /// Where.
        repository: Repository,
        /// Which.
        tag: ImageTag,
    },

    /// `imageDigest` is not the digest of `imageManifest`.
    #[error(
        "The image with digest '{supplied}' in repository '{name}' and registry ID '{registry}' \
         does not match the image digest that Amazon ECR has calculated.",
        name = .repository.name, registry = .repository.registry
    )]
    ImageDigestDoesNotMatch {
        /// Where.
        repository: Repository,
        /// What the client sent.
        supplied: ExpectedDigest,
    },

    /// Layers that were not uploaded to this repository.
    #[error(
        "Layers with digests '[{digests}]' required for pushing image into repository with name \
         '{name}' in the registry with id '{registry}' do not exist",
        digests = list(missing), name = .repository.name, registry = .repository.registry
    )]
    LayersNotFound {
        /// Where.
        repository: Repository,
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
        /// Where.
        repository: Repository,
        /// Each once, in manifest order.
        missing: Vec<Digest>,
    },

    /// A quota of the repository is used up.
    #[error("{}", exceeded(.repository, limit))]
    LimitExceeded {
        /// Where.
        repository: Repository,
        /// Which quota, and how large it is.
        limit: Limit,
    },

    /// KMS did not give a data key, or S3 could not use the bucket's.
    #[error(
        "KMS answered {kms_error} for the encryption key of the repository with name '{name}' in \
         the registry with id '{registry}'",
        name = .repository.name, registry = .repository.registry
    )]
    Kms {
        /// Whose key.
        repository: Repository,
        /// KMS's own code.
        kms_error: String,
        /// KMS's own text names keys and roles: for the log.
        source: Cause,
    },

    /// A failure of ours. The gateway adds the request id to the sentence.
    #[error("The request could not be completed because of a failure of the service.")]
    Server(#[from] Failure),
}

/// A quota that a push would overrun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Images per repository.
    Images(u64),
    /// Indexes of more than 90 children per repository.
    BigIndexes(u64),
    /// Tags per image: the tag that is one too many, and the quota.
    Tags(ImageTag, u64),
}

/// A failure of ours: what was being done, the AWS code if there was one, and the whole cause.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct Failure {
    /// What was being done.
    pub doing: &'static str,
    /// The code in AWS's answer, if it was one.
    pub aws_code: Option<String>,
    /// Why it failed.
    #[source]
    pub source: Option<Cause>,
}

impl Failure {
    /// A failure that nobody else reported.
    #[must_use]
    pub fn new(doing: &'static str) -> Self {
        Self { doing, aws_code: None, source: None }
    }

    /// One with a cause that is not of a service.
    #[must_use]
    pub fn caused(doing: &'static str, cause: impl Into<Cause>) -> Self {
        Self { doing, aws_code: None, source: Some(cause.into()) }
    }
}

impl Error {
    /// The exception's name: the body's `__type` and the header `x-amzn-ErrorType`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Serialization(_) => "SerializationException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::InvalidParameter { .. } => "InvalidParameterException",
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::RepositoryNotFound(_) => "RepositoryNotFoundException",
            Self::RepositoryAlreadyExists(_) => "RepositoryAlreadyExistsException",
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

    /// The HTTP status: the reference gives 400 to every exception but `ServerException`.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownOperation => 404,
            Self::Server(_) => 500,
            _ => 400,
        }
    }

    /// The error code that AWS gave us, if it is behind this answer.
    #[must_use]
    pub fn aws_code(&self) -> Option<&str> {
        match self {
            Self::Kms { kms_error, .. } => Some(kms_error),
            Self::Server(failure) => failure.aws_code.as_deref(),
            _ => None,
        }
    }

    /// A member that does not meet `constraint`.
    #[must_use]
    pub fn invalid(parameter: &'static str, constraint: impl Into<String>) -> Self {
        Self::InvalidParameter { parameter, constraint: constraint.into() }
    }
}

/// The most bytes of a cause that are logged: all of any failure of ours, but not the digests of
/// 28,000 missing children.
const CAUSE_BYTES: usize = 16 * 1024;

/// For the log: an error's message and those of all its sources.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    chain.truncate(chain.floor_char_boundary(CAUSE_BYTES));
    chain
}

fn list(digests: &[Digest]) -> String {
    digests.iter().map(Digest::as_str).collect::<Vec<_>>().join(", ")
}

fn exceeded(Repository { registry, name }: &Repository, limit: &Limit) -> String {
    match limit {
        Limit::Images(max) => format!(
            "The repository with name '{name}' in registry with id '{registry}' already has the \
             maximum allowed number of images which is '{max}'"
        ),
        Limit::BigIndexes(max) => format!(
            "The repository with name '{name}' in registry with id '{registry}' already has the \
             maximum allowed number of images with more than 90 children which is '{max}'"
        ),
        Limit::Tags(tag, max) => format!(
            "Adding tag '{tag}' to an image in the repository with name '{name}' in registry with \
             id '{registry}' exceeds the maximum allowed number of tags per image which is '{max}'"
        ),
    }
}
