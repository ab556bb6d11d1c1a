//! The wall clock, and the time that an invocation has left.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// In milliseconds since 1970. Every real deadline is later.
const YEAR_2001: u64 = 1_000_000_000_000;
/// The time before the invocation's own deadline that is reserved for the response.
const MARGIN: Duration = Duration::from_secs(2);

/// The wall clock, since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// How long an invocation may go on from `now`: `longest`, or the time until its own `deadline` (in
/// milliseconds since 1970, as the runtime gives it) less two seconds, if that is shorter.
#[must_use]
pub fn time_left(deadline: u64, now: Duration, longest: Duration) -> Duration {
    // Lambda always sets the deadline, as a time. A zero comes from tests, and `cargo lambda watch`
    // gives a duration.
    if deadline < YEAR_2001 {
        return longest;
    }
    let invocation = Duration::from_millis(deadline).saturating_sub(now);
    longest.min(invocation.saturating_sub(MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_leaves_two_seconds_of_the_invocations_own() {
        let longest = Duration::from_secs(24);
        let now = Duration::from_secs(2_000_000_000);
        let left = |deadline_s: u64| time_left(deadline_s * 1000, now, longest);
        assert_eq!(left(0), longest);
        assert_eq!(left(2_000_000_028), longest);
        assert_eq!(left(2_000_000_010), Duration::from_secs(8));
        assert_eq!(left(2_000_000_001), Duration::ZERO);
        assert_eq!(left(1_999_999_999), Duration::ZERO);
        assert_eq!(left(600), longest, "a duration, as cargo-lambda gives it");
    }
}
