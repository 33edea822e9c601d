//! A webhook that does as it is told and notes what it sees.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How one request is answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Status(u16),
    /// 307 to another path of its own.
    Redirect,
    /// 200, when the test lets it.
    Held,
    /// 200, this much later.
    Late(Duration),
}

#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// `None` when it broke off.
    pub(super) body: Option<Vec<u8>>,
}

impl Seen {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_deref().unwrap_or(b"broken off")).expect("text")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

#[derive(Default)]
struct Notes {
    seen: Vec<Seen>,
    replies: VecDeque<Reply>,
    at_once: usize,
    at_once_most: usize,
}

struct Desk {
    notes: Mutex<Notes>,
    changed: Notify,
    held: Semaphore,
}

/// Counts a request until it is answered or given up.
struct Guest<'d>(&'d Desk);

impl<'d> Guest<'d> {
    fn new(desk: &'d Desk) -> Self {
        let mut notes = desk.notes.lock().expect("lock");
        notes.at_once += 1;
        notes.at_once_most = notes.at_once_most.max(notes.at_once);
        Self(desk)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.notes.lock().expect("lock").at_once -= 1;
        self.0.changed.notify_waiters();
    }
}

/// Answers 200 unless told otherwise; gone when dropped.
pub(super) struct Receiver {
    pub(super) url: String,
    desk: Arc<Desk>,
    _stop: DropGuard,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    pub(super) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let desk = Arc::new(Desk { notes: Mutex::default(), changed: Notify::new(), held: Semaphore::new(0) });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&desk));
        let stop = CancellationToken::new();
        let served = axum::serve(listener, router).into_future();
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled(served).await });
        Self { url, desk, _stop: stop.drop_guard() }
    }

    /// The next requests are answered so, later ones 200.
    pub(super) fn will(&self, replies: impl IntoIterator<Item = Reply>) {
        self.desk.notes.lock().expect("lock").replies.extend(replies);
    }

    /// Lets one held request be answered.
    pub(super) fn let_go(&self) {
        self.desk.held.add_permits(1);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.desk.notes.lock().expect("lock").seen.clone()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.texts_from(0)
    }

    pub(super) fn texts_from(&self, first: usize) -> Vec<String> {
        self.seen()[first..].iter().map(|seen| seen.text().to_owned()).collect()
    }

    /// The most requests it ever had in hand together.
    pub(super) fn at_once_most(&self) -> usize {
        self.desk.notes.lock().expect("lock").at_once_most
    }

    /// Resolves once so many requests have been read.
    pub(super) async fn has_seen(&self, requests: usize) {
        self.wait(|notes| notes.seen.len() >= requests).await;
    }

    /// Resolves once no request is in hand.
    pub(super) async fn is_idle(&self) {
        self.wait(|notes| notes.at_once == 0).await;
    }

    async fn wait(&self, enough: impl Fn(&Notes) -> bool) {
        loop {
            let changed = self.desk.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if enough(&self.desk.notes.lock().expect("lock")) {
                return;
            }
            changed.await;
        }
    }
}

async fn receive(State(desk): State<Arc<Desk>>, request: Request<Body>) -> Response {
    let _guest = Guest::new(&desk);
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.ok().map(|bytes| bytes.to_vec());
    let reply = {
        let mut notes = desk.notes.lock().expect("lock");
        notes.seen.push(Seen { path: head.uri.path().to_owned(), headers: head.headers, body });
        notes.replies.pop_front().unwrap_or(Reply::Status(200))
    };
    desk.changed.notify_waiters();
    match reply {
        Reply::Status(code) => StatusCode::from_u16(code).expect("a status").into_response(),
        Reply::Redirect => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        Reply::Held => {
            desk.held.acquire().await.expect("open").forget();
            StatusCode::OK.into_response()
        }
        Reply::Late(after) => {
            sleep(after).await;
            StatusCode::OK.into_response()
        }
    }
}
