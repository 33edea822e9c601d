//! Drives a [`Session`] with a real socket and a real clock.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::select;
use tokio::sync::Notify;
use tokio::task::coop::has_budget_remaining;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::action::{Action, Input};
use super::auth::{Auth, AuthFailure};
use super::frame::Received;
use super::limits::{Limits, Moment};
use super::link::{Heard, Link, Socket};
use super::report::Report;
use super::session::Session;
use chatbridge_base::clock::Reading;

/// Gets signatures for private channels.
pub trait Authorizer: Send + Sync + 'static {
    /// Asks for one channel on the connection with this socket id. Dropped if the connection ends meanwhile.
    fn authorise(&self, socket_id: &str, channel: &str) -> impl Future<Output = Result<Auth, AuthFailure>> + Send;

    /// Gets a new access token, and says whether there is one now. Only dropped with the runtime.
    fn renew_token(&self) -> impl Future<Output = bool> + Send;
}

/// Takes what was received.
pub trait EventSink: Send + Sync + 'static {
    /// Returns once the frame is taken, even if it is not durable yet; nothing is read until then. It should not be
    /// dropped, and must not take more than a moment: see [`Limits::stall_max`].
    fn accept(&self, frame: ReceivedFrame) -> impl Future<Output = ()> + Send;
}

/// Observes the session. Called between two frames, so it must not block.
pub trait Observer: Send + Sync + 'static {
    /// A frame (or a pong) came after `at`, and the sink has taken it if it was meant for the sink. So nothing that was
    /// sent to us up to `at` is missing, as soon as everything the sink has taken is durable.
    ///
    /// `at` is the time at which the socket was last found empty. The time at which the frame was read says little: it
    /// may have waited for long, behind a slow sink or a frozen process, and the server may have died since.
    fn heard(&self, at: Reading);

    /// Something changed.
    fn reported(&self, report: &Report, at: Reading);
}

/// Something for the application, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// What came.
    pub received: Received,
    /// By the wall clock.
    pub received_at: Timestamp,
}

/// Asks a running [`Client`] for a new connection.
#[derive(Debug, Clone, Default)]
pub struct Reconnect(Arc<Notify>);

impl Reconnect {
    /// Events are missing although the subscriptions look well: they may have ended silently.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

/// A session and everything it needs.
pub struct Client<A, S, O> {
    /// Where the server is.
    pub link: Link,
    /// The channels to keep subscribed.
    pub channels: Vec<String>,
    /// Limits of time and size.
    pub limits: Limits,
    /// Gets signatures.
    pub authorizer: Arc<A>,
    /// Takes what comes.
    pub sink: Arc<S>,
    /// Hears what happens.
    pub observer: Arc<O>,
    /// Asks for a new connection.
    pub reconnect: Reconnect,
}

impl<A: Authorizer, S: EventSink, O: Observer> Client<A, S, O> {
    /// Runs until `stop`, then closes the connection within [`Limits::close_timeout`] and returns.
    ///
    /// If this future is dropped instead, the socket is dropped too; at most the one frame that the sink has in hand
    /// may be lost.
    pub async fn run(self, stop: CancellationToken) {
        let session = Session::new(self.channels.iter().cloned(), self.limits.clone());
        let began = Instant::now();
        Driver {
            client: &self,
            session,
            began,
            opening: None,
            socket: None,
            delivery: None,
            auths: JoinSet::new(),
            renewal: None,
            read_at: None,
            empty_at: None,
            heard_at: None,
        }
        .run(stop)
        .await;
    }
}

/// Boxed, because it is kept while other futures are polled.
type Kept<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is under way.
struct Driver<'a, A, S, O> {
    client: &'a Client<A, S, O>,
    session: Session,
    began: Instant,
    opening: Option<Kept<'a, Result<Socket, String>>>,
    socket: Option<Socket>,
    delivery: Option<Kept<'a, ()>>,
    auths: JoinSet<Input<'static>>,
    renewal: Option<JoinHandle<bool>>,
    /// When the last frame was read.
    read_at: Option<Timestamp>,
    /// When the socket was last found empty.
    empty_at: Option<Reading>,
    /// That time, once a frame has come after it, until the observer was told.
    heard_at: Option<Reading>,
}

impl<A: Authorizer, S: EventSink, O: Observer> Driver<'_, A, S, O> {
    async fn run(mut self, stop: CancellationToken) {
        let mut stopping = false;
        let mut heard;
        while let Some(deadline) = self.session.deadline() {
            let deadline = self.began + deadline.since_start();
            let reading = self.delivery.is_none();
            let input = select! {
                // The socket goes last, because it may always have something to read.
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    Input::Stop
                }
                () = tokio::time::sleep_until(deadline) => Input::Tick,
                () = kept(&mut self.delivery) => Input::Taken,
                input = answered(&mut self.auths) => input,
                worked = joined(&mut self.renewal) => Input::TokenRenewed(worked),
                opened = kept(&mut self.opening) => match opened {
                    Ok(socket) => {
                        self.socket = Some(socket);
                        Input::Connected
                    }
                    Err(detail) => Input::Unreachable { detail },
                },
                () = self.client.reconnect.0.notified() => Input::Distrusted,
                something = turned(&mut self.socket, reading, &mut self.empty_at) => {
                    heard = something;
                    self.input(&heard)
                }
            };
            let now = Moment::after_start(self.began.elapsed());
            for action in self.session.handle(input, now, fastrand::f64()) {
                self.act(action);
            }
            if self.delivery.is_none()
                && let Some(at) = self.heard_at.take()
            {
                self.client.observer.heard(at);
            }
        }
        // The sink may finish what it has in hand, within the time for closing.
        if let Some(delivery) = self.delivery.take() {
            let _ = tokio::time::timeout(self.client.limits.close_timeout, delivery).await;
        }
    }

    fn input<'h>(&mut self, heard: &'h Heard) -> Input<'h> {
        match heard {
            Heard::Text(text) => {
                self.read_at = Some(Timestamp::now());
                self.heard_at = self.empty_at;
                Input::Frame(text)
            }
            Heard::Binary(bytes) => {
                self.read_at = Some(Timestamp::now());
                Input::Binary(bytes)
            }
            Heard::TooLarge => Input::TooLarge,
            Heard::Closed { code, detail } => Input::Closed { code: *code, detail: detail.clone() },
        }
    }

    fn act(&mut self, action: Action) {
        let client = self.client;
        match action {
            Action::Connect => self.opening = Some(Box::pin(client.link.clone().open())),
            Action::Send(frame) => {
                if let Some(socket) = &mut self.socket {
                    socket.send(frame.encode());
                }
            }
            Action::Authorise { socket_id, channel } => {
                let authorizer = Arc::clone(&client.authorizer);
                self.auths.spawn(async move {
                    let answer = authorizer.authorise(&socket_id, &channel).await;
                    Input::Authorised { socket_id, channel, answer }
                });
            }
            Action::RenewToken => {
                let authorizer = Arc::clone(&client.authorizer);
                // Goes on if this is dropped: a token that was requested must be kept.
                self.renewal = Some(tokio::spawn(async move { authorizer.renew_token().await }));
            }
            Action::Deliver(received) => {
                let received_at = self.read_at.unwrap_or_else(Timestamp::now);
                let frame = ReceivedFrame { received, received_at };
                self.delivery = Some(Box::pin(client.sink.accept(frame)));
            }
            Action::Close => {
                if let Some(socket) = &mut self.socket {
                    socket.close();
                }
            }
            Action::Disconnect => {
                (self.opening, self.socket, self.empty_at) = (None, None, None);
                // They were for the old connection.
                self.auths = JoinSet::new();
            }
            Action::Report(report) => client.observer.reported(&report, Reading::now()),
            Action::Finished => {}
        }
    }
}

/// Waits for the stored future and clears it. Waits for ever if there is none.
async fn kept<T>(future: &mut Option<Kept<'_, T>>) -> T {
    let Some(waited_for) = future else { return pending().await };
    let value = waited_for.await;
    *future = None;
    value
}

/// A panic was logged where it happened; the session's own timeout ends the question.
async fn answered(auths: &mut JoinSet<Input<'static>>) -> Input<'static> {
    while let Some(answer) = auths.join_next().await {
        if let Ok(input) = answer {
            return input;
        }
    }
    pending().await
}

async fn joined(renewal: &mut Option<JoinHandle<bool>>) -> bool {
    let Some(handle) = renewal else { return pending().await };
    // A panic was logged where it happened, and no token was made.
    let worked = handle.await.unwrap_or(false);
    *renewal = None;
    worked
}

/// The next input from the socket. `empty_at` is set when everything that had come was read.
async fn turned(socket: &mut Option<Socket>, reading: bool, empty_at: &mut Option<Reading>) -> Heard {
    let Some(socket) = socket else { return pending().await };
    let mut turn = pin!(socket.turn(reading));
    poll_fn(|context| {
        let polled = turn.as_mut().poll(context);
        // A task that has used up its budget gets `Pending` even if there is something to read.
        if polled.is_pending() && reading && has_budget_remaining() {
            *empty_at = Some(Reading::now());
        }
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, SinkExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio_tungstenite::accept_async;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    /// Tells the test what it took.
    struct Taker(mpsc::UnboundedSender<ReceivedFrame>);

    impl EventSink for Taker {
        async fn accept(&self, frame: ReceivedFrame) {
            drop(self.0.send(frame));
        }
    }

    struct Nobody;

    impl Authorizer for Nobody {
        async fn authorise(&self, _socket_id: &str, _channel: &str) -> Result<Auth, AuthFailure> {
            pending().await
        }

        async fn renew_token(&self) -> bool {
            false
        }
    }

    impl Observer for Nobody {
        fn heard(&self, _at: Reading) {}

        fn reported(&self, _report: &Report, _at: Reading) {}
    }

    #[tokio::test]
    async fn a_binary_frame_has_the_time_at_which_it_was_read_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
        let (taker, mut taken) = mpsc::unbounded_channel();
        let client = Client {
            link: Link::new(&url, "key", None, &Limits::default()).expect("a link"),
            channels: Vec::new(),
            limits: Limits::default(),
            authorizer: Arc::new(Nobody),
            sink: Arc::new(Taker(taker)),
            observer: Arc::new(Nobody),
            reconnect: Reconnect::default(),
        };
        let server = async {
            let stream = listener.accept().await.expect("a client").0;
            let mut server = accept_async(stream).await.expect("a WebSocket");
            server.send(Message::text("no frame")).await.expect("it reads");
            let text = taken.recv().await.expect("a text frame");
            server.send(Message::binary(b"bytes".to_vec())).await.expect("it reads");
            (text, taken.recv().await.expect("a binary frame"))
        };
        let (text, binary) = select! {
            () = client.run(CancellationToken::new()) => unreachable!("nobody stops it"),
            frames = server => frames,
        };
        assert_eq!(binary.received, Received::Unreadable { bytes: b"bytes".to_vec() });
        assert!(binary.received_at > text.received_at, "it was sent after the other was taken");
    }

    #[tokio::test]
    async fn a_frame_that_lay_there_says_nothing_of_the_time_at_which_it_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
        let link = Link::new(&url, "key", None, &Limits::default()).expect("a link");
        let accept = async { accept_async(listener.accept().await.expect("a client").0).await.expect("a WebSocket") };
        let (opened, mut server) = tokio::join!(link.open(), accept);
        let (mut socket, mut empty_at) = (Some(opened.expect("open")), None);

        let begun = Reading::now();
        let (first, _) = tokio::join!(turned(&mut socket, true, &mut empty_at), server.send(Message::text("1")));
        assert!(matches!(first, Heard::Text(text) if text.as_str() == "1"));
        assert!(empty_at.is_some_and(|at| at.up >= begun.up), "it was waited for");
        // Both in one piece: whoever reads the one has the other.
        for text in ["2", "3"] {
            server.feed(Message::text(text)).await.expect("room");
        }
        server.flush().await.expect("it reads");
        assert!(matches!(turned(&mut socket, true, &mut empty_at).await, Heard::Text(text) if text.as_str() == "2"));
        let before = empty_at;
        assert!(turned(&mut socket, false, &mut empty_at).now_or_never().is_none());
        assert!(matches!(turned(&mut socket, true, &mut empty_at).await, Heard::Text(text) if text.as_str() == "3"));
        assert_eq!(empty_at, before, "nobody has seen it empty since");
        assert!(turned(&mut socket, true, &mut empty_at).now_or_never().is_none());
        assert!(empty_at.map(|at| at.up) > before.map(|at| at.up));
    }
}
