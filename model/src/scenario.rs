//! A few actors on a small repository, and functions to build them.

use crate::environment::Other;
use crate::push::PushSpec;
use crate::state::Adversary;
use crate::store::{Digest, Digests, Image, Item, Key, Meta, PutId, RepoId, Store, Tag, TagItem};

/// A few actors on a small repository.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name in tables and tests.
    pub name: &'static str,
    /// Whether its transactions become visible item by item.
    pub is_item_by_item: bool,
    pub(crate) is_immutable: bool,
    pub(crate) images: Vec<Held>,
    pub(crate) tags: &'static [(Tag, Digest)],
    pub(crate) limits: Limits,
    pub(crate) pushes: Vec<PushSpec>,
    pub(crate) others: Vec<Other>,
    pub(crate) attempts: u8,
    pub(crate) adversary: Adversary,
}

/// An image that exists at the beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) digest: Digest,
    pub(crate) children: Digests,
    pub(crate) is_big_index: bool,
}

/// Quotas, from the service's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub(crate) images: u8,
    pub(crate) tags: u8,
    pub(crate) big_indexes: usize,
}

pub(crate) fn scenario(
    name: &'static str,
    pushes: impl IntoIterator<Item = PushSpec>,
    others: impl IntoIterator<Item = Other>,
) -> Scenario {
    Scenario {
        name,
        is_item_by_item: false,
        is_immutable: false,
        images: Vec::new(),
        tags: &[],
        limits: Limits { images: 8, tags: 2, big_indexes: 8 },
        pushes: pushes.into_iter().collect(),
        others: others.into_iter().collect(),
        attempts: 3,
        adversary: Adversary { crashes: 1, losses: 1, delays: 0 },
    }
}

impl Scenario {
    pub(crate) fn immutable(mut self) -> Self {
        self.is_immutable = true;
        self
    }

    pub(crate) fn holding(mut self, digests: &[Digest]) -> Self {
        let held = |&digest| Held { digest, children: Digests::default(), is_big_index: false };
        self.images.extend(digests.iter().map(held));
        self
    }

    pub(crate) fn holding_index(
        mut self,
        digest: Digest,
        children: &[Digest],
        is_big_index: bool,
    ) -> Self {
        self.images.push(Held { digest, children: Digests::of(children), is_big_index });
        self
    }

    pub(crate) fn tagged(mut self, tags: &'static [(Tag, Digest)]) -> Self {
        self.tags = tags;
        self
    }

    pub(crate) fn image_limit(mut self, images: u8) -> Self {
        self.limits.images = images;
        self
    }

    pub(crate) fn big_index_limit(mut self, big_indexes: usize) -> Self {
        self.limits.big_indexes = big_indexes;
        self
    }

    pub(crate) fn attempts(mut self, attempts: u8) -> Self {
        self.attempts = attempts;
        self
    }

    pub(crate) fn late_copies(mut self) -> Self {
        self.adversary.delays = 1;
        self
    }

    /// The same, with transactions that become visible to plain reads item by item.
    #[must_use]
    pub fn item_by_item(mut self) -> Self {
        self.is_item_by_item = true;
        self
    }

    /// The same, with two losses and two late copies instead of one.
    #[must_use]
    pub fn twice_as_lossy(mut self) -> Self {
        self.adversary.losses = 2;
        self.adversary.delays = 2;
        self.attempts = 2;
        self
    }

    /// The table at the beginning.
    pub(crate) fn store(&self) -> Store {
        let repo_id = RepoId(1);
        let mut store = Store::default();
        let mut meta = Meta::new(repo_id, self.is_immutable);
        for held in &self.images {
            let tags = self.tags.iter().filter(|(_, digest)| *digest == held.digest).count();
            let counted =
                |other: &&Held| !other.is_big_index && other.children.contains(held.digest);
            let image = Image {
                tag_count: u8::try_from(tags).unwrap_or(u8::MAX),
                ref_count: u8::try_from(self.images.iter().filter(counted).count()).unwrap_or(0),
                put_id: PutId::BEFORE,
                body_key: None,
                children: held.children,
                is_big_index: held.is_big_index,
            };
            store.put(Key::Image(repo_id, held.digest), Item::Image(image));
            store.put(Key::Manifest(repo_id, held.digest), Item::Manifest);
            meta.image_count += 1;
            if held.is_big_index {
                meta.big_indexes = meta.big_indexes.with(held.digest);
            }
        }
        for &(tag, digest) in self.tags {
            let item = TagItem { digest, put_id: PutId::BEFORE };
            store.put(Key::Tag(repo_id, tag), Item::Tag(item));
        }
        store.put(Key::Meta, Item::Meta(meta));
        store
    }

    /// Whether late copies arrive.
    #[must_use]
    pub fn has_late_copies(&self) -> bool {
        self.adversary.delays > 0
    }
}

pub(crate) fn push(digest: Digest, tag: Option<Tag>) -> PushSpec {
    PushSpec {
        digest,
        tag,
        children: Digests::default(),
        is_big_index: false,
        is_spilled: false,
        is_warm: true,
    }
}

pub(crate) fn tagged(digest: Digest, tag: Tag) -> PushSpec {
    push(digest, Some(tag))
}

pub(crate) fn untagged(digest: Digest) -> PushSpec {
    push(digest, None)
}

pub(crate) fn index(digest: Digest, tag: Tag, children: &[Digest]) -> PushSpec {
    PushSpec { children: Digests::of(children), ..tagged(digest, tag) }
}

pub(crate) fn big_index(digest: Digest, tag: Tag, children: &[Digest]) -> PushSpec {
    PushSpec { is_big_index: true, ..index(digest, tag, children) }
}

pub(crate) fn spilled(digest: Digest, tag: Tag) -> PushSpec {
    PushSpec { is_spilled: true, ..tagged(digest, tag) }
}

pub(crate) fn cold(push: PushSpec) -> PushSpec {
    PushSpec { is_warm: false, ..push }
}
