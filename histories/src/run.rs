//! Runs a history against the function, and checks it against the specification.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use ecr_registry::names::Digest;
use ecr_registry::{App, Config};
use fastrand::Rng;
use futures_util::future::join_all;
use lambda_runtime::{Context, LambdaEvent};
use local::invoke;
use local_aws::{DEFAULT_ACCOUNT, Faults, Stack};
use serde_json::{Value, json};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester};
use tokio::sync::watch;

use crate::bugs::{Bug, Culprit};
use crate::images::Images;
use crate::plan::{Plan, draw_fault};
use crate::spec::{IMAGES, Op, Repository, Ret, TAGS};
use crate::sweeping::Sweeping;
use crate::writers::{Writers, named, string};

type Tester = LinearizabilityTester<usize, Repository>;
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What happened, counted by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) requests: usize,
    pub(crate) faults: BTreeMap<&'static str, usize>,
    pub(crate) answers: BTreeMap<String, usize>,
    pub(crate) swept: BTreeMap<&'static str, usize>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.requests += other.requests;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (kind, count) in other.answers {
            *self.answers.entry(kind).or_default() += count;
        }
        for (kind, count) in other.swept {
            *self.swept.entry(kind).or_default() += count;
        }
    }
}

/// The outcome of a history.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// What is wrong, if anything is, and the calls in the order of their events.
    pub(crate) violation: Option<String>,
}

/// Runs `plan` in a repository of its own, with `bug` planted in the function's requests.
///
/// # Errors
/// The stack failed where no fault was planned.
pub(crate) async fn run(
    stack: &Stack,
    plan: &Plan,
    bug: Option<&'static Bug>,
) -> Result<Outcome, Failed> {
    let mut history = History::prepare(stack, plan).await?;
    let counts = Arc::new(Mutex::new(Counts::default()));
    history.let_faults_loose(plan, bug, &counts);

    let clients = async {
        history.client(&plan.first, plan, Rng::with_seed(plan.seed)).await?;
        let clients = plan.clients.iter().zip(0_u64..).map(|(calls, client)| {
            let rng = Rng::with_seed(plan.seed.wrapping_mul(31).wrapping_add(client));
            history.client(calls, plan, rng)
        });
        join_all(clients).await.into_iter().collect::<Result<(), Failed>>()
    };
    let sweeping = async {
        match &history.sweeping {
            Some(sweeping) => sweeping.go_on(&counts).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = clients => ended?,
        () = sweeping => {}
        () = history.go_on_when_quiet() => {}
    }
    history.faults.settle().await;

    let items = history.writers.items().await?;
    let (state, mut broken) = (history.images.state(&items), history.images.broken(&items));
    if let Some(sweeping) = &history.sweeping {
        let images = named(&items, "IMAGE#");
        let keys = images.iter().map(|(_, image)| string(image, "bodyKey"));
        let bodies = keys.filter(|key| !key.is_empty()).collect();
        broken = broken.or(sweeping.broken(&bodies, &counts).await?);
    }
    history.invoke(usize::MAX, &Op::Read);
    history.give(usize::MAX, &Op::Read, Some(Ret::State(state)));
    let mut counts = lock(&counts).clone();
    let swept = history.sweeping.as_ref().map_or(0, Sweeping::requests);
    counts.requests = history.faults.calls().len() + swept;
    let log = lock(&history.log);
    counts.calls = log.answers.values().sum();
    counts.answers.clone_from(&log.answers);
    let linear = lock(&history.tester).is_consistent();
    let wrong = match (linear, broken) {
        (true, None) => None,
        (false, None) => Some("not linearizable".to_owned()),
        (_, Some(broken)) => Some(broken),
    };
    let violation = wrong.map(|wrong| format!("{wrong}\n{}", log.events.join("\n")));
    Ok(Outcome { counts, violation })
}

struct History {
    app: App,
    faults: Faults,
    writers: Writers,
    repository: String,
    images: Images,
    sweeping: Option<Sweeping>,
    tester: Mutex<Tester>,
    threads: AtomicUsize,
    calls: AtomicUsize,
    progress: watch::Sender<Progress>,
    log: Mutex<Log>,
}

/// What the clients do.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// They pause, or write to the table themselves.
    busy: usize,
    /// They are in a call.
    calling: usize,
    /// They wait until the others have done what they can.
    waiting: usize,
    /// How often clients have waited to the end.
    turn: u64,
}

impl Progress {
    fn end_waiting(&mut self) {
        self.busy += self.waiting;
        self.waiting = 0;
        self.turn += 1;
    }
}

#[derive(Default)]
struct Log {
    events: Vec<String>,
    answers: BTreeMap<String, usize>,
}

impl History {
    async fn prepare(stack: &Stack, plan: &Plan) -> Result<Self, Failed> {
        let options = stack.options();
        let faults = Faults::new();
        let sweeping = if plan.swept { Some(Sweeping::prepare(stack).await?) } else { None };
        let mut config = Config::read(|name| options.variable(name))?;
        config.quotas.images_per_repository = IMAGES as u64;
        config.quotas.tags_per_image = TAGS as u64;
        if let Some(sweeping) = &sweeping {
            config.manifest_bucket.clone_from(&sweeping.bucket);
        }
        let repository = format!("history-{}", uuid::Uuid::new_v4());
        let layer = Digest::of(b"layer");
        let s3 = aws_sdk_s3::Client::new(&stack.sdk_config());
        let key = format!("{DEFAULT_ACCOUNT}/{repository}/sha256/{}", layer.hex());
        let put = s3.put_object().bucket(&options.layer_bucket).key(key);
        put.body(ByteStream::from_static(b"layer")).send().await?;

        let images = Images::new(plan.images, &layer, plan.swept);
        let initial = images.nothing();
        let history = Self {
            app: App::new(config, &faults.sdk_config(stack)),
            faults,
            writers: Writers {
                dynamodb: aws_sdk_dynamodb::Client::new(&stack.sdk_config()),
                table: options.table.clone(),
                repository: format!("REPO#{DEFAULT_ACCOUNT}#{repository}"),
            },
            repository,
            images,
            sweeping,
            tester: Mutex::new(Tester::new(initial)),
            threads: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            progress: watch::Sender::new(Progress { busy: 1, ..Progress::default() }),
            log: Mutex::default(),
        };
        let created = history.call("CreateRepository", &json!({})).await?;
        history.progress.send_replace(Progress::default());
        match created {
            Some(_) => Ok(history),
            None => Err("the repository of a history cannot be created".into()),
        }
    }

    fn let_faults_loose(
        &mut self,
        plan: &Plan,
        bug: Option<&'static Bug>,
        counts: &Arc<Mutex<Counts>>,
    ) {
        if let Some(sweeping) = &mut self.sweeping {
            sweeping.let_faults_loose(plan, bug, counts);
        }
        let bug = bug.filter(|bug| bug.culprit == Culprit::Push);
        let_loose(&self.faults, plan.seed, plan.fault_percent, bug, counts);
        self.faults.conflicts(Duration::ZERO..Duration::from_millis(4));
    }

    /// Lets the history go on whenever nothing does by itself: each client waits, or is in a call, and
    /// of all calls only held attempts are in flight. Clients that wait go first, then what is held.
    async fn go_on_when_quiet(&self) {
        let mut progress = self.progress.subscribe();
        loop {
            let Progress { busy, calling, waiting, .. } = *progress.borrow_and_update();
            if busy == 0 && (calling > 0 || waiting > 0) {
                tokio::select! {
                    () = self.faults.held(), if calling > 0 => {}
                    () = std::future::ready(()), if calling == 0 => {}
                    _ = progress.changed() => continue,
                }
                if waiting > 0 {
                    self.progress.send_modify(Progress::end_waiting);
                } else {
                    self.faults.release();
                    tokio::task::yield_now().await;
                }
            } else if progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until all other clients have done what they can.
    async fn wait(&self) {
        let mut progress = self.progress.subscribe();
        let turn = progress.borrow().turn;
        self.progress.send_modify(|progress| {
            progress.busy -= 1;
            progress.waiting += 1;
        });
        // The sender lives as long as `self`.
        let _ = progress.wait_for(|progress| progress.turn > turn).await;
    }

    async fn client(&self, calls: &[Op], plan: &Plan, mut rng: Rng) -> Result<(), Failed> {
        self.progress.send_modify(|progress| progress.busy += 1);
        let mut thread = self.threads.fetch_add(1, Ordering::Relaxed);
        for op in calls {
            tokio::time::sleep(Duration::from_millis(rng.u64(0..plan.pause))).await;
            if plan.crowded && !matches!(op, Op::Put { .. }) && rng.u8(0..3) > 0 {
                self.wait().await;
            }
            self.invoke(thread, op);
            let ret = self.perform(op).await?;
            if ret.is_none() {
                // It may take effect at any later time, so another thread continues.
                self.give(thread, op, None);
                thread = self.threads.fetch_add(1, Ordering::Relaxed);
            } else {
                self.give(thread, op, ret);
            }
        }
        self.progress.send_modify(|progress| progress.busy -= 1);
        Ok(())
    }

    /// The result of a call; `None` if the call has no definite result.
    async fn perform(&self, op: &Op) -> Result<Option<Ret>, Failed> {
        let done = |done| Some(if done { Ret::Done } else { Ret::Refused("not deleted".into()) });
        match *op {
            Op::Put { image, tag } => {
                let manifest = self.images.manifest(image);
                let mut body = json!({ "imageManifest": manifest });
                let (member, value) = match tag {
                    Some(tag) => ("imageTag", format!("t{tag}")),
                    None => ("imageDigest", self.images.digest(image)),
                };
                if let Some(body) = body.as_object_mut() {
                    body.insert(member.into(), value.into());
                }
                self.call("PutImage", &body).await
            }
            Op::SetMutability { immutable } => {
                self.writers.set_mutability(immutable).await?;
                Ok(Some(Ret::Done))
            }
            Op::DeleteImage(image) => {
                let (digest, children) = (self.images.digest(image), self.images.children(image));
                Ok(done(self.writers.delete_image(&digest, &children).await?))
            }
            Op::DeleteTag(tag) => Ok(done(self.writers.delete_tag(&format!("t{tag}")).await?)),
            Op::Read => {
                let images = self.images.digests().map(|digest| format!("IMAGE#{digest}"));
                let keys = images.chain((0..4).map(|tag| format!("TAG#t{tag}"))).collect();
                Ok(Some(Ret::State(self.images.state(&self.writers.read(keys).await?))))
            }
        }
    }

    async fn call(&self, action: &str, body: &Value) -> Result<Option<Ret>, Failed> {
        let mut body = body.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("repositoryName".into(), self.repository.as_str().into());
        }
        let event = testing::event(action, DEFAULT_ACCOUNT, &body.to_string());
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(sweeping) = &self.sweeping {
            sweeping.begins(call);
        }
        self.progress.send_modify(|progress| {
            progress.busy -= 1;
            progress.calling += 1;
        });
        let response = invoke(&self.app, LambdaEvent::new(event, Context::default())).await;
        self.progress.send_modify(|progress| {
            progress.calling -= 1;
            progress.busy += 1;
        });
        let text = |pointer| response.pointer(pointer).and_then(Value::as_str);
        let answer = match response.get("statusCode").and_then(Value::as_u64) {
            Some(200) => Ret::Done,
            Some(..500) => {
                Ret::Refused(text("/headers/x-amzn-errortype").unwrap_or_default().to_owned())
            }
            Some(_) | None => return Ok(None),
        };
        if let Some(sweeping) = &self.sweeping {
            sweeping.is_over(call);
        }
        Ok(Some(answer))
    }

    fn invoke(&self, thread: usize, op: &Op) {
        // A thread invokes once before each return.
        let _ = lock(&self.tester).on_invoke(thread, op.clone());
        lock(&self.log).events.push(format!("  {thread:>2} → {op:?}"));
    }

    fn give(&self, thread: usize, op: &Op, ret: Option<Ret>) {
        let mut log = lock(&self.log);
        log.events.push(format!("  {thread:>2} ← {ret:?}"));
        let kind = match (&ret, op) {
            (_, Op::Read) => Some("reads".to_owned()),
            (None, _) => Some("calls without a definite result".to_owned()),
            (Some(Ret::Done), Op::Put { .. }) => Some("PutImage returned 200".to_owned()),
            (Some(Ret::Done), _) => Some("changes and deletions, successful".to_owned()),
            (Some(Ret::Refused(code)), Op::Put { .. }) => {
                Some(code.strip_suffix("Exception").unwrap_or(code).to_owned())
            }
            (Some(Ret::Refused(_)), _) => Some("deletions, rejected".to_owned()),
            (Some(Ret::State(_)), _) => None,
        };
        // The final read is not one of the history's calls.
        if let Some(kind) = kind.filter(|_| thread != usize::MAX) {
            *log.answers.entry(kind).or_default() += 1;
        }
        if let Some(ret) = ret {
            let _ = lock(&self.tester).on_return(thread, ret);
        }
    }
}

/// Draws faults for the calls to services under `faults`, and plants `bug` in them.
pub(crate) fn let_loose(
    faults: &Faults,
    seed: u64,
    percent: u8,
    bug: Option<&'static Bug>,
    counts: &Arc<Mutex<Counts>>,
) {
    let rng = Mutex::new(Rng::with_seed(seed));
    let counts = Arc::clone(counts);
    faults.on_call(move |call| {
        let mut rng = lock(&rng);
        let (kind, fault) = bug
            .and_then(|bug| (bug.fault)(&mut rng, call))
            .or_else(|| draw_fault(&mut rng, percent, &call.operation))?;
        *lock(&counts).faults.entry(kind).or_default() += 1;
        Some(fault)
    });
    if let Some(bug) = bug {
        faults.rewrite(move |call| (bug.rewrite)(call));
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
