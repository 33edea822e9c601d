//! A body that comes in pieces, or breaks off.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame};
use tokio::time::{Sleep, sleep};

/// Gives its pieces with a pause between, and then ends or fails.
pub(crate) struct Pieces {
    rest: VecDeque<Bytes>,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    Whole,
    /// hyper writes what it has before it asks again; failing at once would discard the bytes.
    Flushing,
    Broken,
}

impl Pieces {
    /// All of it, this long apart.
    pub(crate) fn apart(rest: VecDeque<Bytes>, pause: Duration) -> Self {
        Self { rest, pause, waiting: None, end: End::Whole }
    }

    /// So much, then the connection is lost.
    pub(crate) fn broken_off(rest: VecDeque<Bytes>) -> Self {
        Self { end: End::Flushing, ..Self::apart(rest, Duration::ZERO) }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        if let Some(piece) = self.rest.pop_front() {
            self.waiting = (!self.rest.is_empty()).then(|| Box::pin(sleep(self.pause)));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Flushing => {
                self.end = End::Broken;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Broken => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }
}
