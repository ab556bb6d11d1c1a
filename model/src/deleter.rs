//! Deleting an image, by the rules of section 7.2.

use crate::Protocol;
use crate::mutants::Mutant;
use crate::state::State;
use crate::store::{Digest, Digests, Image, Key, Meta, RepoId, Store, Tag};

/// How far a deletion by digest has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the results of its reads so far")]
pub enum Deleter {
    Idle,
    HasMeta(Meta),
    HasTags(Meta, Vec<Tag>),
    HasImage(Meta, Vec<Tag>, Image),
    Done,
}

impl Deleter {
    pub(crate) fn go_on(self, digest: Digest, protocol: &Protocol, state: &mut State) -> Self {
        match self {
            Self::Idle => match state.visible().meta() {
                Some(meta) => Self::HasMeta(meta),
                None => Self::Done,
            },
            Self::HasMeta(meta) => {
                let tags = tags_of(digest, meta.repo_id, &state.visible());
                Self::HasTags(meta, tags)
            }
            Self::HasTags(meta, tags) => {
                let visible = state.visible();
                // refCount covers the small indexes. Each big one is read.
                let needs = |index: Digest| {
                    visible.image(meta.repo_id, index).is_none_or(|i| i.children.contains(digest))
                };
                match visible.image(meta.repo_id, digest) {
                    Some(image) if !meta.big_indexes.iter().any(needs) => {
                        Self::HasImage(meta, tags, image)
                    }
                    _ => Self::Done,
                }
            }
            Self::HasImage(meta, tags, image) => {
                if may_delete(meta, digest, &tags, &state.store, protocol) {
                    let store = &mut state.store;
                    delete_image(meta.repo_id, digest, image, &tags, store, protocol);
                }
                Self::Done
            }
            Self::Done => Self::Done,
        }
    }
}

/// The conditions of section 7.2.
fn may_delete(
    seen: Meta,
    digest: Digest,
    tags: &[Tag],
    store: &Store,
    protocol: &Protocol,
) -> bool {
    let Some(meta) = store.meta() else { return false };
    let Some(image) = store.image(seen.repo_id, digest) else { return false };
    let names_it = |&tag: &Tag| {
        store.tag(seen.repo_id, tag).is_some_and(|item| {
            item.digest == digest || protocol.has(Mutant::DeleterIgnoresDigestOfTags)
        })
    };
    meta.repo_id == seen.repo_id
        && (meta.big_indexes == seen.big_indexes || protocol.has(Mutant::DeleterIgnoresBigIndexes))
        && (usize::from(image.tag_count) == tags.len()
            || protocol.has(Mutant::DeleterIgnoresTagCount))
        && (image.ref_count == 0 || protocol.has(Mutant::DeleterIgnoresRefCount))
        && tags.iter().all(names_it)
}

pub(crate) fn tags_of(digest: Digest, repo_id: RepoId, store: &Store) -> Vec<Tag> {
    store.tags(repo_id).filter(|(_, item)| item.digest == digest).map(|(tag, _)| tag).collect()
}

/// Section 7.2's transaction, without its conditions.
pub(crate) fn delete_image(
    repo_id: RepoId,
    digest: Digest,
    image: Image,
    tags: &[Tag],
    store: &mut Store,
    protocol: &Protocol,
) {
    store.remove(Key::Image(repo_id, digest));
    store.remove(Key::Manifest(repo_id, digest));
    for &tag in tags {
        store.remove(Key::Tag(repo_id, tag));
    }
    if let Some(meta) = store.meta_mut() {
        meta.image_count = meta.image_count.wrapping_sub(1);
        meta.del_epoch += u8::from(!protocol.has(Mutant::DeleterKeepsDelEpoch));
        meta.big_indexes = meta.big_indexes.without(Digests::of(&[digest]));
    }
    for child in image.children.iter().filter(|_| !image.is_big_index) {
        if let Some(child) = store.image_mut(repo_id, child) {
            child.ref_count = child.ref_count.wrapping_sub(1);
        }
    }
}
