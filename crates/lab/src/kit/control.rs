//! `/simulator/…`, as far as it is the same for all: the handles of a simulator, for another process.
//!
//! | request | does |
//! | --- | --- |
//! | `POST /faults`, `GET /faults`, `DELETE /faults` | adds, lists, clears |
//! | `GET /journal?after=` | JSON lines, from that sequence number on |

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Kit;
use super::answers;
use super::faults::{Fault, FaultRefused};
use super::journal::Entry;

/// A simulator that can be controlled.
pub(crate) trait Controlled: Send + Sync + 'static {
    /// What its journal holds.
    type Entry: Entry + Unpin;
    /// What goes wrong in it.
    type Fault: Fault + Serialize + DeserializeOwned + Send + Sync;

    fn kit(&self) -> &Kit<Self::Entry, Self::Fault>;

    /// What happened after the entry with this number.
    fn journal_after(&self, sequence: u64) -> Vec<Self::Entry> {
        self.kit().journal.after(sequence)
    }
}

/// What all have; each adds its own.
pub(crate) fn router<W: Controlled>() -> Router<Arc<W>> {
    Router::new()
        .route("/faults", post(add_fault::<W>).get(list_faults::<W>).delete(clear_faults::<W>))
        .route("/journal", get(journal::<W>))
}

/// Why a request was not granted.
pub(crate) struct Refusal {
    status: u16,
    reason: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, reason: impl ToString) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answers::plain(self.status, self.reason)
    }
}

pub(crate) type Answer = Result<Response, Refusal>;

impl<E, F> Kit<E, F> {
    /// Reads a request's body up to the configured size.
    pub(crate) async fn read_body(&self, body: Body) -> Result<Bytes, Refusal> {
        let bytes_max = self.body_bytes_max;
        let too_large = |_| Refusal::new(413, format!("the body is larger than {bytes_max} bytes"));
        axum::body::to_bytes(body, bytes_max).await.map_err(too_large)
    }

    pub(crate) async fn read_json<T: DeserializeOwned>(&self, body: Body) -> Result<T, Refusal> {
        let bytes = self.read_body(body).await?;
        serde_json::from_slice(&bytes).map_err(|error| Refusal::new(400, error))
    }
}

async fn add_fault<W: Controlled>(State(world): State<Arc<W>>, body: Body) -> Answer {
    let faults = &world.kit().faults;
    faults.add(world.kit().read_json(body).await?).map_err(|refused| match refused {
        FaultRefused::Meaningless(why) => Refusal::new(400, why),
        FaultRefused::TooMany => Refusal::new(409, refused),
    })?;
    Ok(answers::json(&json!({ "faults": faults.pending().len() })))
}

async fn list_faults<W: Controlled>(State(world): State<Arc<W>>) -> Response {
    answers::json(&world.kit().faults.pending())
}

async fn clear_faults<W: Controlled>(State(world): State<Arc<W>>) -> Response {
    world.kit().faults.clear();
    answers::json(&json!({ "faults": 0 }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalFrom {
    #[serde(default)]
    after: u64,
}

async fn journal<W: Controlled>(State(world): State<Arc<W>>, Query(from): Query<JournalFrom>) -> Response {
    let lines = JournalLines(world.journal_after(from.after).into_iter());
    answers::answer(200, "application/jsonl; charset=utf-8", Body::new(lines))
}

/// The journal written a piece at a time: whole, it could be as large as everything that ever happened.
struct JournalLines<E>(IntoIter<E>);

const LINES_PER_FRAME: usize = 256;

impl<E: Entry + Unpin> HttpBody for JournalLines<E> {
    type Data = Bytes;
    type Error = serde_json::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut lines = Vec::new();
        for entry in self.0.by_ref().take(LINES_PER_FRAME) {
            if let Err(error) = serde_json::to_writer(&mut lines, &entry) {
                return Poll::Ready(Some(Err(error)));
            }
            lines.push(b'\n');
        }
        Poll::Ready((!lines.is_empty()).then(|| Ok(Frame::data(Bytes::from(lines)))))
    }
}
