//! Faults between an SDK client and the services: lost, late, repeated and rejected calls, which no
//! local engine produces by itself. The client's own retries and time-outs stay in force.

mod batch;
mod client;
mod conflicts;
mod in_flight;
mod operation;
mod response;

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
    /// Not sent. The client sees a broken connection.
    DropBefore,
    /// Sent and applied. The client sees a broken connection instead of the response.
    DropAfter,
    /// Sent after this time, unless the client has given up by then. See also [`Fault::LateCopy`].
    Delay(Duration),
    /// Sent at once. The response is delayed by this time.
    DelayAnswer(Duration),
    /// Sent at the next [`release`](Faults::release), unless the client has given up by then.
    Hold,
    /// Sent at once. The response comes at the next [`release`](Faults::release). Until then a
    /// transaction [conflicts](Faults::conflicts) with others.
    HoldResponse,
    /// Sent twice, one after the other. The client gets the second response.
    Duplicate,
    /// The client sees a broken connection at once. The same bytes arrive after this time, whatever
    /// the client does meanwhile. [`Faults::settle`] waits for them.
    LateCopy(Duration),
    /// The client sees a broken connection at once. The same bytes arrive with
    /// [`settle`](Faults::settle).
    HeldCopy,
    /// Not sent, and without a response, so that the client's time-out decides. See
    /// [`Faults::hung`].
    Hang,
    /// Sent and applied, but without a response. See [`Faults::hung`].
    HangAfter,
    /// Sent to a port without a listener.
    Refuse,
    /// Sent and applied. The response is this status and a page of HTML.
    Garbage(u16),
    /// Sent and applied. The response's body ends half-way, short of its `Content-Length`.
    TruncateBody,
    /// Not sent. The response is this error in the service's own shape. A HEAD has no body.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: &'static str,
        /// The service's message.
        message: &'static str,
    },
    /// Sent and applied. The response is this error.
    AnswerAfter {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: &'static str,
        /// The service's message.
        message: &'static str,
    },
    /// Not sent. The response is `TransactionCanceledException` with these reason codes, one for
    /// each action of the transaction. The code of an action that did not fail is `"None"`.
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
    /// The path and query of the request. In S3 they name the bucket and the key.
    pub path: String,
    /// The request's body, cut off after 64 KiB.
    pub body: Bytes,
    /// The sequential round trip that the call belongs to, from 1: one more than the latest round
    /// with a response before this call left. Calls in flight concurrently share a round.
    pub round: usize,
}

/// The faults to come and the calls so far. Clones share both.
///
/// As over a real network, a sent request arrives whatever happens to the client meanwhile.
///
/// The fault of an attempt comes from the first of these that has one: the operation's script, its
/// [`always`](Faults::always), the [`on_call`](Faults::on_call) hook. Transaction conflicts come in
/// addition.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plan: Mutex<Plan>,
    calls: Mutex<Vec<Call>>,
    /// The latest round with a response.
    completed: AtomicUsize,
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
    /// Without faults. Every call passes and is recorded.
    #[must_use]
    pub fn new() -> Self {
        Faults::default()
    }

    /// Faults for the next attempts of `operation`, in order. `None` lets an attempt pass.
    pub fn script(&self, operation: &'static str, faults: impl IntoIterator<Item = Option<Fault>>) {
        lock(&self.0.plan).scripts.entry(operation).or_default().extend(faults);
    }

    /// The fault of every attempt of `operation` that is not scripted.
    pub fn always(&self, operation: &'static str, fault: Fault) {
        lock(&self.0.plan).always.insert(operation, fault);
    }

    /// Calls `hook` for every attempt without another fault, for random histories.
    pub fn on_call(&self, hook: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
        lock(&self.0.plan).hook = Some(Arc::new(hook));
    }

    /// Sends the result of `rewrite`, if there is one, instead of a call's body. This plants a bug in
    /// the client. Calls are recorded with their own bodies.
    pub fn rewrite(&self, rewrite: impl Fn(&Call) -> Option<Vec<u8>> + Send + Sync + 'static) {
        lock(&self.0.plan).rewrite = Some(Arc::new(rewrite));
    }

    /// Makes transactions take time and conflict as they do in `DynamoDB`. Each takes a time drawn
    /// from `service_time`. If two overlap on an item and one of them writes it, the later is
    /// cancelled with `TransactionConflict`. Plain calls never conflict.
    pub fn conflicts(&self, service_time: Range<Duration>) {
        *lock(&self.0.conflicts) = Some(Conflicts::new(service_time));
    }

    /// Removes every fault, the hook and the conflicts, and releases what is held. The record of
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

    /// Every attempt so far, retries included, in the order in which they were sent.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).clone()
    }

    /// The number of attempts of `operation`, retries included.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.0.calls).iter().filter(|call| call.operation == operation).count()
    }

    /// The number of transactions that were cancelled because they overlapped with another.
    #[must_use]
    pub fn conflicted(&self) -> usize {
        self.0.conflicted.load(Ordering::Relaxed)
    }

    /// Waits until an attempt hangs by [`Fault::Hang`], or by [`Fault::HangAfter`] after the service
    /// has responded.
    pub async fn hung(&self) {
        self.0.hung.notified().await;
    }

    /// Waits until an attempt is held by [`Fault::Hold`], or by [`Fault::HoldResponse`] after the
    /// service has responded, and until the service handles no other attempt. On a runtime of one
    /// thread the clients have then done all that they can.
    pub async fn held(&self) {
        self.0.in_flight.all_held().await;
    }

    /// Lets everything go on that is held.
    pub fn release(&self) {
        self.0.in_flight.release();
    }

    /// The number of sequential round trips of the recorded calls.
    #[must_use]
    pub fn rounds(&self) -> usize {
        lock(&self.0.calls).iter().map(|call| call.round).max().unwrap_or_default()
    }

    /// Clears the record of calls. Rounds are counted from 1 again.
    pub fn reset_calls(&self) {
        lock(&self.0.calls).clear();
        self.0.completed.store(0, Ordering::Relaxed);
    }

    /// Waits until every sent request has its response, including every [`Fault::LateCopy`] and
    /// every [`Fault::HeldCopy`]. A [`Fault::HoldResponse`] has to be released before.
    pub async fn settle(&self) {
        self.0.copies.release();
        self.0.under_way.close();
        self.0.under_way.wait().await;
        self.0.under_way.reopen();
    }

    /// Records an attempt and returns its fault.
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
