//! Every small situation that a push can read, with the model's decision. The function's decisions
//! are compared with these.

use crate::decision::{Answer, Decision, Seen, Snapshot, decide};
use crate::push::PushSpec;
use crate::scenario::Limits;
use crate::store::{Digest, Digests, Meta, PutId, RepoId, Rev, Tag, TagItem};

/// The quota of images in every situation.
pub const IMAGES: u8 = 2;
/// The quota of tags per image.
pub const TAGS: u8 = 2;
/// The quota of big indexes.
pub const BIG_INDEXES: u8 = 2;

/// The image that a tag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named for what they are")]
pub enum Named {
    Nothing,
    ThisImage,
    AnotherImage,
}

/// What one read shows of a repository that exists, and the push that read it.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// What the pushed tag names; `None` for a push without a tag.
    pub tag: Option<Named>,
    /// The tags of the image, if it is stored.
    pub image: Option<u8>,
    /// Whether a child is missing.
    pub misses_child: bool,
    /// Whether it is an index of more than 90 children.
    pub is_big_index: bool,
    /// Whether the repository's tags are immutable.
    pub immutable: bool,
    /// Images in the repository.
    pub images: u8,
    /// Big indexes in the repository.
    pub big_indexes: u8,
}

impl Situation {
    /// All situations.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let named = [Named::Nothing, Named::ThisImage, Named::AnotherImage];
        let tags = [None].into_iter().chain(named.map(Some));
        let mut all = Vec::new();
        for tag in tags {
            for image in [None, Some(0), Some(1), Some(TAGS)] {
                for bits in 0..8_u8 {
                    for images in 0..=IMAGES {
                        for big_indexes in 0..=BIG_INDEXES {
                            all.push(Self {
                                tag,
                                image,
                                misses_child: bits & 1 != 0,
                                is_big_index: bits & 2 != 0,
                                immutable: bits & 4 != 0,
                                images,
                                big_indexes,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    /// The model's decision; [`Answer::Success`] if it commits.
    #[must_use]
    pub fn decision(&self) -> Answer {
        let repo_id = RepoId(0);
        let push = PushSpec {
            digest: Digest::I,
            tag: self.tag.map(|_| Tag::V),
            children: Digests::of(&[Digest::A]),
            is_big_index: self.is_big_index,
            is_spilled: false,
            is_warm: true,
        };
        let limits = Limits { images: IMAGES, tags: TAGS, big_indexes: usize::from(BIG_INDEXES) };
        let held = [Digest::B, Digest::C];
        let meta = Meta {
            repo_id,
            rev: Rev { life: repo_id, change: 0 },
            immutable: self.immutable,
            image_count: self.images,
            del_epoch: 0,
            big_indexes: Digests::of(held.get(..self.big_indexes.into()).unwrap_or(&held)),
        };
        let tag = self.tag.and_then(|named| match named {
            Named::Nothing => None,
            Named::ThisImage => Some(Digest::I),
            Named::AnotherImage => Some(Digest::J),
        });
        let seen = Snapshot {
            meta: Seen::There(meta),
            tag: tag.map(|digest| TagItem { digest, put_id: PutId::BEFORE }).into(),
            image: self.image.into(),
            looked_for: push.children,
            missing: if self.misses_child { push.children } else { Digests::default() },
        };
        match decide(push, &limits, Some(repo_id), &seen) {
            Decision::Refuse(answer) => answer,
            Decision::Commit(_) => Answer::Success,
            Decision::Stale(_) => Answer::ServerException,
        }
    }
}
