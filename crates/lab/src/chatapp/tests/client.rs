//! A client of REST and one of the Pusher server, as plain as they can be.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Client as Http, Method};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::soon;
use crate::chatapp::{ChatAppSimulator, Login};
use crate::kit::client::client;

/// REST with an access token.
pub(super) struct Api {
    http: Http,
    base: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Api {
    /// Without a token.
    pub(super) fn new(simulator: &ChatAppSimulator) -> Self {
        let base = simulator.api_url().to_owned();
        let http = client(&base.parse().expect("a URL"), &[]).expect("a client");
        Self { http, base, access: String::new(), refresh: String::new() }
    }

    pub(super) async fn log_in(simulator: &ChatAppSimulator) -> Self {
        let mut api = Self::new(simulator);
        let Login { email, password, app_id } = Login::default();
        let body = json!({"email": email, "password": password, "appId": app_id});
        let (status, pair) = api.call(Method::POST, "/v1/tokens", Some(body)).await;
        assert_eq!(status, 200, "{pair}");
        api.access = pair["data"]["accessToken"].as_str().expect("text").to_owned();
        api.refresh = pair["data"]["refreshToken"].as_str().expect("text").to_owned();
        api
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.access.is_empty() {
            request = request.header("Authorization", &self.access).header("Refresh", &self.refresh);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let response = soon(request.send()).await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("whole");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A request that has no answer.
    pub(super) async fn fails(&self, path: &str) -> bool {
        let request = self.http.get(format!("{}{path}", self.base)).header("Authorization", &self.access);
        match soon(request.send()).await {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        }
    }

    /// Which succeeds.
    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!((status, &body["success"]), (200, &json!(true)), "{body}");
        body
    }

    pub(super) async fn authorise(&self, socket_id: &str, channel: &str) -> (u16, Value) {
        let body = json!({"socket_id": socket_id, "channel_name": channel});
        self.call(Method::POST, "/broadcasting/auth", Some(body)).await
    }
}

/// A WebSocket.
pub(super) struct Client {
    socket: WebSocketStream<TcpStream>,
    pub(super) socket_id: String,
}

impl Client {
    /// Up to `connection_established`.
    pub(super) async fn connect(simulator: &ChatAppSimulator) -> Self {
        let mut client = Self::open(simulator, "/app/ChatsAppApiProdKey?protocol=7&client=test&version=1.0.0").await;
        let established = client.frame().await.expect("a first frame");
        assert_eq!(established["event"], "pusher:connection_established");
        let data: Value = serde_json::from_str(established["data"].as_str().expect("text")).expect("JSON");
        client.socket_id = data["socket_id"].as_str().expect("text").to_owned();
        client
    }

    pub(super) async fn open(simulator: &ChatAppSimulator, path: &str) -> Self {
        let host = simulator.socket_url().trim_start_matches("ws://");
        let stream = soon(TcpStream::connect(host)).await.expect("it listens");
        let asked = tokio_tungstenite::client_async(format!("ws://{host}{path}"), stream);
        let (socket, _) = soon(asked).await.expect("a WebSocket");
        Self { socket, socket_id: String::new() }
    }

    pub(super) async fn say(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.expect("it is open");
    }

    pub(super) async fn subscribe_with(&mut self, auth: &str, channel: &str) -> Value {
        self.say(json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}})).await;
        self.frame().await.expect("an answer")
    }

    pub(super) async fn subscribe(&mut self, api: &Api, channel: &str) {
        let (status, auth) = api.authorise(&self.socket_id, channel).await;
        assert_eq!(status, 200, "{auth}");
        let answer = self.subscribe_with(auth["auth"].as_str().expect("text"), channel).await;
        assert_eq!(answer["event"], "pusher_internal:subscription_succeeded");
        assert_eq!(answer["channel"], channel);
    }

    /// The next frame; the code of the close that came instead.
    pub(super) async fn frame(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Name and data of the next frame, which is an event.
    pub(super) async fn event(&mut self) -> (String, String) {
        let frame = self.frame().await.expect("an event");
        let data = frame["data"].as_str().expect("its data is text");
        (frame["event"].as_str().expect("it has a name").to_owned(), data.to_owned())
    }

    /// Asks and waits for the answer.
    pub(super) async fn ping(&mut self) -> Value {
        self.say(json!({"event": "pusher:ping", "data": {}})).await;
        self.frame().await.expect("an answer")
    }
}
