//! The table and the bodies in S3, as far as the protocol uses them (its section 1).
//!
//! There is one repository name, and so one META item. The other items have the id of an
//! incarnation of the repository in their keys, as in the table.

use std::collections::BTreeMap;

/// An image, named by its digest. `I` and `J` are indexes where a scenario has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "names of images")]
pub enum Digest {
    A,
    B,
    C,
    I,
    J,
}

/// A tag's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "names of tags")]
pub enum Tag {
    M,
    V,
    W,
    X,
    Y,
    Z,
}

/// Names one incarnation of the repository; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoId(pub u8);

/// Names the settings of one incarnation. The table keeps a UUID. The model keeps two numbers, so
/// that a mutant can compare only the second one, as if `rev` were a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev {
    pub(crate) life: RepoId,
    pub(crate) change: u8,
}

/// Names a call; [`PutId::BEFORE`] is not one of the scenario's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PutId(pub u8);

impl PutId {
    /// Of the items that existed when the scenario began.
    pub const BEFORE: Self = Self(0);

    /// Of the scenario's push with this index.
    pub(crate) fn of(push: usize) -> Self {
        Self(u8::try_from(push + 1).unwrap_or(u8::MAX))
    }
}

/// The S3 key of a spilled body: `manifests/<repoId>/<hex>/<putId>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyKey {
    pub(crate) repo_id: RepoId,
    pub(crate) digest: Digest,
    pub(crate) put_id: PutId,
}

/// A set of digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digests(u8);

impl Digests {
    const ALL: [Digest; 5] = [Digest::A, Digest::B, Digest::C, Digest::I, Digest::J];

    pub(crate) fn of(digests: &[Digest]) -> Self {
        digests.iter().fold(Self::default(), |set, &digest| set.with(digest))
    }

    pub(crate) fn with(self, digest: Digest) -> Self {
        Self(self.0 | 1 << digest as u8)
    }

    pub(crate) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) fn contains(self, digest: Digest) -> bool {
        self.0 & 1 << digest as u8 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// In manifest order.
    pub(crate) fn iter(self) -> impl Iterator<Item = Digest> {
        Self::ALL.into_iter().filter(move |&digest| self.contains(digest))
    }
}

/// The repository's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Meta {
    pub(crate) repo_id: RepoId,
    pub(crate) rev: Rev,
    pub(crate) immutable: bool,
    pub(crate) image_count: u8,
    pub(crate) del_epoch: u8,
    pub(crate) big_indexes: Digests,
}

/// An image's item. `children` and `is_big_index` stand for its manifest's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Image {
    pub(crate) tag_count: u8,
    pub(crate) ref_count: u8,
    pub(crate) put_id: PutId,
    pub(crate) body_key: Option<BodyKey>,
    pub(crate) children: Digests,
    pub(crate) is_big_index: bool,
}

/// A tag's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagItem {
    pub(crate) digest: Digest,
    pub(crate) put_id: PutId,
}

/// The key of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The repository of the one name.
    Meta,
    /// An image.
    Image(RepoId, Digest),
    /// The body of an image that is not spilled.
    Manifest(RepoId, Digest),
    /// A tag.
    Tag(RepoId, Tag),
}

/// An item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each belongs to the key of its name")]
pub enum Item {
    Meta(Meta),
    Image(Image),
    Manifest,
    Tag(TagItem),
}

/// The table, item by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Store(pub(crate) BTreeMap<Key, Item>);

impl Store {
    pub(crate) fn get(&self, key: Key) -> Option<Item> {
        self.0.get(&key).copied()
    }

    pub(crate) fn put(&mut self, key: Key, item: Item) {
        self.0.insert(key, item);
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.0.remove(&key);
    }

    pub(crate) fn meta(&self) -> Option<Meta> {
        self.get(Key::Meta).and_then(Item::meta)
    }

    pub(crate) fn meta_mut(&mut self) -> Option<&mut Meta> {
        match self.0.get_mut(&Key::Meta) {
            Some(Item::Meta(meta)) => Some(meta),
            _ => None,
        }
    }

    pub(crate) fn image(&self, repo_id: RepoId, digest: Digest) -> Option<Image> {
        self.get(Key::Image(repo_id, digest)).and_then(Item::image)
    }

    pub(crate) fn image_mut(&mut self, repo_id: RepoId, digest: Digest) -> Option<&mut Image> {
        match self.0.get_mut(&Key::Image(repo_id, digest)) {
            Some(Item::Image(image)) => Some(image),
            _ => None,
        }
    }

    pub(crate) fn tag(&self, repo_id: RepoId, tag: Tag) -> Option<TagItem> {
        self.get(Key::Tag(repo_id, tag)).and_then(Item::tag)
    }

    /// The images of one incarnation.
    pub(crate) fn images(&self, of: RepoId) -> impl Iterator<Item = (Digest, Image)> {
        self.0.iter().filter_map(move |(&key, &item)| match (key, item) {
            (Key::Image(repo_id, digest), Item::Image(image)) if repo_id == of => {
                Some((digest, image))
            }
            _ => None,
        })
    }

    /// The tags of one incarnation.
    pub(crate) fn tags(&self, of: RepoId) -> impl Iterator<Item = (Tag, TagItem)> {
        self.0.iter().filter_map(move |(&key, &item)| match (key, item) {
            (Key::Tag(repo_id, tag), Item::Tag(item)) if repo_id == of => Some((tag, item)),
            _ => None,
        })
    }

    /// The keys under which this and another table differ.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.0.keys().chain(before.0.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|&key| self.get(key) != before.get(key));
        keys
    }
}

impl Key {
    /// The incarnation that the item belongs to; META belongs to the name.
    pub(crate) fn life(self) -> Option<RepoId> {
        match self {
            Self::Meta => None,
            Self::Image(repo_id, _) | Self::Manifest(repo_id, _) | Self::Tag(repo_id, _) => {
                Some(repo_id)
            }
        }
    }
}

impl Item {
    pub(crate) fn meta(self) -> Option<Meta> {
        match self {
            Self::Meta(meta) => Some(meta),
            _ => None,
        }
    }

    pub(crate) fn image(self) -> Option<Image> {
        match self {
            Self::Image(image) => Some(image),
            _ => None,
        }
    }

    pub(crate) fn tag(self) -> Option<TagItem> {
        match self {
            Self::Tag(tag) => Some(tag),
            _ => None,
        }
    }
}
