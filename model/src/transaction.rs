//! `TransactWriteItems`: all actions or none, in one step.

use crate::Protocol;
use crate::expressions::{Condition, Values};
use crate::mutants::Mutant;
use crate::rows::{Operation, Row};
use crate::store::{Item, Key, Store};

/// What is sent. A repetition sends the same value, never a new one.
#[derive(Debug)]
pub struct Transaction {
    pub(crate) values: Values,
    pub(crate) actions: Vec<Action>,
}

/// An action of a transaction.
#[derive(Debug)]
pub struct Action {
    pub(crate) row: &'static Row,
    pub(crate) key: Key,
    /// The item that a `Put` writes.
    pub(crate) item: Option<Item>,
}

/// Why a transaction was not applied.
#[derive(Debug)]
pub(crate) enum Cancelled {
    /// The rows whose conditions do not hold.
    ConditionalCheckFailed(Vec<&'static Row>),
    /// Two actions on one item, or arithmetic on a missing item: a request that should not exist.
    Invalid,
}

impl Transaction {
    pub(crate) fn apply(&self, store: &Store, protocol: &Protocol) -> Result<Store, Cancelled> {
        let mut keys: Vec<Key> = self.actions.iter().map(|action| action.key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() < self.actions.len() {
            return Err(Cancelled::Invalid);
        }
        let failed = |action: &&Action| !self.may(action, store.get(action.key), protocol);
        let failed: Vec<_> = self.actions.iter().filter(failed).map(|action| action.row).collect();
        if !failed.is_empty() {
            return Err(Cancelled::ConditionalCheckFailed(failed));
        }
        let mut after = store.clone();
        for action in &self.actions {
            let item = match action.row.operation {
                Operation::ConditionCheck => continue,
                Operation::Put => action.item,
                Operation::Update => self.updated(action, store.get(action.key), protocol),
            };
            after.put(action.key, item.ok_or(Cancelled::Invalid)?);
        }
        Ok(after)
    }

    fn may(&self, action: &Action, item: Option<Item>, protocol: &Protocol) -> bool {
        action.row.conditions.iter().all(|&condition| {
            protocol.has(Mutant::DropCondition(action.row.name, condition))
                || self.holds(condition, item, protocol)
        })
    }

    fn holds(&self, condition: Condition, item: Option<Item>, protocol: &Protocol) -> bool {
        match condition {
            Condition::SameRev if protocol.has(Mutant::RevIsACounter) => {
                let meta = item.and_then(Item::meta);
                meta.is_some_and(|meta| meta.rev.change == self.values.rev.change)
            }
            Condition::SamePutId if protocol.has(Mutant::TagMovesIfSameDigest) => {
                let seen = self.values.seen_tag.map(|tag| tag.digest);
                item.and_then(Item::tag).map(|tag| tag.digest) == seen
            }
            _ => condition.holds(item, &self.values),
        }
    }

    fn updated(&self, action: &Action, item: Option<Item>, protocol: &Protocol) -> Option<Item> {
        let made = |update: &&_| !protocol.has(Mutant::DropUpdate(action.row.name, **update));
        let mut updates = action.row.updates.iter().filter(made);
        updates.try_fold(item, |item, update| Some(Some(update.apply(item, &self.values)?)))?
    }
}
