//! Tokio's clock, which a test can stop, so that measured times do not depend on the machine.

use std::sync::mpsc;

/// Tokio's clock stands still until [`jump`](Self::jump) or [`resume`](Self::resume). Real I/O
/// continues.
pub(crate) struct StoppedClock(mpsc::Sender<()>);

impl StoppedClock {
    pub(crate) fn stop() -> Self {
        let (sender, receiver) = mpsc::channel();
        // A paused clock jumps to the next timer when its runtime is idle, and a runtime that waits
        // for a socket is idle. It does not jump while a blocking task runs.
        tokio::task::spawn_blocking(move || receiver.recv());
        tokio::time::pause();
        Self(sender)
    }

    /// From here on the clock jumps from timer to timer whenever the runtime is idle.
    pub(crate) fn jump(self) {
        drop(self.0);
    }

    /// From here on time passes as usual.
    pub(crate) fn resume(self) {
        tokio::time::resume();
        drop(self.0);
    }
}
