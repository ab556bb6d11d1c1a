//! What a push does in each step.

use crate::Protocol;
use crate::decision::{Answer, Answers, Decision, Seen, Snapshot, decide};
use crate::mutants::Mutant;
use crate::push::{LateCopy, Push, PushSpec, PushStep, Slot, Stage};
use crate::state::{Fault, State};
use crate::store::{BodyKey, Digest, Item, Key, PutId, RepoId};
use crate::transaction::Cancelled;

impl Push {
    /// Takes a step. `None` if the step conflicts with a torn transaction and must be taken later.
    pub(crate) fn step(
        mut self,
        step: PushStep,
        index: usize,
        protocol: &Protocol,
        state: &mut State,
    ) -> Option<Self> {
        let spec = *protocol.scenario.pushes.get(index)?;
        let mut call = Call { index, spec, protocol, state };
        if self.stage == Stage::Idle {
            self.right = call.state.right_now(index, protocol);
            self.stage = Stage::Read;
        }
        match step {
            PushStep::LearnRepository => match call.state.read(Key::Meta).and_then(Item::meta) {
                Some(meta) => self.repo_id = Some(meta.repo_id),
                None => self.finish(Answer::RepositoryNotFound, &mut call),
            },
            PushStep::Read(slot) => self.read(slot, &mut call)?,
            PushStep::ReadChild(child) => self.read_child(child, &mut call)?,
            PushStep::Confirm => self.confirm(&mut call)?,
            PushStep::PutBody => self.put_body(&mut call)?,
            PushStep::Commit => self.commit(&mut call),
            PushStep::CommitUnheard | PushStep::ReplayUnheard => {
                call.state.left.losses = call.state.left.losses.checked_sub(1)?;
                let after = self.attempt(spec, index, protocol, &call.state.store).ok()?;
                call.state.land(self.token(index), after, protocol);
                self.stage = Stage::Replay;
            }
            PushStep::LoseRequest => {
                call.state.left.losses = call.state.left.losses.checked_sub(1)?;
                self.stage = Stage::Replay;
            }
            PushStep::DelayRequest | PushStep::DelayReplay => {
                call.state.left.losses = call.state.left.losses.checked_sub(1)?;
                call.state.left.delays = call.state.left.delays.checked_sub(1)?;
                let copy = LateCopy { token: self.token(index), sent: self.sent()? };
                call.state.late_copies.push(copy);
                call.state.late_copies.sort_unstable();
                self.stage = Stage::Replay;
            }
            PushStep::Replay => self.replay(&mut call),
            PushStep::GiveUp => self.finish(Answer::ServerException, &mut call),
            PushStep::Crash => {
                call.state.left.crashes = call.state.left.crashes.checked_sub(1)?;
                self.finish(Answer::Crash, &mut call);
            }
            PushStep::DeleteBody => {
                let body_key = self.body_key?;
                call.state.bodies.remove(&body_key);
                self.body_key = None;
                self.stage = Stage::Done;
            }
        }
        Some(self)
    }

    fn read(&mut self, slot: Slot, call: &mut Call<'_>) -> Option<()> {
        let repo_id = self.repo_id?;
        let (state, seen) = (&*call.state, &mut self.seen);
        match slot {
            Slot::Meta => seen.meta = state.read(Key::Meta).and_then(Item::meta).into(),
            Slot::Tag => {
                let tag = call.spec.tag?;
                seen.tag = state.read(Key::Tag(repo_id, tag)).and_then(Item::tag).into();
            }
            Slot::Image => {
                let image = state.read(Key::Image(repo_id, call.spec.digest)).and_then(Item::image);
                seen.image = image.map(|image| image.tag_count).into();
            }
            Slot::Child(child) => {
                let is_there = state.read(Key::Image(repo_id, child)).is_some();
                seen.look_for(child, is_there);
            }
        }
        if call.spec.batch(&self.seen, call.protocol).is_empty() {
            self.has_read_the_batch(call);
        }
        Some(())
    }

    fn has_read_the_batch(&mut self, call: &mut Call<'_>) {
        let is_current = self.seen.meta.there().map(|meta| meta.repo_id) == self.repo_id;
        let unread = call.spec.children.without(self.seen.looked_for);
        if call.spec.is_big_index
            && is_current
            && self.seen.image == Seen::Absent
            && !unread.is_empty()
        {
            self.stage = Stage::ReadChildren;
        } else {
            self.conclude(false, call);
        }
    }

    /// A big index's children are read after META, the children of each request at one instant.
    fn read_child(&mut self, child: Digest, call: &mut Call<'_>) -> Option<()> {
        let key = Key::Image(self.repo_id?, child);
        if call.protocol.has(Mutant::ReadChildrenPlainly) {
            self.seen.look_for(child, call.state.read(key).is_some());
        } else if call.state.is_contended(key) {
            return None;
        } else {
            self.seen.look_for(child, call.state.store.get(key).is_some());
        }
        if call.spec.children.without(self.seen.looked_for).is_empty() {
            self.conclude(false, call);
        }
        Some(())
    }

    /// Decides, and enters the stage that follows from the decision.
    pub(crate) fn conclude(&mut self, is_confirmed: bool, call: &mut Call<'_>) {
        let trusts_its_cache = call.protocol.has(Mutant::TrustTheRememberedId);
        let repo_id = self.repo_id.filter(|_| !trusts_its_cache);
        match decide(call.spec, &call.protocol.scenario.limits, repo_id, &self.seen) {
            Decision::Stale(meta) => self.start_again(Some(meta.repo_id), call),
            Decision::Refuse(answer)
                if answer.must_be_confirmed()
                    && !is_confirmed
                    && !call.protocol.has(Mutant::AnswerUnconfirmed(answer)) =>
            {
                self.stage = Stage::Confirm;
            }
            Decision::Refuse(answer) => self.finish(answer, call),
            // A snapshot of a big index does not hold the children that guard its commit.
            Decision::Commit(_) if is_confirmed && call.spec.is_big_index => {
                self.start_again(None, call);
            }
            Decision::Commit(_) => {
                let is_new = self.seen.image == Seen::Absent;
                let must_put = is_new && call.spec.is_spilled && self.body_key.is_none();
                self.stage = if must_put { Stage::PutBody } else { Stage::Send };
            }
        }
    }

    fn put_body(&mut self, call: &mut Call<'_>) -> Option<()> {
        let (digest, put_id) = (call.spec.digest, PutId::of(call.index));
        let key = BodyKey { repo_id: self.repo_id?, digest, put_id };
        if !call.protocol.has(Mutant::CommitBeforeTheBody) {
            call.state.bodies.insert(key);
        }
        self.body_key = Some(key);
        self.stage = Stage::Send;
        Some(())
    }

    fn commit(&mut self, call: &mut Call<'_>) {
        match self.attempt(call.spec, call.index, call.protocol, &call.state.store) {
            Ok(after) => {
                call.state.land(self.token(call.index), after, call.protocol);
                self.finish(Answer::Success, call);
            }
            Err(Cancelled::Invalid) => call.state.blame(Fault::InvalidTransaction),
            Err(Cancelled::ConditionalCheckFailed(rows)) => {
                let rejection = rows.last().and_then(|row| row.refusal());
                match rejection.filter(|_| call.protocol.has(Mutant::AnswerFromACancellation)) {
                    Some(answer) => self.finish(answer, call),
                    None => self.start_again(None, call),
                }
            }
        }
    }

    /// Section 5, the column `unknown = true`.
    fn replay(&mut self, call: &mut Call<'_>) {
        if call.protocol.has(Mutant::RetryBlindly) {
            return self.start_again(None, call);
        }
        if call.protocol.has(Mutant::DecideByReading) {
            return self.look(call);
        }
        let token = self.token(call.index);
        if call.state.commits.contains(&token) && !call.protocol.has(Mutant::NoToken) {
            return self.finish(Answer::Success, call);
        }
        match self.attempt(call.spec, call.index, call.protocol, &call.state.store) {
            Ok(after) => {
                call.state.land(token, after, call.protocol);
                self.finish(Answer::Success, call);
            }
            Err(_) if call.protocol.has(Mutant::StartAgainAfterUnknown) => {
                self.start_again(None, call);
            }
            Err(_) => self.finish(Answer::ServerException, call),
        }
    }

    /// A mutant's: if it finds its own write, it takes the transaction as applied.
    fn look(&mut self, call: &mut Call<'_>) {
        let found = self.repo_id.and_then(|repo_id| {
            let key = match call.spec.tag {
                Some(tag) => Key::Tag(repo_id, tag),
                None => Key::Image(repo_id, call.spec.digest),
            };
            match call.state.read(key)? {
                Item::Tag(tag) => Some(tag.put_id),
                Item::Image(image) => Some(image.put_id),
                Item::Meta(_) | Item::Manifest => None,
            }
        });
        if found == Some(PutId::of(call.index)) {
            self.finish(Answer::Success, call);
        } else {
            self.start_again(None, call);
        }
    }

    /// The next attempt. A body belongs to the incarnation of the repository that it was stored
    /// for.
    pub(crate) fn start_again(&mut self, repo_id: Option<RepoId>, call: &mut Call<'_>) {
        if self.attempt + 1 >= call.protocol.scenario.attempts {
            return self.finish(Answer::ServerException, call);
        }
        self.attempt += 1;
        self.repo_id = repo_id.or(self.repo_id);
        self.seen = Snapshot::default();
        self.stage = Stage::Read;
        let keeps_any = call.protocol.has(Mutant::KeepTheBodyOfAnotherLife);
        self.body_key = self.body_key.filter(|key| keeps_any || Some(key.repo_id) == self.repo_id);
    }

    fn finish(&mut self, answer: Answer, call: &mut Call<'_>) {
        let commits = call.state.commits_of(call.index);
        if answer == Answer::Success && commits != 1 {
            call.state.blame(Fault::SuccessWithoutOneCommit);
        }
        if answer.is_refusal() && commits > 0 {
            call.state.blame(Fault::RefusalOfACommit(answer));
        }
        if answer.is_refusal() && !self.right.contains(answer) {
            call.state.blame(Fault::NeverRight(answer));
        }
        let deletes = call.protocol.has(Mutant::DeleteTheBodyAfterAFailure)
            && answer == Answer::ServerException
            && self.body_key.is_some();
        self.answer = Some(answer);
        self.seen = Snapshot::default();
        self.right = Answers::default();
        if deletes {
            self.stage = Stage::DeleteBody;
        } else {
            self.stage = Stage::Done;
            self.body_key = None;
        }
    }
}

impl Snapshot {
    pub(crate) fn look_for(&mut self, child: Digest, is_there: bool) {
        self.looked_for = self.looked_for.with(child);
        if !is_there {
            self.missing = self.missing.with(child);
        }
    }
}

/// What a step of a call works on.
pub(crate) struct Call<'a> {
    pub(crate) index: usize,
    pub(crate) spec: PushSpec,
    pub(crate) protocol: &'a Protocol,
    pub(crate) state: &'a mut State,
}
