//! One instant: the table, the bodies, the state of every actor, and what the adversary may still
//! do.

use std::collections::BTreeSet;

use crate::Protocol;
use crate::decision::{Answer, Answers, specification};
use crate::deleter::Deleter;
use crate::environment::Sweeper;
use crate::push::{LateCopy, Push, Stage, Token};
use crate::store::{BodyKey, Item, Key, PutId, Store};

/// One instant of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(crate) store: Store,
    pub(crate) bodies: BTreeSet<BodyKey>,
    /// The scenario's pushes, then its others.
    pub(crate) actors: Vec<Actor>,
    /// Requests that the network still holds, sorted.
    pub(crate) late_copies: Vec<LateCopy>,
    /// Transactions that were applied, sorted: `DynamoDB`'s record of tokens.
    pub(crate) commits: Vec<Token>,
    pub(crate) left: Adversary,
    /// A transaction that is not yet visible to all reads.
    pub(crate) torn: Option<Torn>,
    /// The promise that the last step broke.
    pub(crate) fault: Option<Fault>,
}

/// How often the adversary may still do each of these, at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adversary {
    /// Calls that end without a response, at any step.
    pub(crate) crashes: u8,
    /// Responses to a transaction that are lost, whether it was applied or not.
    pub(crate) losses: u8,
    /// Lost requests of which a copy arrives later, at any time.
    pub(crate) delays: u8,
}

/// The state of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// One call of `PutImage`.
    Push(Push),
    /// Other APIs' transactions, one after another: the number of the next.
    Script(usize),
    /// A deletion by digest that reads before it writes.
    Deleter(Deleter),
    /// A sweep of spilled bodies.
    Sweeper(Sweeper),
}

/// A transaction that is applied while plain reads still return some of its items as they were. Its
/// sender has no response yet, and other transactions on its items conflict with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Torn {
    pub(crate) writer: usize,
    pub(crate) items: Vec<TornItem>,
}

/// An item of a torn transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TornItem {
    pub(crate) key: Key,
    pub(crate) before: Option<Item>,
    pub(crate) is_hidden: bool,
}

/// A promise that is broken by a step rather than by a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A push was applied where this is the specification's result.
    CommitInsteadOf(Answer),
    /// A push was applied twice.
    CommittedTwice,
    /// A push was applied after it was rejected with this.
    CommitAfter(Answer),
    /// A success was returned for a push that was applied never, or twice.
    SuccessWithoutOneCommit,
    /// A push was rejected with this although it was applied.
    RefusalOfACommit(Answer),
    /// A push was rejected with this, which was the specification's result at no instant of the
    /// call.
    NeverRight(Answer),
    /// A tag moved although the settings of that instant forbade it.
    ImmutableTagMoved,
    /// A transaction that `DynamoDB` rejects as invalid.
    InvalidTransaction,
}

impl State {
    /// What a plain read of `key` returns.
    pub(crate) fn read(&self, key: Key) -> Option<Item> {
        let torn = self.torn.as_ref().and_then(|torn| torn.item(key));
        match torn {
            Some(item) if item.is_hidden => item.before,
            _ => self.store.get(key),
        }
    }

    /// The table as plain reads see it.
    pub(crate) fn visible(&self) -> Store {
        self.torn.as_ref().map_or_else(
            || self.store.clone(),
            |torn| torn.before(&self.store, |item| item.is_hidden),
        )
    }

    /// Whether a transaction on `key` would conflict with the torn one.
    pub(crate) fn is_contended(&self, key: Key) -> bool {
        self.torn.as_ref().is_some_and(|torn| torn.item(key).is_some())
    }

    /// The specification's results for a push now. While a transaction is torn, the table before it
    /// and the table after it both count as now.
    pub(crate) fn right_now(&self, push: usize, protocol: &Protocol) -> Answers {
        let Some(&spec) = protocol.scenario.pushes.get(push) else { return Answers::default() };
        let right = |store: &Store| specification(spec, &protocol.scenario.limits, store);
        let answers = Answers::default().with(right(&self.store));
        match &self.torn {
            Some(torn) => answers.with(right(&torn.before(&self.store, |_| true))),
            None => answers,
        }
    }

    pub(crate) fn pushes(&self) -> impl Iterator<Item = (usize, &Push)> {
        self.actors.iter().enumerate().filter_map(|(index, actor)| match actor {
            Actor::Push(push) => Some((index, push)),
            _ => None,
        })
    }

    /// How often a push was applied.
    pub(crate) fn commits_of(&self, push: usize) -> usize {
        self.commits.iter().filter(|token| token.push == push).count()
    }

    /// A push's transaction turns the table into `after`.
    pub(crate) fn land(&mut self, token: Token, after: Store, protocol: &Protocol) {
        if let Some(&spec) = protocol.scenario.pushes.get(token.push) {
            let right = specification(spec, &protocol.scenario.limits, &self.store);
            if right != Answer::Success {
                self.blame(Fault::CommitInsteadOf(right));
            }
        }
        if self.commits_of(token.push) > 0 {
            self.blame(Fault::CommittedTwice);
        }
        if let Some(Actor::Push(Push { answer: Some(answer), .. })) = self.actors.get(token.push)
            && answer.is_refusal()
        {
            self.blame(Fault::CommitAfter(*answer));
        }
        self.store = after;
        self.commits.push(token);
        self.commits.sort_unstable();
    }

    /// Keeps the first fault of a step.
    pub(crate) fn blame(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// What must be done after every step, of whichever actor.
    pub(crate) fn settle(&mut self, before: &State, protocol: &Protocol) {
        if self.store != before.store && moves_an_immutable_tag(&before.store, &self.store) {
            self.blame(Fault::ImmutableTagMoved);
        }
        for index in 0..protocol.scenario.pushes.len() {
            let right = self.right_now(index, protocol);
            if let Some(Actor::Push(push)) = self.actors.get_mut(index)
                && push.is_running()
            {
                push.right = push.right.and(right);
            }
        }
    }

    /// Whether a body may be swept: its call has ended, and no request that names it can still
    /// arrive. In the service both are true after 24 hours.
    pub(crate) fn is_old(&self, body: BodyKey) -> bool {
        let writer = self.torn.as_ref().map(|torn| torn.writer);
        let is_open = |(index, push): (usize, &Push)| {
            PutId::of(index) == body.put_id && (push.stage != Stage::Done || writer == Some(index))
        };
        !self.pushes().any(is_open)
            && !self.late_copies.iter().any(|copy| copy.sent.body_key == Some(body))
    }
}

fn moves_an_immutable_tag(before: &Store, after: &Store) -> bool {
    let (Some(was), Some(is)) = (before.meta(), after.meta()) else { return false };
    was.immutable
        && was.repo_id == is.repo_id
        && before.tags(was.repo_id).any(|(tag, item)| {
            after.tag(is.repo_id, tag).is_some_and(|now| now.digest != item.digest)
        })
}

impl Torn {
    /// The step from `before` to `after`, of which nothing is visible yet.
    pub(crate) fn between(before: &Store, after: &Store, writer: usize) -> Self {
        let item = |key| TornItem { key, before: before.get(key), is_hidden: true };
        Self { writer, items: after.changed_since(before).into_iter().map(item).collect() }
    }

    fn item(&self, key: Key) -> Option<&TornItem> {
        self.items.iter().find(|item| item.key == key)
    }

    fn before(&self, store: &Store, which: impl Fn(&TornItem) -> bool) -> Store {
        let mut before = store.clone();
        for item in self.items.iter().filter(|item| which(item)) {
            match item.before {
                Some(old) => before.put(item.key, old),
                None => before.remove(item.key),
            }
        }
        before
    }
}
