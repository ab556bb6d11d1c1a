use futures_util::stream::{self, StreamExt as _};
use local_aws::{Options, Stack};

use crate::AT_ONCE;
use crate::bugs::{BUGS, Bug, Culprit};
use crate::plan::Plan;
use crate::run::{Counts, Outcome, run};

async fn run_all(
    stack: &Stack,
    plans: impl Iterator<Item = Plan>,
    bug: Option<&'static Bug>,
    mut see: impl FnMut(u64, Outcome) -> bool,
) {
    let mut outcomes = stream::iter(plans)
        .map(|plan| async move { (plan.seed, run(stack, &plan, bug).await.unwrap()) })
        .buffer_unordered(AT_ONCE);
    while let Some((seed, outcome)) = outcomes.next().await {
        if !see(seed, outcome) {
            return;
        }
    }
}

#[tokio::test]
async fn three_hundred_histories_are_linearizable() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let mut counts = Counts::default();
    run_all(&stack, (0..300).map(Plan::draw), None, |seed, outcome| {
        assert_eq!(outcome.violation, None, "seed {seed}");
        counts.add(outcome.counts);
        true
    })
    .await;
    println!("{counts:#?}");
    // Every kind of fault, and most results.
    assert!(counts.calls > 1_000);
    assert!(counts.faults.len() >= 12, "{:?}", counts.faults);
    for result in [
        "PutImage returned 200",
        "ImageAlreadyExists",
        "ImageTagAlreadyExists",
        "LimitExceeded",
        "ReferencedImagesNotFound",
    ] {
        assert!(counts.answers.contains_key(result), "{result}: {:?}", counts.answers);
    }
    let swept = |kind| counts.swept.get(kind).copied().unwrap_or(0);
    assert!(swept("orphans deleted while calls were running") > 0, "{:?}", counts.swept);
    assert!(swept("referenced bodies seen and kept") > 0, "{:?}", counts.swept);
    stack.stop().await;
}

#[tokio::test]
async fn every_planted_bug_is_found() {
    let stack = Stack::start(Options::default()).await.unwrap();
    for bug in &BUGS {
        let mut found = None;
        let mut seen = 0;
        let draw = match bug.culprit {
            Culprit::Push => Plan::draw_crowded,
            Culprit::Sweeper | Culprit::HurriedSweeper => Plan::draw_swept,
        };
        run_all(&stack, (0..4_000).map(draw), Some(bug), |seed, outcome| {
            seen += 1;
            found = outcome.violation.map(|violation| (seed, violation));
            found.is_none()
        })
        .await;
        assert!(found.is_some(), "{}: not found in {seen} histories", bug.name);
        let (at, violation) = found.unwrap();
        let first = violation.lines().next().unwrap_or_default();
        println!("{}: found in history {seen}, seed {at}: {first}", bug.name);
    }
    stack.stop().await;
}
