//! The connection: TCP, TLS and the WebSocket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use hyper::Uri;
use hyper::service::Service as _;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::service::TowerToHyperService;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use url::Url;

use super::excerpt::excerpt;
use super::limits::Limits;

/// The interval of TCP keepalive. Our own pings find a dead peer earlier, except while the connection is being closed.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Where the server is, and how to verify it.
#[derive(Clone)]
pub struct Link {
    url: String,
    /// `http://host:port`, whatever the scheme: only used for TCP.
    tcp: Uri,
    connector: Connector,
    connect: TowerToHyperService<HttpConnector>,
    websocket: WebSocketConfig,
}

/// Why there cannot be a [`Link`]. The operator has to correct each of these.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL is not a WebSocket's.
    #[error("{0}: the socket's URL must be ws:// or wss://, with a host")]
    Url(Url),
    /// The given certificate authorities cannot be read.
    #[error("the certificate authorities for the socket cannot be read (PEM is expected): {0}")]
    Authorities(String),
    /// There is no trusted certificate authority, neither the system's nor a given one.
    #[error("TLS cannot be set up: {0}; on Debian, install ca-certificates")]
    Tls(rustls::Error),
}

impl Link {
    /// A link to `socket_url` (`wss://host:port`, with a path if the server has one) for the app of this key.
    ///
    /// `authorities`: certificate authorities in PEM that are trusted beside the system's.
    ///
    /// # Errors
    /// If the URL is not a WebSocket's, or TLS cannot be set up.
    pub fn new(
        socket_url: &Url,
        app_key: &str,
        authorities: Option<&[u8]>,
        limits: &Limits,
    ) -> Result<Self, LinkError> {
        let not_a_socket = || LinkError::Url(socket_url.clone());
        let (default_port, is_tls) = match socket_url.scheme() {
            "ws" => (80, false),
            "wss" => (443, true),
            _ => return Err(not_a_socket()),
        };
        let host = socket_url.host_str().ok_or_else(not_a_socket)?;
        let port = socket_url.port().unwrap_or(default_port);
        let tcp = format!("http://{host}:{port}").parse().map_err(|_| not_a_socket())?;
        let mut url = socket_url.clone();
        url.path_segments_mut().map_err(|()| not_a_socket())?.pop_if_empty().extend(["app", app_key]);
        url.query_pairs_mut()
            .append_pair("protocol", "7")
            .append_pair("client", "chatbridge")
            .append_pair("version", env!("CARGO_PKG_VERSION"));
        let connector = if is_tls { Connector::Rustls(Arc::new(tls(authorities)?)) } else { Connector::Plain };
        let mut connect = HttpConnector::new();
        // An address that does not answer must not use up the time for the next one.
        connect.set_connect_timeout(Some(limits.connect_timeout));
        connect.set_keepalive(Some(TCP_KEEPALIVE));
        connect.set_keepalive_interval(Some(TCP_KEEPALIVE));
        connect.set_nodelay(true);
        let websocket = WebSocketConfig::default()
            .max_message_size(Some(limits.frame_bytes_max))
            .max_frame_size(Some(limits.frame_bytes_max));
        Ok(Self { url: url.into(), tcp, connector, connect: TowerToHyperService::new(connect), websocket })
    }

    /// Opens a WebSocket. The session limits how long that may take.
    pub(super) async fn open(self) -> Result<Socket, String> {
        let tcp = self.connect.call(self.tcp).await.map_err(|error| causes(&error))?.into_inner();
        let opening = client_async_tls_with_config(&self.url, tcp, Some(self.websocket), Some(self.connector));
        let (stream, _) = opening.await.map_err(|error| causes(&error))?;
        Ok(Socket { stream, outgoing: VecDeque::new() })
    }
}

fn tls(authorities: Option<&[u8]>) -> Result<ClientConfig, LinkError> {
    let unreadable = |error: &dyn std::fmt::Display| LinkError::Authorities(error.to_string());
    let mut extra = Vec::new();
    if let Some(pem) = authorities {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            extra.push(certificate.map_err(|error| unreadable(&error))?);
        }
        if extra.is_empty() {
            return Err(unreadable(&"there is no certificate in it"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(LinkError::Tls)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(LinkError::Tls)?
        // The name warns of weak verifiers. The platform's checks names, dates and signatures, as reqwest's does.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// The whole chain of causes: the first one alone says too little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        told.push_str(": ");
        told.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    excerpt(&told)
}

/// Input from a socket.
pub(super) enum Heard {
    Text(Utf8Bytes),
    Binary(Bytes),
    TooLarge,
    /// Nothing more will come.
    Closed {
        code: Option<u16>,
        detail: String,
    },
}

/// An open WebSocket.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    outgoing: VecDeque<Message>,
}

impl Socket {
    /// Queues a frame; it is sent while [`Self::turn`] is awaited.
    pub(super) fn send(&mut self, text: String) {
        self.outgoing.push_back(Message::text(text));
    }

    /// Closes the connection after everything that is queued.
    pub(super) fn close(&mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        self.outgoing.push_back(Message::Close(Some(goodbye)));
    }

    /// Writes what is queued and, if `reading`, waits for the next input. Cancel-safe.
    pub(super) async fn turn(&mut self, reading: bool) -> Heard {
        poll_fn(|context| self.poll_turn(reading, context)).await
    }

    fn poll_turn(&mut self, reading: bool, context: &mut Context<'_>) -> Poll<Heard> {
        if let Err(error) = self.poll_write(context) {
            return Poll::Ready(heard_error(error));
        }
        if !reading {
            return Poll::Pending;
        }
        loop {
            match ready!(Pin::new(&mut self.stream).poll_next(context)) {
                Some(Ok(Message::Text(text))) => return Poll::Ready(Heard::Text(text)),
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Heard::Binary(bytes)),
                Some(Ok(Message::Close(frame))) => {
                    // The answer to the close is ready; send it if possible.
                    let _ = self.poll_write(context);
                    let (code, detail) = match frame {
                        Some(frame) => (Some(frame.code.into()), excerpt(&frame.reason)),
                        None => (None, "closed without a code".to_owned()),
                    };
                    return Poll::Ready(Heard::Closed { code, detail });
                }
                // WebSocket's own pings are answered while we read and write. They say nothing about Pusher.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Poll::Ready(heard_error(error)),
                None => {
                    return Poll::Ready(Heard::Closed { code: None, detail: "ended without a close".to_owned() });
                }
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.stream).poll_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(()),
            }
            if let Some(message) = self.outgoing.pop_front() {
                Pin::new(&mut self.stream).start_send(message)?;
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }
}

fn heard_error(error: Error) -> Heard {
    match error {
        Error::Capacity(_) => Heard::TooLarge,
        error => Heard::Closed { code: None, detail: causes(&error) },
    }
}
