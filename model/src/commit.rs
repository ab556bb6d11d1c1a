//! What a push writes: section 3's rows, chosen by what was read.

use crate::Protocol;
use crate::decision::{Answer, Snapshot};
use crate::expressions::Values;
use crate::mutants::Mutant;
use crate::push::PushSpec;
use crate::rows::{self, Row};
use crate::store::{BodyKey, Digests, Image, Item, Key, PutId, RepoId, Store, TagItem};
use crate::transaction::{Action, Cancelled, Transaction};

/// What an attempt keeps when it sends its transaction. The transaction is a function of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sent {
    pub(crate) repo_id: RepoId,
    pub(crate) seen: Snapshot,
    pub(crate) body_key: Option<BodyKey>,
}

impl Sent {
    /// The table after the transaction, or why the transaction is not applied.
    pub(crate) fn apply(
        &self,
        push: PushSpec,
        put_id: PutId,
        protocol: &Protocol,
        store: &Store,
    ) -> Result<Store, Cancelled> {
        let transaction = self.transaction(push, put_id, protocol).ok_or(Cancelled::Invalid)?;
        transaction.apply(store, protocol)
    }

    /// `None` if META was not read, which no decision to commit allows.
    fn transaction(
        &self,
        push: PushSpec,
        put_id: PutId,
        protocol: &Protocol,
    ) -> Option<Transaction> {
        let (repo_id, seen) = (self.repo_id, &self.seen);
        let meta = seen.meta.there()?;
        let limits = &protocol.scenario.limits;
        let values = Values {
            rev: meta.rev,
            image_limit: limits.images,
            tag_limit: limits.tags,
            seen: meta.del_epoch,
            max: limits.big_indexes,
            seen_tag: seen.tag.there(),
            digest: push.digest,
        };
        let image_key = Key::Image(repo_id, push.digest);
        let is_new = seen.image.there().is_none();
        let moved_from = push.tag.and(seen.tag.there()).map(|tag| tag.digest);
        let mut actions = Vec::new();
        let mut add = |row: &'static Row, key: Key, item: Option<Item>| {
            actions.push(Action { row, key, item });
        };

        if is_new {
            let count = if push.is_big_index { &rows::COUNT_BIG_INDEX } else { &rows::COUNT_IMAGE };
            add(count, Key::Meta, None);
            let image = Image {
                tag_count: u8::from(push.tag.is_some()),
                ref_count: 0,
                put_id,
                body_key: self.body_key,
                children: push.children,
                is_big_index: push.is_big_index,
            };
            add(&rows::PUT_IMAGE, image_key, Some(Item::Image(image)));
            if self.body_key.is_none() {
                let key = Key::Manifest(repo_id, push.digest);
                add(&rows::PUT_MANIFEST, key, Some(Item::Manifest));
            }
        } else {
            add(&rows::CHECK_SETTINGS, Key::Meta, None);
            add(&rows::COUNT_TAG, image_key, None);
        }

        if let Some(tag) = push.tag {
            let row = if moved_from.is_some() { &rows::MOVE_TAG } else { &rows::PUT_TAG };
            let item = TagItem { digest: push.digest, put_id };
            add(row, Key::Tag(repo_id, tag), Some(Item::Tag(item)));
        }

        let counted = if is_new && !push.is_big_index { push.children } else { Digests::default() };
        let merges = !protocol.has(Mutant::TwoActionsOnAChild);
        if let Some(old) = moved_from {
            let is_child = merges && counted.contains(old);
            let row = if is_child { &rows::UNCOUNT_TAG_OF_CHILD } else { &rows::UNCOUNT_TAG };
            add(row, Key::Image(repo_id, old), None);
        }
        for child in counted.iter().filter(|&child| !(merges && Some(child) == moved_from)) {
            add(&rows::COUNT_REFERENCE, Key::Image(repo_id, child), None);
        }
        Some(Transaction { values, actions })
    }
}

impl Row {
    /// The response of the mutant that decides from a cancellation, if this row's condition failed.
    pub(crate) fn refusal(&self) -> Option<Answer> {
        match self.name {
            "1" => Some(Answer::TooManyImages),
            "2'" => Some(Answer::TooManyTags),
            "6" => Some(Answer::ReferencedImagesNotFound),
            _ => None,
        }
    }
}

/// The rows that a push sends in one situation.
#[derive(Debug)]
pub struct Situation {
    /// What is pushed, and what the table holds.
    pub name: &'static str,
    /// The names of its rows, in the order in which they are sent.
    pub rows: &'static [&'static str],
}

/// Every form of a transaction. Tests compare both the model and the function with this table.
pub static SITUATIONS: [Situation; 10] = [
    Situation { name: "new", rows: &["1", "2", "3"] },
    Situation { name: "new, with a new tag", rows: &["1", "2", "3", "4"] },
    Situation { name: "new, and takes a tag", rows: &["1", "2", "3", "4'", "5"] },
    Situation { name: "stored, with a new tag", rows: &["1'", "2'", "4"] },
    Situation { name: "stored, and takes a tag", rows: &["1'", "2'", "4'", "5"] },
    Situation { name: "new and spilled", rows: &["1", "2", "4"] },
    Situation { name: "an index", rows: &["1", "2", "3", "4", "6", "6"] },
    Situation {
        name: "an index that takes a child's tag",
        rows: &["1", "2", "3", "4'", "5+6", "6"],
    },
    Situation { name: "a big index", rows: &["1+7", "2", "3", "4"] },
    Situation { name: "a stored index, and takes a child's tag", rows: &["1'", "2'", "4'", "5"] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Seen;
    use crate::scenario::{big_index, index, scenario, spilled, tagged, untagged};
    use crate::store::{Digest, Meta, Tag};

    fn sends(push: PushSpec, is_stored: bool, named: Option<Digest>) -> Vec<&'static str> {
        let repo_id = RepoId(1);
        let tag = |digest| TagItem { digest, put_id: PutId::BEFORE };
        let seen = Snapshot {
            meta: Seen::There(Meta::new(repo_id, false)),
            tag: named.map(tag).into(),
            image: is_stored.then_some(1).into(),
            ..Snapshot::default()
        };
        let body_key = push.is_spilled.then_some(BodyKey {
            repo_id,
            digest: push.digest,
            put_id: PutId::of(0),
        });
        let protocol = Protocol { scenario: scenario("", [push], []), mutant: None };
        let sent = Sent { repo_id, seen, body_key };
        let transaction = sent.transaction(push, PutId::of(0), &protocol).unwrap();
        transaction.actions.iter().map(|action| action.row.name).collect()
    }

    #[test]
    fn the_model_sends_the_rows_of_its_situation() {
        let (a, b, i, v) = (Digest::A, Digest::B, Digest::I, Tag::V);
        let (small, big) = (index(i, v, &[a, b]), big_index(i, v, &[a, b]));
        let sent = [
            sends(untagged(a), false, None),
            sends(tagged(a, v), false, None),
            sends(tagged(a, v), false, Some(b)),
            sends(tagged(a, v), true, None),
            sends(tagged(a, v), true, Some(b)),
            sends(spilled(a, v), false, None),
            sends(small, false, None),
            sends(small, false, Some(a)),
            sends(big, false, None),
            sends(small, true, Some(a)),
        ];
        for (situation, sent) in SITUATIONS.iter().zip(sent) {
            assert_eq!(sent, situation.rows, "{}", situation.name);
        }
    }
}
