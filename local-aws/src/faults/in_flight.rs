//! The attempts in flight: which of them a test holds, and when a client's time-out may end one.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use tokio::sync::watch;

use super::Faults;

/// The shortest time-out of the service's clients.
const SHORTEST_TIME_OUT: Duration = Duration::from_secs(1);

/// How often all tasks get their turn before it is certain that a client does nothing more: with the
/// response to an attempt it may begin the next.
const TURNS: usize = 16;

/// How many attempts there are. Those that hang are not counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Those that the service handles.
    sent: usize,
    /// Those that are to be sent, or their response to be returned, after a time.
    delayed: usize,
    /// Those that wait for a release. A held response stays counted when its client gives up.
    held: usize,
    releases: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<watch::Sender<Counts>>);

/// Counts an attempt until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    counts: Arc<watch::Sender<Counts>>,
    count: fn(&mut Counts) -> &mut usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.send_modify(|counts| *(self.count)(counts) -= 1);
    }
}

impl InFlight {
    fn count(&self, count: fn(&mut Counts) -> &mut usize) -> Counted {
        self.0.send_modify(|counts| *count(counts) += 1);
        Counted { counts: Arc::clone(&self.0), count }
    }

    pub(super) fn is_sent(&self) -> Counted {
        self.count(|counts| &mut counts.sent)
    }

    pub(super) fn is_delayed(&self) -> Counted {
        self.count(|counts| &mut counts.delayed)
    }

    /// How many releases there were.
    pub(super) fn releases(&self) -> u64 {
        self.0.borrow().releases
    }

    /// Waits for the first release after so many. The attempt then counts as sent, without a gap.
    pub(super) async fn hold(&self, releases: u64) -> Counted {
        let _held = self.count(|counts| &mut counts.held);
        self.wait_for(|counts| counts.releases > releases).await;
        self.is_sent()
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|counts| counts.releases += 1);
    }

    /// Waits until one is held at least, and the service handles none.
    pub(super) async fn all_held(&self) {
        let are_held = |counts: &Counts| counts.held > 0 && counts.sent == 0;
        let mut turns = 0;
        while turns < TURNS {
            self.wait_for(are_held).await;
            tokio::task::yield_now().await;
            turns = if are_held(&self.0.borrow()) { turns + 1 } else { 0 };
        }
    }

    /// Waits until all hang.
    async fn all_hang(&self) {
        self.wait_for(|counts| counts.sent + counts.delayed + counts.held == 0).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Counts) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

/// A time-out ends only when every attempt in flight hangs. A response that a busy machine delays
/// does not count as lost. A pause as long as a time-out cannot be told from one, and ends then, too.
impl AsyncSleep for Faults {
    fn sleep(&self, duration: Duration) -> Sleep {
        let (in_flight, time) = (self.0.in_flight.clone(), tokio::time::sleep(duration));
        Sleep::new(async move {
            time.await;
            if duration >= SHORTEST_TIME_OUT {
                in_flight.all_hang().await;
            }
        })
    }
}
