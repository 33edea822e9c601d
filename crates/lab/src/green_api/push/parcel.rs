//! A push's body on its way: whole, in pieces, or lost half-way.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame};
use tokio::time::{Sleep, sleep};

/// The bytes of one event, and how they are sent.
pub(super) struct Parcel {
    promised_bytes: usize,
    pieces: VecDeque<Bytes>,
    pause: Duration,
    is_broken: bool,
    coding: Option<&'static str>,
}

impl Parcel {
    pub(super) fn whole(body: Bytes) -> Self {
        let (promised_bytes, pieces) = (body.len(), [body].into());
        Self { promised_bytes, pieces, pause: Duration::ZERO, is_broken: false, coding: None }
    }

    /// Says that it is compressed so.
    pub(super) fn compressed(body: Bytes, coding: &'static str) -> Self {
        Self { coding: Some(coding), ..Self::whole(body) }
    }

    /// Promises everything, sends so much, and takes the connection down.
    pub(super) fn broken_off(body: &Bytes, bytes: usize) -> Self {
        // The last byte is never sent: a parcel that arrives whole is not broken.
        let kept = body.slice(..bytes.min(body.len().saturating_sub(1)));
        Self { promised_bytes: body.len(), is_broken: true, ..Self::whole(kept) }
    }

    /// So many bytes at a time, with a pause between.
    pub(super) fn trickling(mut body: Bytes, bytes: usize, pause: Duration) -> Self {
        let promised_bytes = body.len();
        let mut pieces = VecDeque::new();
        while !body.is_empty() {
            pieces.push_back(body.split_to(bytes.clamp(1, body.len())));
        }
        Self { promised_bytes, pieces, pause, is_broken: false, coding: None }
    }

    /// What `Content-Length` says.
    pub(super) fn promised_bytes(&self) -> usize {
        self.promised_bytes
    }

    /// What `Content-Encoding` says.
    pub(super) fn coding(&self) -> Option<&'static str> {
        self.coding
    }

    pub(super) fn into_body(mut self) -> reqwest::Body {
        if self.pieces.len() == 1
            && !self.is_broken
            && let Some(all) = self.pieces.pop_front()
        {
            return all.into();
        }
        let end = if self.is_broken { End::Flushing } else { End::Whole };
        reqwest::Body::wrap(Pieces { rest: self.pieces, pause: self.pause, waiting: None, end })
    }
}

struct Pieces {
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
