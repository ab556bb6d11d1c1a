//! Explores every state of every scenario, and every mutant. `--nocapture` prints the tables.

#![expect(clippy::print_stdout, reason = "the tables are what --nocapture is for")]

use std::collections::BTreeSet;

use push_model::decision::Answer;
use push_model::mutants::{self, Catch, Mutant};
use push_model::report::trace_of;
use push_model::scenario::Scenario;
use push_model::{Protocol, scenarios};

/// Explores the scenarios, in which no invariant may break. Returns the number of states, and the
/// results that pushes reached.
fn hold(scenarios: Vec<Scenario>) -> (usize, BTreeSet<Answer>) {
    let (mut states, mut answers) = (0, BTreeSet::new());
    for scenario in scenarios {
        let name = scenario.name;
        let report = Protocol { scenario, mutant: None }.explore();
        println!("{name:46} {:9} states {:10} transitions", report.states, report.transitions);
        let wrong = report.violations.first();
        let wrong = wrong.map(|(invariant, trace)| format!("{invariant}\n{}", trace_of(trace)));
        assert_eq!(wrong, None, "in {name}");
        states += report.states;
        answers.extend(report.answers);
    }
    println!("{states} states");
    (states, answers)
}

#[test]
fn the_protocol_holds_in_every_scenario() {
    assert_eq!(scenarios::all().len(), 47);
    let (states, answers) = hold(scenarios::all());
    // With far fewer states the scenarios would show little.
    assert!(states > 250_000);
    let every = [
        Answer::Success,
        Answer::RepositoryNotFound,
        Answer::ImageAlreadyExists,
        Answer::ImageTagAlreadyExists,
        Answer::ReferencedImagesNotFound,
        Answer::TooManyImages,
        Answer::TooManyBigIndexes,
        Answer::TooManyTags,
        Answer::ServerException,
    ];
    assert_eq!(answers, BTreeSet::from(every), "the scenarios must reach every result");
}

#[test]
fn it_holds_with_two_losses_and_two_late_copies() {
    let lossy = scenarios::all().into_iter().filter(Scenario::has_late_copies);
    assert!(hold(lossy.map(Scenario::twice_as_lossy).collect()).0 > 150_000);
}

#[test]
fn it_holds_when_transactions_become_visible_item_by_item() {
    assert!(hold(scenarios::all().into_iter().map(Scenario::item_by_item).collect()).0 > 2_000_000);
}

#[test]
fn every_mutant_is_caught() {
    for mutant in mutants::all().into_iter().filter(|m| m.is_equivalent_because().is_none()) {
        let catch = mutant.caught();
        let catch = catch.map(|Catch { scenario, invariant, .. }| (invariant, scenario));
        assert_ne!(catch, None, "{mutant:?} survives");
        println!("{mutant:?}: {catch:?}");
    }
}

/// Whole transactions are enough here to find a reason that is wrong. The command also explores the
/// scenarios item by item.
#[test]
fn mutants_that_are_called_equivalent_are() {
    let equivalent = |mutant: &Mutant| mutant.is_equivalent_because().is_some();
    let equivalent: Vec<_> = mutants::all().into_iter().filter(equivalent).collect();
    assert_eq!(equivalent.len(), 5);
    for mutant in equivalent {
        let catch = mutant.caught_in(scenarios::all());
        assert!(catch.is_none(), "{mutant:?} is not equivalent: {catch:?}");
    }
}
