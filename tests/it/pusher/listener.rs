//! A client of the session under test, and everything it is told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chatbridge_base::clock::Reading;
use chatbridge_pusher::{
    Auth, AuthFailure, Authorizer, Cause, Client, EventSink, Limits, Link, Observer, Received, ReceivedFrame,
    Reconnect, Refusal, Report, Rule,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::support::soketi::{Application, KEY, Soketi, TOKEN};

/// Events come within milliseconds, a new connection within seconds; on a machine that has other things to do, later.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) struct Listener {
    pub(super) authorizer: Arc<Endpoint>,
    pub(super) sink: Arc<Sink>,
    events: mpsc::UnboundedReceiver<ReceivedFrame>,
    reports: mpsc::UnboundedReceiver<Report>,
    told: Vec<Report>,
    /// Told, and not waited for yet.
    passed_over: Vec<Report>,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
    http: reqwest::Client,
    publish_url: String,
}

impl Listener {
    pub(super) fn start(soketi: &Soketi, application: &Application, channels: &[&str], limits: Limits) -> Self {
        Self::start_with(soketi, application, channels, limits, |_| {})
    }

    pub(super) fn start_with(
        soketi: &Soketi,
        application: &Application,
        channels: &[&str],
        limits: Limits,
        prepare: impl FnOnce(&Endpoint),
    ) -> Self {
        let url = format!("ws://127.0.0.1:{}", soketi.port()).parse().expect("a URL");
        let link = Link::new(&url, KEY, None, &limits).expect("a link");
        Self::run(link, application, channels, limits, prepare)
    }

    pub(super) fn start_tls(
        soketi: &Soketi,
        application: &Application,
        channels: &[&str],
        limits: Limits,
        authorities: Option<&[u8]>,
    ) -> Self {
        let url = format!("wss://127.0.0.1:{}", soketi.port()).parse().expect("a URL");
        let link = Link::new(&url, KEY, authorities, &limits).expect("a link");
        Self::run(link, application, channels, limits, |_| {})
    }

    fn run(
        link: Link,
        application: &Application,
        channels: &[&str],
        limits: Limits,
        prepare: impl FnOnce(&Endpoint),
    ) -> Self {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let authorizer = Arc::new(Endpoint::new(http.clone(), application.auth_url()));
        prepare(&authorizer);
        let (take_event, events) = mpsc::unbounded_channel();
        let (take_report, reports) = mpsc::unbounded_channel();
        let sink = Arc::new(Sink { open: watch::Sender::new(true), offered: watch::Sender::new(0), take_event });
        let stop = CancellationToken::new();
        let client = Client {
            link,
            channels: channels.iter().map(|&channel| channel.to_owned()).collect(),
            limits,
            authorizer: Arc::clone(&authorizer),
            sink: Arc::clone(&sink),
            observer: Arc::new(Told(take_report)),
            reconnect: Reconnect::default(),
        };
        let running = Some(tokio::spawn(client.run(stop.clone())));
        let publish_url = application.publish_url();
        Self {
            authorizer,
            sink,
            events,
            reports,
            told: Vec::new(),
            passed_over: Vec::new(),
            stop,
            running,
            http,
            publish_url,
        }
    }

    /// One event each of `data`, by the SDK.
    pub(super) async fn publish(&self, channel: &str, event: &str, data: &[Value]) {
        let body = json!({"channel": channel, "event": event, "data": data}).to_string();
        let answer = self.http.post(&self.publish_url).body(body).send().await.expect("it answers");
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap_or_default());
    }

    /// The data of the next event, which is this one.
    pub(super) async fn event(&mut self, channel: &str, event: &str) -> Value {
        let frame = timeout(PATIENCE, self.events.recv()).await.expect("an event comes").expect("it runs");
        let age = Timestamp::now().duration_since(frame.received_at);
        assert!(age.as_secs() < PATIENCE.as_secs() as i64, "{age}");
        let Received::Event { channel: of, event: name, data } = frame.received else { panic!("{frame:?}") };
        assert_eq!((of.as_deref(), &*name), (Some(channel), event));
        serde_json::from_str(&data).expect("JSON")
    }

    pub(super) async fn live(&mut self, channel: &str) {
        self.until(|report| match report {
            Report::Live { channel: live } if live == channel => Some(()),
            _ => None,
        })
        .await;
    }

    pub(super) async fn refused(&mut self, channel: &str) -> Refusal {
        self.until(|report| match report {
            Report::Refused { channel: refused, refusal, .. } if refused == channel => Some(refusal.clone()),
            _ => None,
        })
        .await
    }

    pub(super) async fn disconnected(&mut self) -> (Cause, Rule) {
        self.until(|report| match report {
            Report::Disconnected { cause, rule, .. } => Some((cause.clone(), *rule)),
            _ => None,
        })
        .await
    }

    /// Waits for the next report that `wanted` has something to say about; it may have been told before others that
    /// were waited for, but no report is taken twice.
    async fn until<T>(&mut self, wanted: impl Fn(&Report) -> Option<T>) -> T {
        if let Some(found) = self.passed_over.iter().position(|report| wanted(report).is_some()) {
            return wanted(&self.passed_over.remove(found)).expect("found");
        }
        // For all of them together: a session that tries in vain has something to report for ever.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Ok(report) = timeout_at(deadline, self.reports.recv()).await else { panic!("only {:?}", self.told) };
            let report = report.expect("it runs");
            self.told.push(report.clone());
            match wanted(&report) {
                Some(value) => return value,
                None => self.passed_over.push(report),
            }
        }
    }

    /// Waits only for what is reported from now on.
    pub(super) fn forget(&mut self) {
        self.count(|_| false);
        self.passed_over.clear();
    }

    /// How many of all reports so far.
    pub(super) fn count(&mut self, wanted: impl Fn(&Report) -> bool) -> usize {
        while let Ok(report) = self.reports.try_recv() {
            self.told.push(report.clone());
            self.passed_over.push(report);
        }
        self.told.iter().filter(|report| wanted(report)).count()
    }

    /// Asks for an end, and waits for it.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            timeout(PATIENCE, running).await.expect("it ends").expect("it does not panic");
        }
        assert_eq!(self.count(|report| matches!(report, Report::Stopped)), 1);
    }
}

struct Told(mpsc::UnboundedSender<Report>);

impl Observer for Told {
    fn heard(&self, _: Reading) {}

    fn reported(&self, report: &Report, _: Reading) {
        let _ = self.0.send(report.clone());
    }
}

/// Takes events, while it is open.
pub(super) struct Sink {
    open: watch::Sender<bool>,
    offered: watch::Sender<usize>,
    take_event: mpsc::UnboundedSender<ReceivedFrame>,
}

impl Sink {
    /// What is offered from now on waits, and the count of offers begins anew.
    pub(super) fn close(&self) {
        self.offered.send_replace(0);
        self.open.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(super) async fn refused_one(&self) {
        let offered = timeout(PATIENCE, async { drop(self.offered.subscribe().wait_for(|&n| n > 0).await) });
        offered.await.expect("something is offered");
    }

    pub(super) fn offered(&self) -> usize {
        *self.offered.borrow()
    }
}

impl EventSink for Sink {
    async fn accept(&self, frame: ReceivedFrame) {
        self.offered.send_modify(|offered| *offered += 1);
        drop(self.open.subscribe().wait_for(|&open| open).await);
        let _ = self.take_event.send(frame);
    }
}

/// The authorisation endpoint as the daemon would ask it, with faults.
pub(super) struct Endpoint {
    http: reqwest::Client,
    url: String,
    elsewhere: Mutex<BTreeMap<String, String>>,
    token: Mutex<String>,
    renewed_token: Mutex<String>,
    renewals: AtomicUsize,
    held: watch::Sender<Option<String>>,
}

impl Endpoint {
    fn new(http: reqwest::Client, url: String) -> Self {
        Self {
            http,
            url,
            elsewhere: Mutex::default(),
            token: Mutex::new(TOKEN.to_owned()),
            renewed_token: Mutex::default(),
            renewals: AtomicUsize::new(0),
            held: watch::Sender::new(None),
        }
    }

    pub(super) fn set_token(&self, token: &str) {
        token.clone_into(&mut locked(&self.token));
    }

    pub(super) fn renew_to(&self, token: &str) {
        token.clone_into(&mut locked(&self.renewed_token));
    }

    pub(super) fn renewals(&self) -> usize {
        self.renewals.load(Ordering::Relaxed)
    }

    /// Asks for this channel at another URL.
    pub(super) fn ask_elsewhere_for(&self, channel: &str, url: Option<String>) {
        match url {
            Some(url) => locked(&self.elsewhere).insert(channel.to_owned(), url),
            None => locked(&self.elsewhere).remove(channel),
        };
    }

    /// Does not answer for this channel.
    pub(super) fn hold(&self, channel: &str) {
        self.held.send_replace(Some(channel.to_owned()));
    }

    pub(super) fn release(&self, channel: &str) {
        self.held.send_if_modified(|held| held.take_if(|held| held == channel).is_some());
    }
}

impl Authorizer for Endpoint {
    async fn authorise(&self, socket_id: &str, channel: &str) -> Result<Auth, AuthFailure> {
        drop(self.held.subscribe().wait_for(|held| held.as_deref() != Some(channel)).await);
        let url = locked(&self.elsewhere).get(channel).cloned().unwrap_or_else(|| self.url.clone());
        let token = locked(&self.token).clone();
        let request = self.http.post(url).header("Authorization", token).body(Auth::form(socket_id, channel));
        let trouble = |error: reqwest::Error| AuthFailure::Unavailable { detail: error.to_string(), retry_after: None };
        let answer = request.send().await.map_err(trouble)?;
        let status = answer.status().as_u16();
        Auth::from_answer(status, None, &answer.text().await.map_err(trouble)?)
    }

    async fn renew_token(&self) -> bool {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        let renewed = locked(&self.renewed_token).clone();
        self.set_token(&renewed);
        true
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
