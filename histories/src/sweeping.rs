//! A sweeper that runs concurrently with a history, and what the bucket must hold at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use ecr_registry::{Sweeper, SweeperConfig, Swept, since_1970};
use fastrand::Rng;
use local_aws::{Faults, Stack};
use tokio::time::Instant;

use crate::bugs::{Bug, Culprit};
use crate::plan::Plan;
use crate::run::{Counts, Failed, let_loose, lock};

/// A sweeper of one history's own bucket.
pub(crate) struct Sweeping {
    pub(crate) bucket: String,
    sweeper: Sweeper,
    faults: Faults,
    s3: Client,
    /// When each call that may still commit began.
    calls: Mutex<BTreeMap<usize, Duration>>,
    bug: Option<&'static Bug>,
}

impl Sweeping {
    pub(crate) async fn prepare(stack: &Stack) -> Result<Self, Failed> {
        let bucket = format!("history-{}", uuid::Uuid::new_v4());
        let s3 = Client::new(&stack.sdk_config());
        s3.create_bucket().bucket(&bucket).send().await?;
        let config =
            SweeperConfig { table: stack.options().table.clone(), manifest_bucket: bucket.clone() };
        let faults = Faults::new();
        Ok(Self {
            bucket,
            sweeper: Sweeper::new(config, &faults.sdk_config(stack)),
            faults,
            s3,
            calls: Mutex::default(),
            bug: None,
        })
    }

    /// The number of the sweeper's requests to services.
    pub(crate) fn requests(&self) -> usize {
        self.faults.calls().len()
    }

    pub(crate) fn let_faults_loose(
        &mut self,
        plan: &Plan,
        bug: Option<&'static Bug>,
        counts: &Arc<Mutex<Counts>>,
    ) {
        self.bug = bug.filter(|bug| bug.culprit != Culprit::Push);
        let_loose(&self.faults, !plan.seed, plan.fault_percent, self.bug, counts);
    }

    pub(crate) fn begins(&self, call: usize) {
        lock(&self.calls).insert(call, since_1970());
    }

    /// The call has responded, and will not commit any more.
    pub(crate) fn is_over(&self, call: usize) {
        lock(&self.calls).remove(&call);
    }

    /// Sweeps again and again. Here a body is old enough once the call that wrote it has ended,
    /// which a day guarantees in the service.
    pub(crate) async fn go_on(&self, counts: &Mutex<Counts>) {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = since_1970();
            let first = lock(&self.calls).values().min().copied().unwrap_or(now);
            // In whole seconds, as S3 gives times, so that no younger body seems as old.
            let before = Duration::from_secs(first.as_secs());
            let hurries = self.bug.is_some_and(|bug| bug.culprit == Culprit::HurriedSweeper);
            let before = if hurries { now + Duration::from_mins(1) } else { before };
            let deadline = Instant::now() + Duration::from_secs(5);
            let run = self.sweeper.sweep(before, deadline).await;
            let mut counts = lock(counts);
            let mut add = |kind, count: u64| {
                *counts.swept.entry(kind).or_default() += usize::try_from(count).unwrap_or(0);
            };
            match run {
                Ok(Swept { orphans, referenced, young, .. }) => {
                    add("completed runs", 1);
                    add("orphans deleted while calls were running", orphans);
                    add("referenced bodies seen and kept", referenced);
                    add("young bodies seen and kept", young);
                }
                Err(_) => add("failed runs", 1),
            }
        }
    }

    /// What is wrong with the bucket after a last sweep without faults, if images refer to
    /// `bodies`.
    pub(crate) async fn broken(
        &self,
        bodies: &BTreeSet<String>,
        counts: &Mutex<Counts>,
    ) -> Result<Option<String>, Failed> {
        self.faults.settle().await;
        if let Some(lost) = bodies.difference(&self.stored().await?).next() {
            return Ok(Some(format!("{lost} was deleted, although an image refers to it")));
        }
        let (bug, rng) = (self.bug, Mutex::new(Rng::new()));
        self.faults.on_call(move |call| Some((bug?.fault)(&mut lock(&rng), call)?.1));
        let soon = since_1970() + Duration::from_mins(1);
        let run = self.sweeper.sweep(soon, Instant::now() + Duration::from_mins(1)).await;
        let run = match run {
            Ok(run) => run,
            Err(failure) => return Ok(Some(format!("the last sweep failed: {failure:?}"))),
        };
        *lock(counts).swept.entry("orphans deleted by the last sweep").or_default() +=
            usize::try_from(run.orphans)?;
        let left = self.stored().await?;
        Ok((left != *bodies)
            .then(|| format!("{} bodies are left, not {}", left.len(), bodies.len())))
    }

    async fn stored(&self) -> Result<BTreeSet<String>, Failed> {
        let listed = self.s3.list_objects_v2().bucket(&self.bucket).send().await?;
        Ok(listed.contents.unwrap_or_default().into_iter().filter_map(|body| body.key).collect())
    }
}
