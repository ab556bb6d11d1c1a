//! A progress bar for the upload of a blob.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use http_body::{Body, Frame, SizeHint};
use indicatif::{ProgressBar, ProgressStyle};

/// The least size of a blob with a bar, in bytes. Smaller uploads end too soon.
const LONG: u64 = 8 * 1024 * 1024;

/// Shows on standard error how much of `stream` has been sent, if that is a terminal and the blob
/// is large enough.
pub(crate) fn shown(stream: ByteStream, size: u64, name: &str) -> ByteStream {
    if size < LONG {
        return stream;
    }
    let bar = ProgressBar::new(size).with_message(name.to_owned());
    let template = "{msg} [{wide_bar}] {bytes}/{total_bytes}, {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    // Also called for the body of a retry, which starts again.
    ByteStream::new(stream.into_inner().map(move |body| {
        bar.reset();
        SdkBody::from_body_1_x(Counted { body, bar: bar.clone() })
    }))
}

struct Counted {
    body: SdkBody,
    bar: ProgressBar,
}

impl Body for Counted {
    type Data = <SdkBody as Body>::Data;
    type Error = <SdkBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.bar.inc(frame.data_ref().map_or(0, |data| data.len() as u64));
            }
            Poll::Ready(None) => self.bar.finish_and_clear(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
