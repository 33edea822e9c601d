//! Fetches the messages of a gap, chat by chat.
//!
//! ChatApp cannot list messages by time. It lists chats by their latest activity, and the messages of a chat from a
//! given time on. So first come the chats with activity since the gap began, then the messages of each. `walk` decides
//! which page comes next; this module asks, with retries, and hands over what came. The result is everything, or a
//! statement that something is missing: no page is left out silently. Fetching the same gap again gives the same
//! messages again.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::sleep;
use tracing::debug;

use crate::chatapp::api::{ChatSummary, Line, Page, Start};
use chatbridge_base::retry::Backoff;

mod walk;

use walk::{Ask, ChatWalk, MessageWalk, Position};

/// If this many chats in a row cannot be read, the chats are not the cause.
const CHATS_IN_TROUBLE_MAX: usize = 3;

/// Lists chats and messages.
pub trait History: Send + Sync {
    /// A page of the chats of a line, latest activity first.
    fn chats(&self, line: &Line, start: Start<'_>) -> impl Future<Output = Result<Page<ChatSummary>, Obstacle>> + Send;

    /// A page of a chat's messages, oldest first.
    fn messages(
        &self,
        line: &Line,
        chat: &str,
        start: Start<'_>,
    ) -> impl Future<Output = Result<Page<Box<RawValue>>, Obstacle>> + Send;
}

/// Why a page did not come. The variants differ in what comes next. The details are logged, so they name nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Ask again.
    Again {
        /// Wait at least this long.
        least: Option<Duration>,
        /// What happened.
        detail: String,
    },
    /// This page will never come.
    Never {
        /// Why.
        detail: String,
    },
    /// No page will come until somebody has acted.
    Stop {
        /// What to do.
        detail: String,
    },
}

/// Takes the fetched messages.
pub trait Sink: Send + Sync {
    /// The time of a request, in the sink's own order.
    type Moment: Copy + Send + Sync;

    /// Now.
    fn moment(&self) -> Self::Moment;

    /// Returns when these items, requested at `asked_at`, are durable; `false` if they never will be, because the
    /// process is ending.
    fn take(&self, chat: &str, items: Vec<Box<RawValue>>, asked_at: Self::Moment) -> impl Future<Output = bool> + Send;
}

/// A stretch of time in which something may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; what is later was heard.
    pub to: Timestamp,
}

/// Limits of a back-fill.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Pages of the list of chats, over all passes.
    pub chat_pages_max: usize,
    /// Pages of one chat's messages.
    pub message_pages_max: usize,
    /// How often a page is requested.
    pub attempts_max: u32,
    /// The first wait after a failure; it doubles, with jitter, …
    pub retry_min: Duration,
    /// … up to this.
    pub retry_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chat_pages_max: 1000,
            message_pages_max: 1000,
            attempts_max: 10,
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
        }
    }
}

/// How much was fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Messages handed over.
    pub items: u64,
    /// Chats read to the end.
    pub chats: u64,
}

/// The result of a back-fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that ChatApp has of the gap was handed over.
    Done(Fetched),
    /// Something is missing.
    GaveUp {
        /// The first reason.
        why: String,
        /// What was handed over nevertheless.
        fetched: Fetched,
        /// Chats with activity that were not read to the end; `None` if their number is unknown.
        chats_missed: Option<u64>,
        /// Whether ChatApp answered. If it did, trying again will hardly help; if not, nobody knows what it has.
        has_answered: bool,
    },
}

/// Why a list was not read to its end.
enum Failure {
    /// This list cannot be read.
    Unreadable(String),
    /// All attempts failed.
    Exhausted(String),
    /// No list can be read.
    Stopped(String),
}

/// Hands every message of `gap` on `line` to `sink`, in order per chat.
pub async fn backfill(history: &impl History, sink: &impl Sink, line: &Line, gap: Gap, limits: &Limits) -> Outcome {
    let mut fetched = Fetched::default();
    let chats = match moved_chats(history, line, gap, limits).await {
        Ok(chats) => chats,
        Err(failure) => {
            let has_answered = matches!(failure, Failure::Unreadable(_));
            return Outcome::GaveUp { why: failure.detail(), fetched, chats_missed: None, has_answered };
        }
    };
    debug!(chats = chats.len(), messenger = line.messenger, "back-fill: chats moved");
    let (mut why, mut missed, mut in_trouble, mut is_over) = (None, 0, 0, false);
    let chats_total = chats.len() as u64;
    for chat in chats {
        let failure = match read_chat(history, sink, line, &chat, gap, limits, &mut fetched.items).await {
            Ok(()) => {
                fetched.chats += 1;
                in_trouble = 0;
                continue;
            }
            Err(failure) => failure,
        };
        missed += 1;
        in_trouble += usize::from(matches!(failure, Failure::Exhausted(_)));
        is_over = matches!(failure, Failure::Stopped(_)) || in_trouble == CHATS_IN_TROUBLE_MAX;
        why.get_or_insert_with(|| failure.detail());
        if is_over {
            missed = chats_total - fetched.chats;
            break;
        }
    }
    match why {
        None => Outcome::Done(fetched),
        Some(why) => Outcome::GaveUp { why, fetched, chats_missed: Some(missed), has_answered: !is_over },
    }
}

/// The chats with activity since the gap began.
async fn moved_chats(history: &impl History, line: &Line, gap: Gap, limits: &Limits) -> Result<Vec<String>, Failure> {
    let mut walk = ChatWalk::new(gap.from, limits.chat_pages_max);
    let mut ask = walk.first();
    loop {
        match ask {
            Ask::Page(position) => {
                let page = patiently(limits, || history.chats(line, position.start())).await?;
                ask = walk.took(page);
            }
            Ask::Done => return Ok(walk.into_chats()),
            Ask::GiveUp(why) => return Err(Failure::Unreadable(why.to_owned())),
        }
    }
}

async fn read_chat(
    history: &impl History,
    sink: &impl Sink,
    line: &Line,
    chat: &str,
    gap: Gap,
    limits: &Limits,
    items_taken: &mut u64,
) -> Result<(), Failure> {
    let mut walk = MessageWalk::new(gap, limits.message_pages_max);
    let mut ask = walk.first();
    loop {
        match ask {
            Ask::Page(position) => {
                let (page, asked_at) = patiently(limits, || async {
                    let asked_at = sink.moment();
                    Ok((history.messages(line, chat, position.start()).await?, asked_at))
                })
                .await?;
                let (items, next) = walk.took(page);
                ask = next;
                let count = items.len() as u64;
                if count > 0 && !sink.take(chat, items, asked_at).await {
                    return Err(Failure::Stopped("the process ends".to_owned()));
                }
                *items_taken += count;
            }
            Ask::Done => return Ok(()),
            Ask::GiveUp(why) => return Err(Failure::Unreadable(why.to_owned())),
        }
    }
}

/// Retries until there is an answer or the attempts are used up.
async fn patiently<T, F: Future<Output = Result<T, Obstacle>>>(
    limits: &Limits,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut backoff = Backoff::new(limits.retry_min, limits.retry_max);
    let mut attempts = 0;
    loop {
        let (least, detail) = match ask().await {
            Ok(page) => return Ok(page),
            Err(Obstacle::Never { detail }) => return Err(Failure::Unreadable(detail)),
            Err(Obstacle::Stop { detail }) => return Err(Failure::Stopped(detail)),
            Err(Obstacle::Again { least, detail }) => (least, detail),
        };
        attempts += 1;
        if attempts >= limits.attempts_max {
            return Err(Failure::Exhausted(detail));
        }
        let wait = backoff.next_at_least(least.unwrap_or(Duration::ZERO), fastrand::f64());
        debug!(detail, seconds = wait.as_secs(), "back-fill: a page is asked for again");
        sleep(wait).await;
    }
}

impl Failure {
    fn detail(&self) -> String {
        match self {
            Self::Unreadable(detail) | Self::Stopped(detail) => detail.clone(),
            Self::Exhausted(detail) => format!("asked again and again: {detail}"),
        }
    }
}

impl Position {
    fn start(&self) -> Start<'_> {
        match self {
            Self::Top => Start::At(None),
            Self::From(time) => Start::At(Some(*time)),
            Self::Cursor(cursor) => Start::Cursor(cursor),
        }
    }
}

#[cfg(test)]
mod tests;
