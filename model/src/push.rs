//! One call of `PutImage`: read, decide, put the body, commit, replay (sections 2 to 6).

use crate::Protocol;
use crate::commit::Sent;
use crate::decision::{Answer, Answers, Snapshot};
use crate::mutants::Mutant;
use crate::state::State;
use crate::store::{BodyKey, Digest, Digests, PutId, RepoId, Store, Tag};
use crate::transaction::Cancelled;

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub struct PushSpec {
    pub(crate) digest: Digest,
    pub(crate) tag: Option<Tag>,
    pub(crate) children: Digests,
    /// Stands for more than 90 children: they are not counted but guarded by `delEpoch`.
    pub(crate) is_big_index: bool,
    /// Its body does not fit an item.
    pub(crate) is_spilled: bool,
    /// The process remembers the repository's id, that of the first incarnation.
    pub(crate) is_warm: bool,
}

/// A call in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Push {
    pub(crate) stage: Stage,
    pub(crate) attempt: u8,
    pub(crate) repo_id: Option<RepoId>,
    pub(crate) seen: Snapshot,
    pub(crate) body_key: Option<BodyKey>,
    /// The specification's results for the call at every instant since it began. Only the
    /// invariants use this.
    pub(crate) right: Answers,
    pub(crate) answer: Option<Answer>,
}

/// What a call does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Not begun.
    Idle,
    /// Trip 1: the batch.
    Read,
    /// Trip 1: a big index's children.
    ReadChildren,
    /// Read everything again at one instant.
    Confirm,
    /// Spill the body.
    PutBody,
    /// Trip 2.
    Send,
    /// Repeat trip 2, whose outcome is unknown.
    Replay,
    /// A mutant's: delete the body after a failure.
    DeleteBody,
    /// Ended with a response, or crashed.
    Done,
}

/// Names a transaction: `ClientRequestToken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    pub(crate) push: usize,
    pub(crate) attempt: u8,
}

/// A transaction request that the network holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LateCopy {
    pub(crate) token: Token,
    pub(crate) sent: Sent,
}

/// A step that a call takes, or an event that happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushStep {
    /// The repository's id is not remembered: read META.
    LearnRepository,
    /// One item of the batch.
    Read(Slot),
    /// One `TransactGetItems` of a big index's children.
    ReadChild(Digest),
    /// One `TransactGetItems` of everything that the decision depends on.
    Confirm,
    /// The PUT is acknowledged.
    PutBody,
    /// The transaction's response arrives.
    Commit,
    /// The transaction is applied, and its response is lost.
    CommitUnheard,
    /// The transaction does not arrive, or is cancelled and its response is lost.
    LoseRequest,
    /// The transaction times out, and will arrive later.
    DelayRequest,
    /// The repeated transaction's response arrives.
    Replay,
    /// The repeated transaction is applied, and its response is lost.
    ReplayUnheard,
    /// The repeated transaction times out, and will arrive later.
    DelayReplay,
    /// The deadline.
    GiveUp,
    /// The function's process dies.
    Crash,
    /// A mutant's: delete the body after a failure.
    DeleteBody,
}

/// An item of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the item's kind")]
pub enum Slot {
    Meta,
    Tag,
    Image,
    Child(Digest),
}

impl PushSpec {
    /// The call, before it begins.
    pub(crate) fn start(self) -> Push {
        Push {
            stage: Stage::Idle,
            attempt: 0,
            repo_id: self.is_warm.then_some(RepoId(1)),
            seen: Snapshot::default(),
            body_key: None,
            right: Answers::default(),
            answer: None,
        }
    }

    pub(crate) fn batch(self, seen: &Snapshot, protocol: &Protocol) -> Vec<Slot> {
        let is_early = self.is_big_index && protocol.has(Mutant::ReadChildrenInTheBatch);
        let counted =
            if self.is_big_index && !is_early { Digests::default() } else { self.children };
        let mut slots = Vec::new();
        slots.extend(seen.meta.is_unread().then_some(Slot::Meta));
        slots.extend((self.tag.is_some() && seen.tag.is_unread()).then_some(Slot::Tag));
        slots.extend(seen.image.is_unread().then_some(Slot::Image));
        slots.extend(counted.without(seen.looked_for).iter().map(Slot::Child));
        slots
    }
}

impl Push {
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.stage, Stage::Idle | Stage::Done)
    }

    /// The steps that are possible now.
    pub(crate) fn steps(&self, index: usize, protocol: &Protocol, state: &State) -> Vec<PushStep> {
        let Some(&spec) = protocol.scenario.pushes.get(index) else { return Vec::new() };
        let mut steps = Vec::new();
        match self.stage {
            Stage::Idle | Stage::Read if self.repo_id.is_none() => {
                steps.push(PushStep::LearnRepository);
            }
            Stage::Idle | Stage::Read => {
                steps.extend(spec.batch(&self.seen, protocol).into_iter().map(PushStep::Read));
            }
            Stage::ReadChildren => {
                let unread = spec.children.without(self.seen.looked_for);
                steps.extend(unread.iter().map(PushStep::ReadChild));
            }
            Stage::Confirm => steps.push(PushStep::Confirm),
            Stage::PutBody => steps.push(PushStep::PutBody),
            Stage::Send => {
                steps.push(PushStep::Commit);
                if state.left.losses > 0 {
                    let is_applied = self.attempt(spec, index, protocol, &state.store).is_ok();
                    steps.extend(is_applied.then_some(PushStep::CommitUnheard));
                    steps.push(PushStep::LoseRequest);
                    steps.extend((state.left.delays > 0).then_some(PushStep::DelayRequest));
                }
            }
            Stage::Replay => {
                steps.extend([PushStep::Replay, PushStep::GiveUp]);
                if state.left.losses > 0 {
                    let token = self.token(index);
                    let is_applied = !state.commits.contains(&token)
                        && self.attempt(spec, index, protocol, &state.store).is_ok();
                    steps.extend(is_applied.then_some(PushStep::ReplayUnheard));
                    steps.extend((state.left.delays > 0).then_some(PushStep::DelayReplay));
                }
            }
            Stage::DeleteBody => steps.push(PushStep::DeleteBody),
            Stage::Done => {}
        }
        if self.is_running() && state.left.crashes > 0 {
            steps.push(PushStep::Crash);
        }
        steps
    }

    pub(crate) fn token(&self, index: usize) -> Token {
        Token { push: index, attempt: self.attempt }
    }

    /// What the attempt's transaction is built from.
    pub(crate) fn sent(&self) -> Option<Sent> {
        Some(Sent { repo_id: self.repo_id?, seen: self.seen, body_key: self.body_key })
    }

    pub(crate) fn attempt(
        &self,
        spec: PushSpec,
        index: usize,
        protocol: &Protocol,
        store: &Store,
    ) -> Result<Store, Cancelled> {
        let sent = self.sent().ok_or(Cancelled::Invalid)?;
        sent.apply(spec, PutId::of(index), protocol, store)
    }
}
