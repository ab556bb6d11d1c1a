//! The attempts in flight: which of them a test holds, and when a client's time-out may end one.

use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use tokio::sync::watch;

use super::Faults;

/// The shortest time-out of the service's clients. The pauses between their retries are shorter.
const SHORTEST_TIME_OUT: Duration = Duration::from_secs(1);

/// How many attempts there are.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    /// Of those, the ones that never get a response.
    hung: usize,
    /// Those that wait for a release. A held response stays counted when its client gives up.
    held: usize,
    releases: u64,
}

#[derive(Debug, Default)]
pub(super) struct InFlight(watch::Sender<Counts>);

/// Counts an attempt until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    counts: &'a watch::Sender<Counts>,
    count: fn(&mut Counts) -> &mut usize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.counts.send_modify(|counts| *(self.count)(counts) -= 1);
    }
}

impl InFlight {
    fn count(&self, count: fn(&mut Counts) -> &mut usize) -> Counted<'_> {
        self.0.send_modify(|counts| *count(counts) += 1);
        Counted { counts: &self.0, count }
    }

    pub(super) fn begins(&self) -> Counted<'_> {
        self.count(|counts| &mut counts.all)
    }

    pub(super) fn hangs(&self) -> Counted<'_> {
        self.count(|counts| &mut counts.hung)
    }

    /// How many releases there were.
    pub(super) fn releases(&self) -> u64 {
        self.0.borrow().releases
    }

    /// Waits for the next release.
    pub(super) async fn hold(&self) {
        self.hold_since(self.releases()).await;
    }

    /// Waits for the first release after so many.
    pub(super) async fn hold_since(&self, releases: u64) {
        let _held = self.count(|counts| &mut counts.held);
        self.wait_for(|counts| counts.releases > releases).await;
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|counts| counts.releases += 1);
    }

    /// Waits until one is held at least, and all others hang.
    pub(super) async fn all_held(&self) {
        self.wait_for(|counts| counts.held > 0 && counts.all <= counts.held + counts.hung).await;
    }

    /// Waits until one hangs at least, and so do all others.
    async fn all_hang(&self) {
        self.wait_for(|counts| counts.hung > 0 && counts.all == counts.hung).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Counts) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

/// A time-out ends only when every attempt in flight hangs. A response that a busy machine delays
/// does not count as lost.
impl AsyncSleep for Faults {
    fn sleep(&self, duration: Duration) -> Sleep {
        let (faults, time) = (self.clone(), tokio::time::sleep(duration));
        Sleep::new(async move {
            time.await;
            if duration >= SHORTEST_TIME_OUT {
                faults.0.in_flight.all_hang().await;
            }
        })
    }
}
