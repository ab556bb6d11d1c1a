//! Pauses between attempts.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(25);
const CAP: Duration = Duration::from_millis(250);

/// Full jitter: the k-th pause is drawn from 0 to 25 ms × 2^k, 250 ms at most. The caller limits
/// the number of pauses; the call's deadline limits their sum.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    pauses: u32,
}

impl Backoff {
    pub(crate) async fn pause(&mut self) {
        let longest = FIRST.saturating_mul(2_u32.saturating_pow(self.pauses)).min(CAP);
        self.pauses = self.pauses.saturating_add(1);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
    }
}
