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

#[cfg(test)]
mod tests {
    use push_model::decision::Answer;
    use push_model::small::{IMAGES, Named, Situation, TAGS};
    use serde_json::json;

    use super::*;
    use crate::actions::put_image::input::Input;
    use crate::ecr::manifest::MediaType;
    use crate::ecr::mutability::{MutabilityMode, TagMutability};
    use crate::ecr::names::{RegistryId, RepositoryName, RepositoryRef};
    use crate::ecr::repository::{Encryption, ImageRecord, TagRecord};

    fn child(n: usize) -> Digest {
        Digest::of(n.to_string().as_bytes())
    }

    fn push(is_big_index: bool, has_tag: bool) -> Push {
        let children = if is_big_index { 91 } else { 1 };
        let child = |n| json!({ "mediaType": "a", "digest": child(n).as_str(), "size": 1 });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OciIndex.as_str(),
            "manifests": (0..children).map(child).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string();
        let mut body = json!({
            "repositoryName": "app",
            "imageDigest": Digest::of(manifest.as_bytes()).as_str(),
            "imageManifest": manifest,
        });
        if has_tag {
            body["imageTag"] = json!("v1");
        }
        let repository = RepositoryRef {
            registry: RegistryId::parse("012345678910".into()).unwrap(),
            name: RepositoryName::parse("app".into()).unwrap(),
        };
        Push::new(Input::parse(&body.to_string()).unwrap(), repository, 500, usize::MAX).unwrap()
    }

    fn record(situation: Situation) -> RepositoryRecord {
        let mode =
            if situation.immutable { MutabilityMode::Immutable } else { MutabilityMode::Mutable };
        // The quota of big indexes is a constant here; the model's is 2.
        let big_indexes = BIG_INDEXES_PER_REPOSITORY - 2 + u64::from(situation.big_indexes);
        RepositoryRecord {
            repo_id: "id".into(),
            rev: "rev".into(),
            active: true,
            tag_mutability: TagMutability { mode, filters: Vec::new() },
            encryption: Encryption::AES_256,
            policy: None,
            image_count: situation.images.into(),
            del_epoch: 0,
            big_indexes,
        }
    }

    fn snapshot(situation: Situation, push: &Push) -> Snapshot {
        let digest = match situation.tag {
            None | Some(Named::Nothing) => None,
            Some(Named::ThisImage) => Some(push.digest.clone()),
            Some(Named::AnotherImage) => Some(Digest::of(b"another image")),
        };
        let media_type = MediaType::OciIndex;
        let image = |tag_count: u8| ImageRecord { tag_count: tag_count.into(), media_type };
        Snapshot {
            repository: None,
            tag: digest.map(|digest| TagRecord { digest, put_id: String::new() }),
            image: situation.image.map(image),
            missing_children: if situation.misses_child { vec![child(0)] } else { Vec::new() },
        }
    }

    #[test]
    fn every_small_situation_has_the_models_decision() {
        let quotas = Quotas {
            images_per_repository: IMAGES.into(),
            tags_per_image: TAGS.into(),
            ..Quotas::default()
        };
        let all = Situation::all();
        let pushes = [false, true].map(|is_big| [push(is_big, false), push(is_big, true)]);
        let mut seen = Vec::new();
        for &situation in &all {
            let has_tag = usize::from(situation.tag.is_some());
            let push = &pushes[usize::from(situation.is_big_index)][has_tag];
            let (record, snapshot) = (record(situation), snapshot(situation, push));
            let mut result = check(push, &record, &snapshot, &quotas);
            if snapshot.image.is_none() {
                result =
                    result.and_then(|()| check_new_image(push, &record, &snapshot, &[], &quotas));
            }
            let decision = match result {
                Ok(()) => Answer::Success,
                Err(Error::ImageAlreadyExists { .. }) => Answer::ImageAlreadyExists,
                Err(Error::ImageTagAlreadyExists { .. }) => Answer::ImageTagAlreadyExists,
                Err(Error::ReferencedImagesNotFound { .. }) => Answer::ReferencedImagesNotFound,
                Err(Error::LimitExceeded { limit: Limit::Images(_), .. }) => Answer::TooManyImages,
                Err(Error::LimitExceeded { limit: Limit::BigIndexes(_), .. }) => {
                    Answer::TooManyBigIndexes
                }
                Err(Error::LimitExceeded { limit: Limit::Tags(..), .. }) => Answer::TooManyTags,
                Err(other) => panic!("{other}"),
            };
            assert_eq!(decision, situation.decision(), "{situation:?}");
            seen.push(decision);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((all.len(), seen.len()), (1152, 7), "{seen:?}");
    }

    #[test]
    fn a_missing_layer_comes_before_a_missing_child() {
        let situation = Situation {
            tag: Some(Named::Nothing),
            image: None,
            misses_child: true,
            is_big_index: false,
            immutable: false,
            images: IMAGES,
            big_indexes: 0,
        };
        let push = push(false, true);
        let (record, snapshot) = (record(situation), snapshot(situation, &push));
        let missing = [Digest::of(b"layer")];
        let result = check_new_image(&push, &record, &snapshot, &missing, &Quotas::default());
        assert!(
            matches!(result, Err(Error::LayersNotFound { missing: found, .. }) if found == missing)
        );
    }

    #[test]
    fn a_big_index_is_confirmed_only_as_far_as_the_confirmation_shows() {
        let situation = |image| Situation {
            tag: Some(Named::Nothing),
            image,
            misses_child: false,
            is_big_index: true,
            immutable: false,
            images: 0,
            big_indexes: 0,
        };
        let proven = |is_big, image, first, result: fn(&Push) -> Result<(), Error>| {
            let push = push(is_big, true);
            let record = record(situation(image));
            let snapshot = snapshot(situation(image), &push);
            is_proven(&push, first, &record, &snapshot, &result(&push))
        };
        let first = |children_were_read, del_epoch| FirstRead { children_were_read, del_epoch };
        let limit = |push: &Push| Err(exceeded(push, Limit::Images(1)));
        let missing = |push: &Push| {
            let repository = push.repository.clone();
            Err(Error::ReferencedImagesNotFound { repository, missing: vec![child(0)] })
        };
        // An index of up to 90 children is confirmed whole.
        assert!(proven(false, None, first(false, 7), limit));
        assert!(proven(false, None, first(false, 7), |_| Ok(())));
        // A big index may never be committed directly, because children may have been deleted.
        assert!(!proven(true, None, first(true, 0), |_| Ok(())));
        // The missing children were read again.
        assert!(proven(true, None, first(true, 7), missing));
        // A limit is proven only if all children were read and no image was deleted since.
        assert!(proven(true, None, first(true, 0), limit));
        assert!(!proven(true, None, first(true, 1), limit));
        assert!(!proven(true, None, first(false, 0), limit));
        // The limit on a stored image's tags does not depend on children.
        assert!(proven(true, Some(1), first(false, 7), limit));
    }
}
