//! Whether a push may be committed, given what the table holds: the rules of docs/PROTOCOL.md,
//! section 2, in the order of their errors, and what section 4 asks before one is returned.

use super::push::Push;
use super::snapshot::Snapshot;
use crate::api::error::{Error, Limit};
use crate::ecr::names::Digest;
use crate::ecr::repository::{BIG_INDEXES_PER_REPOSITORY, Quotas, RepositoryRecord};

/// The rules that do not depend on the layers. An image that is already stored needs no others.
///
/// # Errors
/// `ImageAlreadyExistsException`, `ImageTagAlreadyExistsException`, `LimitExceededException` of
/// tags.
pub(super) fn check(
    push: &Push,
    record: &RepositoryRecord,
    snapshot: &Snapshot,
    quotas: &Quotas,
) -> Result<(), Error> {
    let Push { repository, digest, tag, .. } = push;
    let changes_nothing = match (tag, &snapshot.tag) {
        (Some(_), current) => current.as_ref().is_some_and(|tag| tag.digest == *digest),
        (None, _) => snapshot.image.is_some(),
    };
    if changes_nothing {
        return Err(Error::ImageAlreadyExists {
            repository: repository.clone(),
            digest: digest.clone(),
            tag: tag.clone(),
        });
    }
    let Some(tag) = tag else { return Ok(()) };
    if snapshot.tag.is_some() && record.tag_mutability.is_immutable(tag) {
        return Err(Error::ImageTagAlreadyExists {
            repository: repository.clone(),
            tag: tag.clone(),
        });
    }
    match &snapshot.image {
        Some(image) if image.tag_count >= quotas.tags_per_image => {
            Err(exceeded(push, Limit::Tags(tag.clone(), quotas.tags_per_image)))
        }
        _ => Ok(()),
    }
}

/// The other rules for an image that is new.
///
/// # Errors
/// `LayersNotFoundException`, `ReferencedImagesNotFoundException`, `LimitExceededException` of
/// images.
pub(super) fn check_new_image(
    push: &Push,
    record: &RepositoryRecord,
    snapshot: &Snapshot,
    missing_layers: &[Digest],
    quotas: &Quotas,
) -> Result<(), Error> {
    let repository = || push.repository.clone();
    if !missing_layers.is_empty() {
        let missing = missing_layers.to_vec();
        return Err(Error::LayersNotFound { repository: repository(), missing });
    }
    if !snapshot.missing_children.is_empty() {
        let missing = snapshot.missing_children.clone();
        return Err(Error::ReferencedImagesNotFound { repository: repository(), missing });
    }
    if record.image_count >= quotas.images_per_repository {
        return Err(exceeded(push, Limit::Images(quotas.images_per_repository)));
    }
    if push.is_big_index() && record.big_indexes >= BIG_INDEXES_PER_REPOSITORY {
        return Err(exceeded(push, Limit::BigIndexes(BIG_INDEXES_PER_REPOSITORY)));
    }
    Ok(())
}

fn exceeded(push: &Push, limit: Limit) -> Error {
    Error::LimitExceeded { repository: push.repository.clone(), limit }
}

/// Whether an error that was found in separate reads must be confirmed by a read of all items at
/// one instant before it is returned: the reads could combine into a state that never existed.
pub(super) fn must_be_confirmed(error: &Error) -> bool {
    matches!(
        error,
        Error::ImageTagAlreadyExists { .. }
            | Error::ReferencedImagesNotFound { .. }
            | Error::LimitExceeded { .. }
    )
}

/// The reads before a confirmation, as far as they matter after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstRead {
    /// Whether the image was new, so that all children of a big index were read.
    pub(super) children_were_read: bool,
    pub(super) del_epoch: u64,
}

/// Whether the checks of a confirmation prove their result. Where they do not, the push starts
/// again.
///
/// The confirmation of a big index does not show the children that existed before. They still exist
/// if no image was deleted since they were read; if one was, a missing child may have been the
/// right error all the time.
pub(super) fn is_proven(
    push: &Push,
    first: FirstRead,
    record: &RepositoryRecord,
    snapshot: &Snapshot,
    result: &Result<(), Error>,
) -> bool {
    match result {
        _ if !push.is_big_index() => true,
        Ok(()) => false,
        Err(Error::LimitExceeded { .. }) if snapshot.image.is_none() => {
            first.children_were_read && first.del_epoch == record.del_epoch
        }
        Err(_) => true,
    }
}
