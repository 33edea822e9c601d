//! The Pusher server's connections: the handshake, what is said on them, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

use super::fault::{FaultKind, Place};
use super::hub::{Joined, NotJoined, Outgoing};
use super::journal::JournalEvent;
use super::protocol::{self, Goodbye, Said, Silence, Unwelcome};
use super::world::World;

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// How long a client may take to ask for a WebSocket, and to answer our close.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// The largest frame taken from a client.
const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Between two failures to accept or to bind.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the simulator stops; `restarts` takes it away for a while.
pub(super) async fn serve(
    world: Arc<World>,
    mut listener: TcpListener,
    mut restarts: mpsc::UnboundedReceiver<Duration>,
) {
    let Ok(address) = listener.local_addr() else { return };
    loop {
        let accepted = tokio::select! {
            () = world.kit.stop.cancelled() => return,
            Some(downtime) = restarts.recv() => {
                drop(listener);
                world.kit.pause(downtime).await;
                listener = match world.kit.stop.run_until_cancelled(bind(address)).await {
                    Some(listener) => listener,
                    None => return,
                };
                world.hub.open();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let served = Arc::clone(&world);
                world.kit.spawn(async move { connection(stream, &served).await });
            }
            Err(error) => {
                tracing::warn!(%error, "the simulated Pusher server failed to accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(%error, "the simulated Pusher server cannot come back yet");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One connection from its first byte to its last.
async fn connection(stream: TcpStream, world: &World) {
    // Whom the hub does not know yet is cut off at the end; the others get their goodbye from it.
    let Some(Some((mut socket, entry))) = world.kit.stop.run_until_cancelled(accept(stream, world)).await else {
        return;
    };
    let refused = match entry {
        Entry::Mute => return idle(&mut socket, world).await,
        Entry::Unwelcome(unwelcome) => unwelcome,
        Entry::Welcome => match world.hub.join() {
            Ok(joined) => return Session::new(world, socket, joined).run().await,
            Err(NotJoined::Full) => world.config.socket.dialect.over_capacity(),
            Err(NotJoined::Closed) => return,
        },
    };
    let dialect = world.config.socket.dialect;
    if socket.send(Message::text(dialect.error(refused.code, &refused.message))).await.is_ok() {
        match dialect.after_unwelcome(refused.code) {
            Some(Goodbye::Close(code)) => close(&mut socket, code).await,
            Some(Goodbye::Eof | Goodbye::Reset) => {}
            None => idle(&mut socket, world).await,
        }
    }
}

enum Entry {
    Welcome,
    Unwelcome(Unwelcome),
    Mute,
}

/// From TCP to WebSocket; `None` where that is not reached.
async fn accept(stream: TcpStream, world: &World) -> Option<(Socket, Entry)> {
    // Frames are small and awaited: Nagle's algorithm would only add its 40 ms.
    stream.set_nodelay(true).ok()?;
    let mut refusal = None;
    let mut entry = None;
    match world.fault(Place::Connect) {
        Some(FaultKind::Reset) => {
            reset(&stream);
            return None;
        }
        Some(FaultKind::Delay { duration_ms }) => world.kit.pause(Duration::from_millis(duration_ms)).await,
        Some(FaultKind::Status { code }) => refusal = StatusCode::from_u16(code).ok(),
        Some(FaultKind::Close { code }) => entry = Some(Entry::Unwelcome(Unwelcome::new(code, "simulated"))),
        Some(FaultKind::Mute) => entry = Some(Entry::Mute),
        _ => {}
    }
    let mut asked = Ok(());
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    let read = |request: &Request, response: Response| {
        if let Some(status) = refusal {
            let mut refused = ErrorResponse::new(None);
            *refused.status_mut() = status;
            return Err(refused);
        }
        let uri = request.uri();
        asked = protocol::welcome(&world.config.app, uri.path(), uri.query().unwrap_or_default());
        Ok(response)
    };
    let frame_bytes_max = Some(FRAME_BYTES_MAX);
    let limits = WebSocketConfig::default().max_message_size(frame_bytes_max).max_frame_size(frame_bytes_max);
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, read, Some(limits));
    let socket = timeout(HANDSHAKE_MAX, accepted).await.ok()?.ok()?;
    let entry = entry.unwrap_or_else(|| asked.map_or_else(Entry::Unwelcome, |()| Entry::Welcome));
    Some((socket, entry))
}

/// Left open and left alone, until the client goes.
async fn idle(socket: &mut Socket, world: &World) {
    let gone = async { while socket.next().await.is_some_and(|heard| heard.is_ok()) {} };
    world.kit.stop.run_until_cancelled(gone).await;
}

/// Sends a close frame and waits for the answer, within bounds.
async fn close(socket: &mut Socket, code: u16) {
    let frame = CloseFrame { code: code.into(), reason: "".into() };
    let closed = async {
        if socket.close(Some(frame)).await.is_ok() {
            while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
        }
    };
    // A client that does not answer is left without.
    let _ = timeout(CLOSE_MAX, closed).await;
}

/// With nothing left to linger for, closing sends RST instead of FIN. Should that fail, the connection is lost anyway.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// A connection that has a `socket_id`.
struct Session<'w> {
    world: &'w World,
    socket: Socket,
    socket_id: String,
    outgoing: mpsc::Receiver<Outgoing>,
    goodbye: oneshot::Receiver<Goodbye>,
    /// When what counts as the client's being there was last noticed.
    alive_at: Instant,
    was_pinged: bool,
}

/// Why nothing more is said.
enum End {
    Gone,
    Goodbye(Goodbye),
}

impl From<Error> for End {
    fn from(_: Error) -> Self {
        Self::Gone
    }
}

type Step = Result<(), End>;

impl<'w> Session<'w> {
    fn new(world: &'w World, socket: Socket, joined: Joined) -> Self {
        let Joined { socket_id, outgoing, goodbye } = joined;
        Self { world, socket, socket_id, outgoing, goodbye, alive_at: Instant::now(), was_pinged: false }
    }

    async fn run(mut self) {
        self.world.record(JournalEvent::Connected { socket: self.socket_id.clone() });
        let Err(end) = self.talk().await;
        self.world.hub.leave(&self.socket_id);
        let code = match end {
            End::Gone => None,
            End::Goodbye(how) => self.depart(how).await,
        };
        self.world.record(JournalEvent::Disconnected { socket: self.socket_id, code });
    }

    async fn talk(&mut self) -> Result<Infallible, End> {
        self.say(self.world.config.socket.dialect.established(&self.socket_id)).await?;
        loop {
            let silent_at = self.silent_at();
            tokio::select! {
                // What was still to be sent does not outlive the goodbye, and pings are heard among a flood of events.
                biased;
                how = &mut self.goodbye => return Err(End::Goodbye(how.unwrap_or(Goodbye::Eof))),
                heard = self.socket.next() => self.hear(heard).await?,
                () = sleep_until(silent_at) => self.miss().await?,
                Some(outgoing) = self.outgoing.recv() => self.deliver(outgoing).await?,
            }
        }
    }

    /// A client that does not read is not waited for beyond our goodbye.
    async fn say(&mut self, text: String) -> Step {
        tokio::select! {
            biased;
            how = &mut self.goodbye => Err(End::Goodbye(how.unwrap_or(Goodbye::Eof))),
            said = self.socket.send(Message::text(text)) => Ok(said?),
        }
    }

    async fn deliver(&mut self, outgoing: Outgoing) -> Step {
        match outgoing {
            Outgoing::Frame { text, publication } => {
                self.say(text).await?;
                if let Some(publication) = publication {
                    let socket = self.socket_id.clone();
                    self.world.record(JournalEvent::Written { publication, socket });
                }
                if !self.world.config.socket.dialect.counts_what_it_hears() {
                    self.notice();
                }
                Ok(())
            }
            Outgoing::Silence(duration) => tokio::select! {
                how = &mut self.goodbye => Err(End::Goodbye(how.unwrap_or(Goodbye::Eof))),
                () = sleep(duration) => Ok(()),
            },
        }
    }

    async fn hear(&mut self, heard: Option<Result<Message, Error>>) -> Step {
        let dialect = self.world.config.socket.dialect;
        let message = heard.ok_or(End::Gone)??;
        if dialect.counts_what_it_hears() {
            self.notice();
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => {
                // The answer to it is ready, and goes out where it can.
                let _ = timeout(CLOSE_MAX, self.socket.flush()).await;
                return Err(End::Gone);
            }
            _ => return Ok(()),
        };
        match Said::parse(&text) {
            Said::Ping => {
                self.notice();
                self.say(dialect.pong()).await
            }
            Said::Subscribe { channel, auth } => self.subscribe(channel, auth).await,
            Said::Unsubscribe { channel } => {
                if self.world.hub.unsubscribe(&self.socket_id, &channel) {
                    let socket = self.socket_id.clone();
                    let channel = Some(channel);
                    self.world.record(JournalEvent::Unsubscribed { socket, channel, silently: false });
                }
                Ok(())
            }
            Said::Garbage => self.say(dialect.error(4200, "Invalid message format")).await,
            Said::Pong | Said::Other => Ok(()),
        }
    }

    async fn subscribe(&mut self, channel: String, auth: Option<String>) -> Step {
        let (world, socket) = (self.world, self.socket_id.clone());
        let dialect = world.config.socket.dialect;
        let mut is_good = if channel.starts_with("private-") {
            auth.is_some_and(|auth| world.config.app.recognises(&auth, &socket, &channel))
        } else {
            !channel.starts_with("presence-")
        };
        match world.fault(Place::Subscribe) {
            Some(FaultKind::Mute) => return Ok(()),
            Some(FaultKind::Delay { duration_ms }) => world.kit.pause(Duration::from_millis(duration_ms)).await,
            Some(FaultKind::Refuse) => is_good = false,
            _ => {}
        }
        if !is_good {
            let refused = dialect.refused(&channel);
            world.record(JournalEvent::Refused { socket, channel });
            return self.say(refused).await;
        }
        let subscribed = dialect.subscribed(&channel);
        // Events queue up behind the word that it is live, which is said at once. Whom the hub has dismissed finds its
        // goodbye next.
        if world.hub.subscribe(&socket, &channel) {
            world.record(JournalEvent::Subscribed { socket, channel });
        }
        self.say(subscribed).await
    }

    fn notice(&mut self) {
        self.alive_at = Instant::now();
        self.was_pinged = false;
    }

    fn silent_at(&self) -> Instant {
        let socket = &self.world.config.socket;
        let pings_first = socket.dialect.at_silence() == Silence::PingThenClose && !self.was_pinged;
        self.alive_at + if pings_first { socket.silence_max / 2 } else { socket.silence_max }
    }

    /// The client was silent for too long.
    async fn miss(&mut self) -> Step {
        let dialect = self.world.config.socket.dialect;
        match dialect.at_silence() {
            Silence::PingThenClose if !self.was_pinged => {
                self.was_pinged = true;
                self.say(protocol::ping()).await
            }
            Silence::PingThenClose => {
                self.say(dialect.error(4201, "Pong reply not received in time")).await?;
                Err(End::Goodbye(Goodbye::Close(4201)))
            }
            Silence::Close => Err(End::Goodbye(Goodbye::Close(4201))),
            Silence::Unsubscribe => {
                self.notice();
                if self.world.hub.unsubscribe_from_all(&self.socket_id) {
                    let socket = self.socket_id.clone();
                    self.world.record(JournalEvent::Unsubscribed { socket, channel: None, silently: true });
                }
                Ok(())
            }
        }
    }

    /// Ends as told; the close code that was sent.
    async fn depart(&mut self, how: Goodbye) -> Option<u16> {
        match how {
            Goodbye::Close(code) => {
                // An error goes before a close. Not before soketi's for silence; the others have said theirs by now.
                if code != 4201 {
                    let error = self.world.config.socket.dialect.error(code, "simulated");
                    let _ = timeout(CLOSE_MAX, self.socket.send(Message::text(error))).await;
                }
                close(&mut self.socket, code).await;
                Some(code)
            }
            Goodbye::Eof => None,
            Goodbye::Reset => {
                reset(self.socket.get_ref());
                None
            }
        }
    }
}
