//! The terms of condition and update expressions: their text and their meaning.

use crate::store::{Digest, Item, Rev, TagItem};

/// One term of a condition expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The repository exists, in the same incarnation and with the settings that were read.
    SameRev,
    /// One image more is allowed.
    BelowImageLimit,
    /// No image was deleted since META was read.
    SameDelEpoch,
    /// One big index more is allowed.
    BelowBigIndexLimit,
    /// The item does not exist.
    Absent,
    /// The item exists.
    Present,
    /// One tag more is allowed.
    BelowTagLimit,
    /// The tag was not written since it was read.
    SamePutId,
}

/// One assignment of an update expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the expression's text says it")]
pub enum Update {
    CountImage,
    AddBigIndex,
    CountTag,
    UncountTag,
    CountReference,
}

/// The bound values of a transaction, under their names in the expressions.
#[derive(Debug, Clone, Copy)]
pub struct Values {
    pub(crate) rev: Rev,
    pub(crate) image_limit: u8,
    pub(crate) tag_limit: u8,
    pub(crate) seen: u8,
    pub(crate) max: usize,
    pub(crate) seen_tag: Option<TagItem>,
    pub(crate) digest: Digest,
}

impl Condition {
    /// Its text in the expression.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::SameRev => "rev = :rev",
            Self::BelowImageLimit => "imageCount < :imageLimit",
            Self::SameDelEpoch => "delEpoch = :seen",
            Self::BelowBigIndexLimit => {
                "(attribute_not_exists(bigIndexes) OR size(bigIndexes) < :max)"
            }
            Self::Absent => "attribute_not_exists(PK)",
            Self::Present => "attribute_exists(PK)",
            Self::BelowTagLimit => "tagCount < :tagLimit",
            Self::SamePutId => "putId = :seenPutId",
        }
    }

    /// Whether it holds for an item. As in `DynamoDB`, a comparison with a missing attribute is
    /// false, not an error.
    pub(crate) fn holds(self, item: Option<Item>, values: &Values) -> bool {
        let meta = item.and_then(Item::meta);
        match self {
            Self::SameRev => meta.is_some_and(|meta| meta.rev == values.rev),
            Self::BelowImageLimit => meta.is_some_and(|meta| meta.image_count < values.image_limit),
            Self::SameDelEpoch => meta.is_some_and(|meta| meta.del_epoch == values.seen),
            Self::BelowBigIndexLimit => meta.is_none_or(|meta| meta.big_indexes.len() < values.max),
            Self::Absent => item.is_none(),
            Self::Present => item.is_some(),
            Self::BelowTagLimit => {
                item.and_then(Item::image).is_some_and(|image| image.tag_count < values.tag_limit)
            }
            Self::SamePutId => {
                let put_id = |tag: TagItem| tag.put_id;
                item.and_then(Item::tag).map(put_id) == values.seen_tag.map(put_id)
            }
        }
    }
}

impl Update {
    /// Its text in the expression, with the clause's keyword.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::CountImage => "SET imageCount = imageCount + :one",
            Self::AddBigIndex => "ADD bigIndexes :digests",
            Self::CountTag => "SET tagCount = tagCount + :one",
            Self::UncountTag => "SET tagCount = tagCount - :one",
            Self::CountReference => "SET refCount = refCount + :one",
        }
    }

    /// Makes the assignment. `None` for arithmetic on a missing attribute, and so on a missing
    /// item: `DynamoDB` returns `ValidationError`.
    pub(crate) fn apply(self, item: Option<Item>, values: &Values) -> Option<Item> {
        match item? {
            Item::Meta(mut meta) => {
                match self {
                    Self::CountImage => meta.image_count += 1,
                    Self::AddBigIndex => meta.big_indexes = meta.big_indexes.with(values.digest),
                    _ => return None,
                }
                Some(Item::Meta(meta))
            }
            Item::Image(mut image) => {
                match self {
                    Self::CountTag => image.tag_count += 1,
                    // A mutant can count below zero. The invariants find the wrong count.
                    Self::UncountTag => image.tag_count = image.tag_count.wrapping_sub(1),
                    Self::CountReference => image.ref_count += 1,
                    _ => return None,
                }
                Some(Item::Image(image))
            }
            Item::Manifest | Item::Tag(_) => None,
        }
    }
}
