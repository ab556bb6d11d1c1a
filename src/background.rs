//! Work that goes on while something else is awaited.

use std::pin::Pin;

use futures_util::future::{BoxFuture, FutureExt as _, MaybeDone, maybe_done};

/// A future that makes progress only [`during`](Self::during) others, and in [`take`](Self::take).
///
/// `join!` and `select!` do not serve here: a result must not wait for this work, and the work must
/// outlive several awaits.
pub(crate) struct Background<'a, T>(Option<MaybeDone<BoxFuture<'a, T>>>);

impl<'a, T> Background<'a, T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Some(maybe_done(work.boxed())))
    }

    /// Runs `main` to completion, and this work concurrently as far as it gets.
    pub(crate) async fn during<M: Future>(&mut self, main: M) -> M::Output {
        let mut main = std::pin::pin!(main);
        std::future::poll_fn(|context| {
            if let Some(work) = &mut self.0 {
                let _ = Pin::new(work).poll(context);
            }
            main.as_mut().poll(context)
        })
        .await
    }

    /// Waits for the result; `None` if it was taken before.
    pub(crate) async fn take(&mut self) -> Option<T> {
        let work = self.0.as_mut()?;
        work.await;
        self.0.take().and_then(|mut work| Pin::new(&mut work).take_output())
    }
}
