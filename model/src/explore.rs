//! The protocol as a model of `stateright`.

use std::collections::BTreeSet;
use std::fmt;

use stateright::{Model, Property};

use crate::Protocol;
use crate::deleter::Deleter;
use crate::environment::{Other, OtherStep, Sweeper};
use crate::invariants;
use crate::mutants::Mutant;
use crate::push::{LateCopy, PushStep, Token};
use crate::state::{Actor, State, Torn};
use crate::store::{Key, PutId};

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A push takes a step, or something happens to it.
    Push {
        /// Its index in the scenario.
        push: usize,
        /// What happens.
        step: PushStep,
        /// Whether what it writes becomes visible item by item.
        is_torn: bool,
    },
    /// Another actor takes a step.
    Other {
        /// Its index among the actors, pushes first.
        actor: usize,
        /// What happens.
        step: OtherStep,
        /// Whether what it writes becomes visible item by item.
        is_torn: bool,
    },
    /// A late copy of a transaction request arrives.
    Arrive(LateCopy),
    /// An item of the torn transaction becomes visible.
    Show(Key),
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let scenario = &self.scenario;
        let pushes = scenario.pushes.iter().map(|push| Actor::Push(push.start()));
        let others = scenario.others.iter().map(|other| match other {
            Other::Script(_) => Actor::Script(0),
            Other::Deleter(_) => Actor::Deleter(Deleter::Idle),
            Other::Sweeper => Actor::Sweeper(Sweeper::Idle),
        });
        vec![State {
            store: scenario.store(),
            bodies: BTreeSet::new(),
            actors: pushes.chain(others).collect(),
            late_copies: Vec::new(),
            commits: Vec::new(),
            left: scenario.adversary,
            torn: None,
            fault: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.fault.is_some() {
            return;
        }
        let both = if self.scenario.is_item_by_item && state.torn.is_none() {
            [false, true].as_slice()
        } else {
            &[false]
        };
        let writer = state.torn.as_ref().map(|torn| torn.writer);
        for (index, actor) in state.actors.iter().enumerate().filter(|(i, _)| Some(*i) != writer) {
            if let Actor::Push(push) = actor {
                for step in push.steps(index, self, state) {
                    let torn = if step.may_write() { both } else { &[false] };
                    let act = |&is_torn| Action::Push { push: index, step, is_torn };
                    actions.extend(torn.iter().map(act));
                }
            } else if let Some(other) = self.other(index) {
                for step in actor.other_steps(other, self, state) {
                    let act = |&is_torn| Action::Other { actor: index, step, is_torn };
                    actions.extend(both.iter().map(act));
                }
            }
        }
        match &state.torn {
            Some(torn) => {
                let hidden = torn.items.iter().filter(|item| item.is_hidden);
                actions.extend(hidden.map(|item| Action::Show(item.key)));
            }
            None => actions.extend(state.late_copies.iter().map(|&copy| Action::Arrive(copy))),
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut next = before.clone();
        match action {
            Action::Push { push: actor, is_torn, .. } | Action::Other { actor, is_torn, .. } => {
                self.act(actor, action, &mut next)?;
                if next.store != before.store || is_torn {
                    let changed = next.store.changed_since(&before.store);
                    if changed.iter().any(|&key| before.is_contended(key)) {
                        return None;
                    }
                    if is_torn {
                        let is_split = changed.len() > 1;
                        is_split.then_some(())?;
                        next.torn = Some(Torn::between(&before.store, &next.store, actor));
                    }
                }
            }
            Action::Arrive(copy) => self.arrive(copy, &mut next)?,
            Action::Show(key) => {
                let torn = next.torn.as_mut()?;
                let item = torn.items.iter_mut().find(|item| item.key == key)?;
                item.is_hidden = false;
                if torn.items.iter().all(|item| !item.is_hidden) {
                    next.torn = None;
                }
            }
        }
        next.settle(before, self);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = invariants::all();
        if self.mutant.is_none() {
            properties.extend(invariants::bookkeeping());
            let reach = |(_, name, condition)| Property::sometimes(name, condition);
            properties.extend(invariants::REACHABLE.map(reach));
        }
        properties
    }
}

impl Protocol {
    fn other(&self, actor: usize) -> Option<&Other> {
        self.scenario.others.get(actor.checked_sub(self.scenario.pushes.len())?)
    }

    fn act(&self, index: usize, action: Action, next: &mut State) -> Option<()> {
        let actor = next.actors.get(index)?.clone();
        let moved = match (actor, action) {
            (Actor::Push(push), Action::Push { step, .. }) => {
                Actor::Push(push.step(step, index, self, next)?)
            }
            (actor, Action::Other { step, .. }) => {
                actor.other_step(step, self.other(index)?, self, next)?
            }
            _ => return None,
        };
        *next.actors.get_mut(index)? = moved;
        Some(())
    }

    fn arrive(&self, copy: LateCopy, next: &mut State) -> Option<()> {
        next.late_copies.retain(|other| *other != copy);
        if next.commits.contains(&copy.token) && !self.has(Mutant::NoToken) {
            return Some(());
        }
        let push = *self.scenario.pushes.get(copy.token.push)?;
        let put_id = PutId::of(copy.token.push);
        if let Ok(after) = copy.sent.apply(push, put_id, self, &next.store) {
            next.land(copy.token, after, self);
        }
        Some(())
    }
}

/// The action as a line of a trace: `push 0: Read(Meta)`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let torn = match self {
            Self::Push { is_torn: true, .. } | Self::Other { is_torn: true, .. } => {
                ", item by item"
            }
            _ => "",
        };
        match self {
            Self::Push { push, step, .. } => write!(f, "push {push}: {step:?}{torn}"),
            Self::Other { actor, step, .. } => write!(f, "actor {actor}: {step:?}{torn}"),
            Self::Arrive(LateCopy { token: Token { push, attempt }, .. }) => {
                write!(f, "a late copy of push {push}'s attempt {attempt} arrives")
            }
            Self::Show(key) => write!(f, "{key:?} becomes visible"),
        }
    }
}

impl PushStep {
    fn may_write(self) -> bool {
        matches!(self, Self::Commit | Self::CommitUnheard | Self::Replay | Self::ReplayUnheard)
    }
}
