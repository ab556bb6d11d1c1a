//! Random histories of pushes, settings and deletions under faults, each checked against a
//! specification: a repository must look like one object whose calls happen one after another.
//!
//! `cargo run --release -p histories -- --count 10000 --seed 1`
//!
//! With `--bugs` it plants bugs instead, and prints in which history each is found.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command-line program")]

mod bugs;
mod images;
mod plan;
mod run;
mod spec;
mod sweeping;
#[cfg(test)]
mod tests;
mod writers;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use bugs::{BUGS, Culprit};
use futures_util::stream::{self, StreamExt as _};
use local_aws::{Options, Stack};
use plan::Plan;
use run::{Counts, run};

/// Concurrent histories, which wait most of the time.
const AT_ONCE: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match histories().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("histories: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn histories() -> Result<bool, Box<dyn Error + Send + Sync>> {
    use lexopt::prelude::{Long, ValueExt as _};
    let (mut count, mut seed, mut hunts) = (300_u64, 1_u64, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("count") => count = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            Long("bugs") => hunts = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if hunts {
        return hunt(seed, count).await;
    }
    let began = Instant::now();
    let mut counts = Counts::default();
    let mut done = 0;
    // A stack keeps every history, so a new one for each thousand keeps the table small.
    for first in (seed..seed + count).step_by(1000) {
        let stack = Stack::start(Options::default()).await?;
        let plans = (first..(first + 1000).min(seed + count)).map(Plan::draw);
        let mut outcomes = stream::iter(plans)
            .map(|plan| {
                let stack = &stack;
                async move { (run(stack, &plan, None).await, plan) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((outcome, plan)) = outcomes.next().await {
            let outcome = outcome?;
            counts.add(outcome.counts);
            done += 1;
            if let Some(violation) = outcome.violation {
                drop(outcomes);
                println!("history {done} of {count}, seed {}: {violation}", plan.seed);
                let (plan, violation) = shrink(&stack, plan, violation).await?;
                println!("shrunk to {} calls: {violation}", plan.clients.concat().len());
                return Ok(false);
            }
        }
        drop(outcomes);
        stack.stop().await;
    }
    println!("{done} histories from seed {seed}: all linearizable, all invariants hold");
    println!("{} calls, {} requests to services", counts.calls, counts.requests);
    println!("results:");
    for (kind, count) in &counts.answers {
        println!("  {count:>8} {kind}");
    }
    println!("faults:");
    for (kind, count) in &counts.faults {
        println!("  {count:>8} {kind}");
    }
    println!("sweeper, in one history of four:");
    for (kind, count) in &counts.swept {
        println!("  {count:>8} {kind}");
    }
    println!("duration {:.0} s", began.elapsed().as_secs_f64());
    Ok(true)
}

/// Plants each bug, and runs at most `count` crowded histories until one finds it.
async fn hunt(seed: u64, count: u64) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let stack = Stack::start(Options::default()).await?;
    let mut all_found = true;
    for bug in &BUGS {
        let mut found = None;
        for (nth, seed) in (1..).zip(seed..seed + count) {
            let plan = match bug.culprit {
                Culprit::Push => Plan::draw_crowded(seed),
                Culprit::Sweeper | Culprit::HurriedSweeper => Plan::draw_swept(seed),
            };
            let outcome = run(&stack, &plan, Some(bug)).await?;
            if let Some(violation) = outcome.violation {
                found = Some((nth, violation));
                break;
            }
        }
        if let Some((nth, violation)) = found {
            println!("{}: history {nth}: {violation}", bug.name);
        } else {
            println!("{}: not found in {count} histories", bug.name);
            all_found = false;
        }
    }
    Ok(all_found)
}

/// Removes calls while the history still fails in one of twenty runs.
async fn shrink(
    stack: &Stack,
    mut plan: Plan,
    mut violation: String,
) -> Result<(Plan, String), Box<dyn Error + Send + Sync>> {
    'smaller: loop {
        for smaller in plan.smaller() {
            for _ in 0..20 {
                if let Some(found) = run(stack, &smaller, None).await?.violation {
                    (plan, violation) = (smaller, found);
                    continue 'smaller;
                }
            }
        }
        return Ok((plan, violation));
    }
}
