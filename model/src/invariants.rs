//! What must hold (section 8): at every instant, and for every step.

use stateright::Property;

use crate::Protocol;
use crate::decision::Answer;
use crate::state::{Fault, State};
use crate::store::{Image, Key, Meta};

/// Every promise of the protocol.
pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always("a tag's image exists", |_, state: &State| {
            of_repository(state, |state, meta| {
                let exists = |digest| state.store.image(meta.repo_id, digest).is_some();
                state.store.tags(meta.repo_id).all(|(_, tag)| exists(tag.digest))
            })
        }),
        Property::always("tagCount is exact", |_, state: &State| {
            of_repository(state, |state, meta| {
                state.store.images(meta.repo_id).all(|(digest, image)| {
                    let tags = state.store.tags(meta.repo_id);
                    usize::from(image.tag_count) == tags.filter(|(_, t)| t.digest == digest).count()
                })
            })
        }),
        Property::always("imageCount is exact", |_, state: &State| {
            of_repository(state, |state, meta| {
                usize::from(meta.image_count) == state.store.images(meta.repo_id).count()
            })
        }),
        Property::always("no image has more tags than its limit", |protocol, state| {
            of_images(state, |_, _, image| image.tag_count <= protocol.scenario.limits.tags)
        }),
        Property::always("no repository has more images than its limits", |protocol, state| {
            of_repository(state, |state, meta| {
                let limits = &protocol.scenario.limits;
                let big = state.store.images(meta.repo_id).filter(|(_, i)| i.is_big_index).count();
                state.store.images(meta.repo_id).count() <= usize::from(limits.images)
                    && big <= limits.big_indexes
            })
        }),
        Property::always("an index's children exist", |_, state: &State| {
            of_images(state, |state, meta, image| {
                image.children.iter().all(|child| state.store.image(meta.repo_id, child).is_some())
            })
        }),
        Property::always("an image's manifest exists", |_, state: &State| {
            of_repository(state, |state, meta| {
                state.store.images(meta.repo_id).all(|(digest, image)| match image.body_key {
                    Some(key) => state.bodies.contains(&key),
                    None => state.store.get(Key::Manifest(meta.repo_id, digest)).is_some(),
                })
            })
        }),
        Property::always("an immutable tag never moves", |_, state: &State| {
            state.fault != Some(Fault::ImmutableTagMoved)
        }),
        Property::always(
            "a push is applied only where the specification says so",
            |_, state: &State| !matches!(state.fault, Some(Fault::CommitInsteadOf(_))),
        ),
        Property::always("a push is applied once at most", |_, state: &State| {
            state.fault != Some(Fault::CommittedTwice)
        }),
        Property::always("success is one commit", |_, state: &State| {
            state.fault != Some(Fault::SuccessWithoutOneCommit)
        }),
        Property::always("a rejected push writes nothing", |_, state: &State| {
            !matches!(state.fault, Some(Fault::RefusalOfACommit(_) | Fault::CommitAfter(_)))
        }),
        Property::always(
            "a rejection was correct at an instant of its call",
            |_, state: &State| !matches!(state.fault, Some(Fault::NeverRight(_))),
        ),
        Property::always("no transaction is invalid", |_, state: &State| {
            state.fault != Some(Fault::InvalidTransaction)
        }),
    ]
}

/// The protocol's own bookkeeping. A mutant that breaks only this has no effect on clients, and
/// does not count as caught.
pub(crate) fn bookkeeping() -> [Property<Protocol>; 2] {
    let ref_count = Property::always("refCount is exact", |_, state: &State| {
        of_repository(state, |state, meta| {
            state.store.images(meta.repo_id).all(|(digest, image)| {
                let indexes = state.store.images(meta.repo_id);
                let counted = |i: &Image| !i.is_big_index && i.children.contains(digest);
                usize::from(image.ref_count) == indexes.filter(|(_, i)| counted(i)).count()
            })
        })
    });
    let big_indexes = Property::always("bigIndexes is exact", |_, state: &State| {
        of_repository(state, |state, meta| {
            let big = state.store.images(meta.repo_id).filter(|(_, i)| i.is_big_index);
            meta.big_indexes.iter().eq(big.map(|(digest, _)| digest))
        })
    });
    [ref_count, big_indexes]
}

pub(crate) type Is = fn(&Protocol, &State) -> bool;

/// The results that the scenarios must reach, because they would otherwise show little.
pub(crate) const REACHABLE: [(Answer, &str, Is); 9] = [
    (Answer::Success, "Success", |_, state| answers(state, Answer::Success)),
    (Answer::RepositoryNotFound, "RepositoryNotFound", |_, state: &State| {
        answers(state, Answer::RepositoryNotFound)
    }),
    (Answer::ImageAlreadyExists, "ImageAlreadyExists", |_, state: &State| {
        answers(state, Answer::ImageAlreadyExists)
    }),
    (Answer::ImageTagAlreadyExists, "ImageTagAlreadyExists", |_, state: &State| {
        answers(state, Answer::ImageTagAlreadyExists)
    }),
    (Answer::ReferencedImagesNotFound, "ReferencedImagesNotFound", |_, state: &State| {
        answers(state, Answer::ReferencedImagesNotFound)
    }),
    (Answer::TooManyImages, "LimitExceeded (images)", |_, state: &State| {
        answers(state, Answer::TooManyImages)
    }),
    (Answer::TooManyBigIndexes, "LimitExceeded (big indexes)", |_, state: &State| {
        answers(state, Answer::TooManyBigIndexes)
    }),
    (Answer::TooManyTags, "LimitExceeded (tags)", |_, state| answers(state, Answer::TooManyTags)),
    (Answer::ServerException, "ServerException", |_, state: &State| {
        answers(state, Answer::ServerException)
    }),
];

fn answers(state: &State, answer: Answer) -> bool {
    state.pushes().any(|(_, push)| push.answer == Some(answer))
}

/// Nothing is promised for a deleted repository, because its purge may be under way.
fn of_repository(state: &State, holds: impl Fn(&State, Meta) -> bool) -> bool {
    state.store.meta().is_none_or(|meta| holds(state, meta))
}

fn of_images(state: &State, holds: impl Fn(&State, Meta, &Image) -> bool) -> bool {
    of_repository(state, |state, meta| {
        state.store.images(meta.repo_id).all(|(_, image)| holds(state, meta, &image))
    })
}
