//! A push's body on its way: whole, in pieces, or lost half-way.

use std::collections::VecDeque;
use std::time::Duration;

use hyper::body::Bytes;

use crate::kit::pieces::Pieces;

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
        reqwest::Body::wrap(match self.is_broken {
            true => Pieces::broken_off(self.pieces),
            false => Pieces::apart(self.pieces, self.pause),
        })
    }
}
