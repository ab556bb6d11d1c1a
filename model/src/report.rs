//! One exhaustive run and its result.

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::Protocol;
use crate::decision::Answer;
use crate::explore::Action;
use crate::invariants;
use crate::state::State;

/// The result of one exploration.
#[derive(Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub transitions: usize,
    /// Invariants that do not hold, each with the steps that break it.
    pub violations: Vec<(&'static str, Vec<Action>)>,
    /// Results that pushes reached.
    pub answers: Vec<Answer>,
}

/// A trace, one step a line.
#[must_use]
pub fn trace_of(steps: &[Action]) -> String {
    let lines: Vec<String> = steps.iter().map(|step| format!("      {step}\n")).collect();
    lines.concat()
}

impl Protocol {
    /// Explores every state. With a mutant, stops at the first violation.
    #[must_use]
    pub fn explore(self) -> Report {
        let stop =
            if self.mutant.is_some() { HasDiscoveries::AnyFailures } else { HasDiscoveries::All };
        let checker = self.checker().finish_when(stop).spawn_bfs().join();
        let mut report = Report {
            states: checker.unique_state_count(),
            transitions: checker.state_count() - 1,
            violations: Vec::new(),
            answers: Vec::new(),
        };
        for (name, path) in checker.discoveries() {
            let mut reachable = invariants::REACHABLE.iter();
            if let Some((answer, ..)) = reachable.find(|(_, reachable, _)| *reachable == name) {
                report.answers.push(*answer);
            } else {
                let trace = checker.model().shortened(name, path.into_actions());
                report.violations.push((name, trace));
            }
        }
        report.violations.sort_unstable_by_key(|(name, _)| *name);
        report
    }

    /// Leaves out the steps that a violation does not need.
    fn shortened(&self, violated: &str, mut trace: Vec<Action>) -> Vec<Action> {
        let properties = self.properties();
        let property = properties.iter().find(|property| property.name == violated);
        let shows_it = |trace: &[Action]| {
            let end = self.follow(trace);
            end.zip(property).is_some_and(|(end, property)| !(property.condition)(self, &end))
        };
        for index in (0..trace.len()).rev() {
            let mut shorter = trace.clone();
            shorter.remove(index);
            if shows_it(&shorter) {
                trace = shorter;
            }
        }
        trace
    }

    /// The state after these steps, if each can be taken.
    fn follow(&self, trace: &[Action]) -> Option<State> {
        let mut state = self.init_states().pop()?;
        for &action in trace {
            let mut possible = Vec::new();
            self.actions(&state, &mut possible);
            possible.contains(&action).then_some(())?;
            state = self.next_state(&state, action)?;
        }
        Some(state)
    }
}
