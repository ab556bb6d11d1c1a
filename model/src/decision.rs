//! The result of a push: as the function decides it from what it read (section 2), and as the
//! specification defines it on the whole table at one instant. They share no code on purpose.

use crate::push::PushSpec;
use crate::scenario::Limits;
use crate::store::{Digests, Meta, RepoId, Store, TagItem};

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the API's exceptions")]
pub enum Answer {
    Success,
    RepositoryNotFound,
    ImageAlreadyExists,
    ImageTagAlreadyExists,
    ReferencedImagesNotFound,
    TooManyImages,
    TooManyBigIndexes,
    TooManyTags,
    /// Promises nothing.
    ServerException,
    /// No response at all.
    Crash,
}

impl Answer {
    /// A 4xx: this call has written nothing and will write nothing.
    pub(crate) fn is_refusal(self) -> bool {
        !matches!(self, Self::Success | Self::ServerException | Self::Crash)
    }

    /// Section 4: items that are read one by one cannot prove these.
    pub(crate) fn must_be_confirmed(self) -> bool {
        matches!(
            self,
            Self::ImageTagAlreadyExists
                | Self::ReferencedImagesNotFound
                | Self::TooManyImages
                | Self::TooManyBigIndexes
                | Self::TooManyTags
        )
    }

    /// A limit on what a repository holds: reached only by an image that is new.
    pub(crate) fn is_limit_of_repository(self) -> bool {
        matches!(self, Self::TooManyImages | Self::TooManyBigIndexes)
    }
}

/// A set of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Answers(u16);

impl Answers {
    pub(crate) fn with(self, answer: Answer) -> Self {
        Self(self.0 | 1 << answer as u16)
    }

    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) fn contains(self, answer: Answer) -> bool {
        self.0 & 1 << answer as u16 != 0
    }
}

/// What reads have shown of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Seen<T> {
    /// Not read yet.
    #[default]
    Unread,
    /// It did not exist.
    Absent,
    /// It existed.
    There(T),
}

impl<T> From<Option<T>> for Seen<T> {
    fn from(item: Option<T>) -> Self {
        item.map_or(Self::Absent, Self::There)
    }
}

impl<T> Seen<T> {
    pub(crate) fn there(self) -> Option<T> {
        match self {
            Self::There(item) => Some(item),
            Self::Unread | Self::Absent => None,
        }
    }

    pub(crate) fn is_unread(&self) -> bool {
        matches!(self, Self::Unread)
    }
}

/// The items that a push depends on, as far as they were read: what the function keeps of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Snapshot {
    pub(crate) meta: Seen<Meta>,
    pub(crate) tag: Seen<TagItem>,
    /// The image's tag count.
    pub(crate) image: Seen<u8>,
    /// Children that were read.
    pub(crate) looked_for: Digests,
    /// Those of them that do not exist.
    pub(crate) missing: Digests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Refuse(Answer),
    /// The repository is another incarnation than the one whose items were read.
    Stale(Meta),
    Commit(Meta),
}

/// Section 2's decisions, in their order. Layers, keys and access are not part of the model.
pub(crate) fn decide(
    push: PushSpec,
    limits: &Limits,
    repo_id: Option<RepoId>,
    seen: &Snapshot,
) -> Decision {
    let Some(meta) = seen.meta.there() else {
        return Decision::Refuse(Answer::RepositoryNotFound);
    };
    if repo_id.is_some_and(|repo_id| repo_id != meta.repo_id) {
        return Decision::Stale(meta);
    }
    let image = seen.image.there();
    if let (Some(_), Some(tag)) = (push.tag, seen.tag.there()) {
        if tag.digest == push.digest {
            return Decision::Refuse(Answer::ImageAlreadyExists);
        }
        if meta.immutable {
            return Decision::Refuse(Answer::ImageTagAlreadyExists);
        }
    }
    let rejection = match image {
        Some(_) if push.tag.is_none() => Some(Answer::ImageAlreadyExists),
        Some(tag_count) => (tag_count >= limits.tags).then_some(Answer::TooManyTags),
        None if !seen.missing.is_empty() => Some(Answer::ReferencedImagesNotFound),
        None if meta.image_count >= limits.images => Some(Answer::TooManyImages),
        None if push.is_big_index && meta.big_indexes.len() >= limits.big_indexes => {
            Some(Answer::TooManyBigIndexes)
        }
        None => None,
    };
    rejection.map_or(Decision::Commit(meta), Decision::Refuse)
}

/// The only correct result if the whole call happened now: docs/SEMANTICS.md's table.
pub(crate) fn specification(push: PushSpec, limits: &Limits, store: &Store) -> Answer {
    let Some(meta) = store.meta() else { return Answer::RepositoryNotFound };
    let named = push.tag.and_then(|tag| store.tag(meta.repo_id, tag)).map(|tag| tag.digest);
    let stored = store.image(meta.repo_id, push.digest);
    let absent = |child| store.image(meta.repo_id, child).is_none();
    let held: Vec<_> = store.images(meta.repo_id).collect();
    let big_indexes = held.iter().filter(|(_, image)| image.is_big_index).count();

    let already_there =
        if push.tag.is_some() { named == Some(push.digest) } else { stored.is_some() };
    if already_there {
        Answer::ImageAlreadyExists
    } else if named.is_some() && meta.immutable {
        Answer::ImageTagAlreadyExists
    } else if let Some(image) = stored {
        if image.tag_count >= limits.tags { Answer::TooManyTags } else { Answer::Success }
    } else if push.children.iter().any(absent) {
        Answer::ReferencedImagesNotFound
    } else if held.len() >= usize::from(limits.images) {
        Answer::TooManyImages
    } else if push.is_big_index && big_indexes >= limits.big_indexes {
        Answer::TooManyBigIndexes
    } else {
        Answer::Success
    }
}
