//! The transaction's rows (section 3). The model executes the same conditions and updates whose
//! text the function sends.
//!
//! `tests/model_agrees.rs` of the function's package compares [`ROWS`] with what real pushes send,
//! in both directions.

use crate::expressions::{Condition, Update};

/// One action of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in section 3; `5+6` is a row 5 that is also a row 6.
    pub name: &'static str,
    /// What `DynamoDB` does with the item.
    pub operation: Operation,
    /// The item's kind.
    pub item: ItemKind,
    /// The conditions, all of which must hold.
    pub conditions: &'static [Condition],
    /// The assignments of an `Update`.
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

pub(crate) static COUNT_IMAGE: Row = Row {
    name: "1",
    operation: Operation::Update,
    item: ItemKind::Meta,
    conditions: &[Condition::SameRev, Condition::BelowImageLimit],
    updates: &[Update::CountImage],
    present: "the image is new, and not an index of more than 90 children",
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
    present: "the tag moves from an image that is not a child",
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
