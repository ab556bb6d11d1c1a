//! What a push comes to, given what the table holds: the rules of `docs/PROTOCOL.md`, section 2, in
//! the order in which they answer.

use super::push::Push;
use crate::access::Caller;
use crate::error::{Error, Limit};
use crate::names::Digest;
use crate::repository::{BIG_INDEXES_PER_REPOSITORY, Quotas, RepositoryRecord};

/// The items that a push depends on, as one read gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The repository, if there is one of this name.
    pub repository: Option<RepositoryRecord>,
    /// The tag that is being pushed, if it names an image now.
    pub tag: Option<TagRecord>,
    /// The image that is being pushed, if it is stored already.
    pub image: Option<ImageRecord>,
    /// Children of the index that is being pushed which are no images of this repository, each
    /// once, in manifest order.
    pub missing_children: Vec<Digest>,
}

/// A tag as the table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRecord {
    /// The image that it names.
    pub digest: Digest,
    /// The push that made it do so.
    pub put_id: String,
}

/// An image as the table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Tags that name it.
    pub tag_count: u64,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Decision {
    /// Answer this.
    Refuse(Error),
    /// Nothing so far speaks against it, but the image is new: look at its layers and decide again.
    CheckLayers,
    /// Write it.
    Commit,
}

/// The repository's record, where it is there and the caller may push to it.
///
/// # Errors
/// `AccessDeniedException`, the same whether or not another account's repository exists, or
/// `RepositoryNotFoundException`.
pub fn accessible<'a>(
    record: Option<&'a RepositoryRecord>,
    caller: &Caller,
    push_to: &crate::names::Repository,
    region: &str,
) -> Result<&'a RepositoryRecord, Error> {
    let record = record.filter(|record| record.active);
    let policy = record.and_then(|record| record.policy.as_deref());
    if !caller.may(super::ACTION, push_to, policy) {
        return Err(Error::AccessDenied {
            caller: caller.arn_or_root("aws"),
            action: super::ACTION,
            resource: push_to.arn(region),
        });
    }
    record.ok_or_else(|| Error::RepositoryNotFound(push_to.clone()))
}

/// Decides about an accessible repository. `missing_layers` is `None` until it was looked for.
#[must_use]
pub fn decide(
    push: &Push,
    record: &RepositoryRecord,
    snapshot: &Snapshot,
    missing_layers: Option<&[Digest]>,
    quotas: &Quotas,
) -> Decision {
    match refusal(push, record, snapshot, missing_layers, quotas) {
        Some(error) => Decision::Refuse(error),
        None if snapshot.image.is_none() && missing_layers.is_none() => Decision::CheckLayers,
        None => Decision::Commit,
    }
}

fn refusal(
    push: &Push,
    record: &RepositoryRecord,
    snapshot: &Snapshot,
    missing_layers: Option<&[Digest]>,
    quotas: &Quotas,
) -> Option<Error> {
    let repository = || push.repository.clone();
    let exceeded = |limit| Error::LimitExceeded { repository: repository(), limit };

    let already_there = match (&push.tag, &snapshot.tag) {
        (Some(_), current) => current.as_ref().is_some_and(|tag| tag.digest == push.digest),
        (None, _) => snapshot.image.is_some(),
    };
    if already_there {
        return Some(Error::ImageAlreadyExists {
            repository: repository(),
            digest: push.digest.clone(),
            tag: push.tag.clone(),
        });
    }
    if let (Some(tag), Some(_)) = (&push.tag, &snapshot.tag)
        && record.tag_mutability.is_immutable(tag)
    {
        return Some(Error::ImageTagAlreadyExists { repository: repository(), tag: tag.clone() });
    }

    if let Some(image) = &snapshot.image {
        let tag = push.tag.as_ref()?;
        let full = image.tag_count >= quotas.tags_per_image;
        return full.then(|| exceeded(Limit::Tags(tag.clone(), quotas.tags_per_image)));
    }
    let missing = missing_layers?;
    if !missing.is_empty() {
        return Some(Error::LayersNotFound { repository: repository(), missing: missing.to_vec() });
    }
    if !snapshot.missing_children.is_empty() {
        let missing = snapshot.missing_children.clone();
        return Some(Error::ReferencedImagesNotFound { repository: repository(), missing });
    }
    if record.image_count >= quotas.images_per_repository {
        return Some(exceeded(Limit::Images(quotas.images_per_repository)));
    }
    if push.is_big_index() && record.big_indexes >= BIG_INDEXES_PER_REPOSITORY {
        return Some(exceeded(Limit::BigIndexes(BIG_INDEXES_PER_REPOSITORY)));
    }
    None
}

/// Whether a refusal read off several items must be seen again in one snapshot of them all before
/// it is answered: read one by one, they may never have been so at one instant.
#[must_use]
pub fn must_be_confirmed(error: &Error) -> bool {
    matches!(
        error,
        Error::ImageTagAlreadyExists { .. }
            | Error::ReferencedImagesNotFound { .. }
            | Error::LimitExceeded { .. }
    )
}
