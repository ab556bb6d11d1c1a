//! The transaction's rows (section 3), once: the conditions and updates that the model executes
//! are the ones whose text the function sends.
//!
//! `tests/model_agrees.rs` of the function's package compares [`ROWS`] with what real pushes send,
//! both ways.

use crate::store::{Digest, Item, Rev, TagItem};

/// One action of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in section 3; `5+6` is a row 5 that is a row 6 too.
    pub name: &'static str,
    /// What `DynamoDB` is asked to do.
    pub operation: Operation,
    /// To which item.
    pub item: ItemKind,
    /// If all of these hold.
    pub conditions: &'static [Condition],
    /// What becomes of an item that is updated.
    pub updates: &'static [Update],
    /// When the row is part of a transaction.
    pub present: &'static str,
}

/// The member of a `TransactWriteItem` that holds an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the API's names")]
pub enum Operation {
    Put,
    Update,
    ConditionCheck,
}

/// An item's kind, by its sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table's items")]
pub enum ItemKind {
    Meta,
    Image,
    Manifest,
    Tag,
}

impl ItemKind {
    /// How the sort key begins.
    #[must_use]
    pub fn sort_key_prefix(self) -> &'static str {
        match self {
            Self::Meta => "#META",
            Self::Image => "IMAGE#",
            Self::Manifest => "MANIFEST#",
            Self::Tag => "TAG#",
        }
    }
}

/// One term of a condition expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The repository is there, in the same life, with the settings that were read.
    SameRev,
    /// One image more is allowed.
    BelowImageLimit,
    /// No image was deleted since META was read.
    SameDelEpoch,
    /// One big index more is allowed.
    BelowBigIndexLimit,
    /// There is no such item.
    Absent,
    /// There is such an item.
    Present,
    /// One tag more is allowed.
    BelowTagLimit,
    /// The tag is still as the push that was seen made it.
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

pub(crate) static COUNT_IMAGE: Row = Row {
    name: "1",
    operation: Operation::Update,
    item: ItemKind::Meta,
    conditions: &[Condition::SameRev, Condition::BelowImageLimit],
    updates: &[Update::CountImage],
    present: "the image is new, and no index of more than 90 children",
};
pub(crate) static COUNT_BIG_INDEX: Row = Row {
    name: "1+7",
    operation: Operation::Update,
    item: ItemKind::Meta,
    conditions: &[
        Condition::SameRev,
        Condition::BelowImageLimit,
        Condition::SameDelEpoch,
        Condition::BelowBigIndexLimit,
    ],
    updates: &[Update::CountImage, Update::AddBigIndex],
    present: "the image is a new index of more than 90 children",
};
pub(crate) static CHECK_SETTINGS: Row = Row {
    name: "1'",
    operation: Operation::ConditionCheck,
    item: ItemKind::Meta,
    conditions: &[Condition::SameRev],
    updates: &[],
    present: "the image exists",
};
pub(crate) static PUT_IMAGE: Row = Row {
    name: "2",
    operation: Operation::Put,
    item: ItemKind::Image,
    conditions: &[Condition::Absent],
    updates: &[],
    present: "the image is new",
};
pub(crate) static COUNT_TAG: Row = Row {
    name: "2'",
    operation: Operation::Update,
    item: ItemKind::Image,
    conditions: &[Condition::Present, Condition::BelowTagLimit],
    updates: &[Update::CountTag],
    present: "the image exists",
};
pub(crate) static PUT_MANIFEST: Row = Row {
    name: "3",
    operation: Operation::Put,
    item: ItemKind::Manifest,
    conditions: &[Condition::Absent],
    updates: &[],
    present: "the image is new, and its body not spilled",
};
pub(crate) static PUT_TAG: Row = Row {
    name: "4",
    operation: Operation::Put,
    item: ItemKind::Tag,
    conditions: &[Condition::Absent],
    updates: &[],
    present: "a tag is given that was absent",
};
pub(crate) static MOVE_TAG: Row = Row {
    name: "4'",
    operation: Operation::Put,
    item: ItemKind::Tag,
    conditions: &[Condition::SamePutId],
    updates: &[],
    present: "a tag is given that named another image",
};
pub(crate) static UNCOUNT_TAG: Row = Row {
    name: "5",
    operation: Operation::Update,
    item: ItemKind::Image,
    conditions: &[Condition::Present],
    updates: &[Update::UncountTag],
    present: "the tag moves from an image that is no child",
};
pub(crate) static UNCOUNT_TAG_OF_CHILD: Row = Row {
    name: "5+6",
    operation: Operation::Update,
    item: ItemKind::Image,
    conditions: &[Condition::Present],
    updates: &[Update::UncountTag, Update::CountReference],
    present: "the tag moves from a child of the new index",
};
pub(crate) static COUNT_REFERENCE: Row = Row {
    name: "6",
    operation: Operation::Update,
    item: ItemKind::Image,
    conditions: &[Condition::Present],
    updates: &[Update::CountReference],
    present: "each other child of a new index of up to 90 children",
};

/// All rows of section 3.
pub static ROWS: [&Row; 11] = [
    &COUNT_IMAGE,
    &COUNT_BIG_INDEX,
    &CHECK_SETTINGS,
    &PUT_IMAGE,
    &COUNT_TAG,
    &PUT_MANIFEST,
    &PUT_TAG,
    &MOVE_TAG,
    &UNCOUNT_TAG,
    &UNCOUNT_TAG_OF_CHILD,
    &COUNT_REFERENCE,
];

impl Row {
    /// The text of `ConditionExpression`.
    #[must_use]
    pub fn condition_expression(&self) -> String {
        let terms: Vec<&str> = self.conditions.iter().map(|condition| condition.text()).collect();
        terms.join(" AND ")
    }

    /// The text of `UpdateExpression`; `None` where the row updates nothing.
    #[must_use]
    pub fn update_expression(&self) -> Option<String> {
        let clause = |keyword: &str| {
            let of = |update: &Update| update.text().strip_prefix(keyword);
            let assignments: Vec<&str> = self.updates.iter().filter_map(of).collect();
            (!assignments.is_empty()).then(|| format!("{keyword}{}", assignments.join(", ")))
        };
        let clauses: Vec<String> = ["SET ", "ADD "].into_iter().filter_map(clause).collect();
        (!clauses.is_empty()).then(|| clauses.join(" "))
    }
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

    /// Whether it holds of an item. As in `DynamoDB`, a comparison with an attribute that is not
    /// there is false, not an error.
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

    /// Makes the assignment. Arithmetic on an attribute that is not there, so on an item that is
    /// not there, is `None`: `DynamoDB` answers with `ValidationError`.
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
                    // Below nothing, and wrong: a mutant can get there.
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
