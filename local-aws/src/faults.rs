//! Faults between an SDK client and the services: lost, late, repeated and refused calls, which
//! no local engine gives by itself. The client's own retries and time-outs stay in force.

mod answer;
mod batch;
mod client;
mod conflicts;
mod in_flight;
mod operation;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_types::SdkConfig;
use axum::body::Bytes;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use conflicts::Conflicts;
use in_flight::InFlight;

use crate::Stack;

/// What happens to one attempt of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Not sent; the client sees a broken connection.
    DropBefore,
    /// Sent and applied; the client sees a broken connection instead of the answer.
    DropAfter,
    /// Sent after this long, unless the client has given up by then ([`Fault::LateCopy`] does not
    /// care).
    Delay(Duration),
    /// Sent at once, answered this long after the service has answered.
    DelayAnswer(Duration),
    /// Sent at the next [`release`](Faults::release), unless the client has given up by then.
    Hold,
    /// Sent at once; the response comes at the next [`release`](Faults::release). Until then a
    /// transaction [conflicts](Faults::conflicts) with others.
    HoldResponse,
    /// Sent twice, one after the other; the client gets the second answer.
    Duplicate,
    /// The client sees a broken connection at once; the same bytes arrive after this long,
    /// whatever the client does meanwhile. [`Faults::settle`] waits for them.
    LateCopy(Duration),
    /// The client sees a broken connection at once; the same bytes arrive with
    /// [`settle`](Faults::settle).
    HeldCopy,
    /// Not sent, never answered: the client's time-out decides. [`Faults::hung`] tells of it.
    Hang,
    /// Sent and applied, never answered. [`Faults::hung`] tells of it.
    HangAfter,
    /// Sent to a port where nobody listens.
    Refuse,
    /// Sent and applied; answered with this status and a page of HTML.
    Garbage(u16),
    /// Sent and applied; the answer's body ends half-way, short of its `Content-Length`.
    TruncateBody,
    /// Not sent; answered with this error in the service's own shape (a HEAD has no body).
    Answer {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: &'static str,
        /// The service's message.
        message: &'static str,
    },
    /// Sent and applied, then answered with this error.
    AnswerAfter {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: &'static str,
        /// The service's message.
        message: &'static str,
    },
    /// Not sent; answered with `TransactionCanceledException` and these reason codes, one per
    /// action of the transaction, `None` written `"None"`.
    Cancelled(Vec<&'static str>),
    /// A `BatchGetItem` is sent without the last so many keys of each table; the response names them
    /// in `UnprocessedKeys`.
    LeaveOut(usize),
}

/// One attempt of a call, as it left the client.
#[derive(Clone, Debug)]
pub struct Call {
    /// `dynamodb`, `s3` or `kms`.
    pub service: &'static str,
    /// The API's name of the operation, such as `TransactWriteItems` or `HeadObject`.
    pub operation: String,
    /// The path and query of the request: for S3, what the call is about.
    pub path: String,
    /// The request's body, at most its first 64 KiB.
    pub body: Bytes,
    /// Its place in a chain of calls that waited for one another: one more than the latest call
    /// that was answered before this one left, from 1. Calls in flight together share a round.
    pub round: usize,
}

/// What is to happen, and what has happened. Clones share both.
///
/// What has been sent arrives, whatever becomes of the client meanwhile, as over a real network.
///
/// For each attempt, the first of these that says something decides: the operation's script, its
/// [`always`](Faults::always), the [`on_call`](Faults::on_call) hook. Transaction conflicts come on
/// top of all.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plan: Mutex<Plan>,
    calls: Mutex<Vec<Call>>,
    /// The latest round of which a call was answered.
    answered: AtomicUsize,
    conflicts: Mutex<Option<Conflicts>>,
    conflicted: AtomicUsize,
    hung: Notify,
    in_flight: InFlight,
    /// The copies that wait for [`Faults::settle`].
    copies: InFlight,
    under_way: TaskTracker,
    client: client::PlainHttp,
}

type Hook = Arc<dyn Fn(&Call) -> Option<Fault> + Send + Sync>;
type Rewrite = Arc<dyn Fn(&Call) -> Option<Vec<u8>> + Send + Sync>;

#[derive(Default)]
struct Plan {
    scripts: HashMap<&'static str, VecDeque<Option<Fault>>>,
    always: HashMap<&'static str, Fault>,
    hook: Option<Hook>,
    rewrite: Option<Rewrite>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("scripts", &self.scripts)
            .field("always", &self.always)
            .field("hook", &self.hook.is_some())
            .field("rewrite", &self.rewrite.is_some())
            .finish()
    }
}

impl Faults {
    /// No faults yet: every call passes and is recorded.
    #[must_use]
    pub fn new() -> Self {
        Faults::default()
    }

    /// Faults for the next attempts of `operation`, in order; `None` lets one pass.
    pub fn script(&self, operation: &'static str, faults: impl IntoIterator<Item = Option<Fault>>) {
        lock(&self.0.plan).scripts.entry(operation).or_default().extend(faults);
    }

    /// The fault of every attempt of `operation` that is not scripted.
    pub fn always(&self, operation: &'static str, fault: Fault) {
        lock(&self.0.plan).always.insert(operation, fault);
    }

    /// Asks `hook` about every attempt that nothing else decides, for random histories.
    pub fn on_call(&self, hook: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
        lock(&self.0.plan).hook = Some(Arc::new(hook));
    }

    /// Sends what `rewrite` makes of a call's body instead of the body itself, where it makes
    /// something: a client with a bug planted in it. Calls are recorded as they were meant.
    pub fn rewrite(&self, rewrite: impl Fn(&Call) -> Option<Vec<u8>> + Send + Sync + 'static) {
        lock(&self.0.plan).rewrite = Some(Arc::new(rewrite));
    }

    /// Lets transactions take time and conflict as they do in `DynamoDB`: each takes a time drawn
    /// from `service_time`, and of two that overlap on an item, at least one of them writing it,
    /// the later is cancelled with `TransactionConflict`. Plain calls never conflict.
    pub fn conflicts(&self, service_time: Range<Duration>) {
        *lock(&self.0.conflicts) = Some(Conflicts::new(service_time));
    }

    /// Forgets every fault, the hook and the conflicts, and releases what is held; the record of
    /// calls stays.
    pub fn clear(&self) {
        *lock(&self.0.plan) = Plan::default();
        *lock(&self.0.conflicts) = None;
        self.release();
    }

    /// The SDK configuration of `stack`, with every call going through these faults, and with
    /// time-outs that only faults decide: one of a second or more ends an attempt only while every
    /// attempt in flight hangs, by [`Fault::Hang`] or [`Fault::HangAfter`]. A busy machine then makes
    /// no repetitions.
    #[must_use]
    pub fn sdk_config(&self, stack: &Stack) -> SdkConfig {
        stack.faulted_sdk_config(self).into_builder().sleep_impl(self.clone()).build()
    }

    /// Every attempt so far, retries included, in order of departure.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).clone()
    }

    /// How many attempts of `operation` there were, retries included.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.0.calls).iter().filter(|call| call.operation == operation).count()
    }

    /// How many transactions were cancelled because they overlapped with another.
    #[must_use]
    pub fn conflicted(&self) -> usize {
        self.0.conflicted.load(Ordering::Relaxed)
    }

    /// Waits until an attempt hangs by [`Fault::Hang`], or by [`Fault::HangAfter`] and the service
    /// has answered.
    pub async fn hung(&self) {
        self.0.hung.notified().await;
    }

    /// Waits until an attempt is held by [`Fault::Hold`], or by [`Fault::HoldResponse`] and the
    /// service has responded, and until nothing else is in flight but what is held or hangs.
    pub async fn held(&self) {
        self.0.in_flight.all_held().await;
    }

    /// Lets everything go on that is held.
    pub fn release(&self) {
        self.0.in_flight.release();
    }

    /// How many calls waited for one another, the longest way through all recorded ones: the
    /// sequential round trips.
    #[must_use]
    pub fn rounds(&self) -> usize {
        lock(&self.0.calls).iter().map(|call| call.round).max().unwrap_or_default()
    }

    /// Forgets the recorded calls; rounds are counted anew.
    pub fn reset_calls(&self) {
        lock(&self.0.calls).clear();
        self.0.answered.store(0, Ordering::Relaxed);
    }

    /// Waits until all that was sent has been answered, every [`Fault::LateCopy`] and every
    /// [`Fault::HeldCopy`] included. A [`Fault::HoldResponse`] has to be released before.
    pub async fn settle(&self) {
        self.0.copies.release();
        self.0.under_way.close();
        self.0.under_way.wait().await;
        self.0.under_way.reopen();
    }

    /// Records an attempt, and says what happens to it.
    fn decide(&self, call: &Call) -> Option<Fault> {
        lock(&self.0.calls).push(call.clone());
        let hook = {
            let mut plan = lock(&self.0.plan);
            let operation = call.operation.as_str();
            if let Some(fault) = plan.scripts.get_mut(operation).and_then(VecDeque::pop_front) {
                return fault;
            }
            if let Some(fault) = plan.always.get(operation) {
                return Some(fault.clone());
            }
            plan.hook.clone()
        };
        hook.and_then(|hook| hook(call))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
