//! The page for people: what `/status` says, in any browser, live.
//!
//! A page, a style sheet, a script and an icon are built into the binary, so a browser needs nothing but this listener.
//! The script reads `/status/stream`: one event a second with the instances it asked for, worst first. The instances
//! are looked at once a second however many pages are open, and not at all while none is.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Shown;
use snapshot::{Snapshot, Wanted};

mod snapshot;

/// Between two events of a stream.
const INTERVAL: Duration = Duration::from_secs(1);
/// How old a snapshot may be to be given to another page. Less than the interval, so that no page gets one twice.
const SHARED_FOR: Duration = Duration::from_millis(900);
/// How many pages can be open at a time.
const STREAMS_MAX: usize = 32;

/// What all open pages share.
struct Live {
    shown: Shown,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The page and its stream, which ends at `stop`.
pub(super) fn router(shown: Shown, stop: CancellationToken) -> Router {
    let live = Live { shown, latest: Mutex::default(), places: Arc::new(Semaphore::new(STREAMS_MAX)), stop };
    let file = |kind: &'static str, content: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], content) })
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/page.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .route("/page.svg", file("image/svg+xml", include_str!("page/page.svg")))
        .route("/status/stream", get(stream))
        .with_state(Arc::new(live))
}

async fn stream(State(live): State<Arc<Live>>, Query(wanted): Query<Wanted>) -> Response {
    let Ok(place) = Arc::clone(&live.places).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many status pages are open\n").into_response();
    };
    let wanted = wanted.bounded();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = stream::unfold((live, wanted, ticks, place), async |(live, wanted, mut ticks, place)| {
        live.stop.run_until_cancelled(ticks.tick()).await?;
        let event = live.shown.redactor.json(&live.snapshot().answer(&wanted)).map(|text| Event::default().data(text));
        Some((event, (live, wanted, ticks, place)))
    });
    Sse::new(events).into_response()
}

impl Live {
    fn snapshot(&self) -> Arc<Snapshot> {
        // Held while looking: whoever comes meanwhile waits for the same look rather than taking its own.
        let mut latest = self.latest.lock();
        match &*latest {
            Some((at, snapshot)) if at.elapsed() < SHARED_FOR => Arc::clone(snapshot),
            _ => {
                let snapshot = Arc::new(Snapshot::of(&self.shown));
                *latest = Some((Instant::now(), Arc::clone(&snapshot)));
                snapshot
            }
        }
    }
}
