use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;

use super::*;

/// A server that remembers what it was asked and says what it was told to.
#[derive(Clone)]
struct Peer {
    asked: std::sync::Arc<Mutex<Vec<String>>>,
    says: std::sync::Arc<Mutex<Vec<(u16, &'static str)>>>,
}

async fn answer(State(peer): State<Peer>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let header = |name: &str| head.headers.get(name).map_or("-", |value| value.to_str().expect("text"));
    let asked = format!(
        "{} {} authorization={} refresh={} lang={} type={} {}",
        head.method,
        head.uri,
        header("authorization"),
        header("refresh"),
        header("lang"),
        header("content-type"),
        String::from_utf8_lossy(&body)
    );
    peer.asked.lock().expect("unpoisoned").push(asked);
    let (status, text) = peer.says.lock().expect("unpoisoned").pop().expect("as many answers as questions");
    (StatusCode::from_u16(status).expect("a status"), [("retry-after", "7")], text).into_response()
}

struct Scene {
    api: Api,
    peer: Peer,
}

impl Scene {
    async fn new(says: &[(u16, &'static str)]) -> Self {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let says = says.iter().rev().copied().collect();
        let peer = Peer { asked: Default::default(), says: std::sync::Arc::new(Mutex::new(says)) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(answer).with_state(peer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { api: api(&format!("http://{address}/prefix/")), peer }
    }

    fn asked(&self) -> Vec<String> {
        self.peer.asked.lock().expect("unpoisoned").clone()
    }
}

fn api(url: &str) -> Api {
    let path = std::env::temp_dir().join(format!("chatbridge-api-{:x}.toml", fastrand::u64(..)));
    let text = format!(
        "[chatapp]\napi_url = '{url}'\nlang = 'ru'\nresponse_bytes_max = 65536\nrequests_per_second_max = 50\n\
         email = 'me@example.com'\npassword = 'hunter2'\napp_id = 'app_1_1'\n"
    );
    std::fs::write(&path, text).expect("writable");
    let config = config::load(Some(&path), []).expect("valid").chatapp.expect("there");
    std::fs::remove_file(&path).expect("ours");
    Api::new(http_client(&config, true).expect("a client"), &config, Redactor::default())
}

fn login() -> Login {
    Login {
        email: "me@example.com".to_owned().into(),
        password: "hunter2".to_owned().into(),
        app_id: "app_1_1".to_owned(),
    }
}

fn line() -> Line {
    Line { license: "7".to_owned(), messenger: "grWhatsApp".to_owned() }
}

const LIST: &str = r#"{"success":true,"data":{"items":[],"nextPage":null}}"#;
const PAIR: &str = r#"{"success":true,"data":{"accessToken":"a","refreshToken":"r"}}"#;

#[tokio::test]
async fn every_request_is_written_as_chatapp_reads_it() {
    let token = SecretString::from("$2y$10$a.b/c".to_owned());
    let scene = Scene::new(&[
        (200, PAIR),
        (200, PAIR),
        (200, r#"{"success":true,"data":{"items":[{"licenseId":1}],"nextPage":"a&b"}}"#),
        (200, r#"{"success":true,"data":{"items":[{"licenseId":2}],"nextPage":null}}"#),
        (200, LIST),
        (200, LIST),
        (200, LIST),
        (200, LIST),
        (200, r#"{"auth":"key:0a"}"#),
    ])
    .await;
    let api = &scene.api;
    api.log_in(&login()).await.expect("a pair");
    api.refresh(&token).await.expect("a pair");
    let licenses = api.licenses(&token).await.expect("licences");
    assert_eq!(licenses.iter().map(|license| &*license.id).collect::<Vec<_>>(), ["1", "2"], "both pages");
    let time = Timestamp::from_second(1_700_000_000).expect("a time");
    api.chats(&token, &line(), Start::At(None)).await.expect("chats");
    api.chats(&token, &line(), Start::Cursor("x=1&y")).await.expect("chats");
    api.messages(&token, &line(), "79001234567@c.us", Start::At(Some(time))).await.expect("messages");
    api.messages(&token, &line(), "a/b?c#d é", Start::Cursor("next")).await.expect("messages");
    api.authorise(&token, "123.456", "private-v1.licenses.1.messengers.a&b").await.expect("a signature");
    let with = "authorization=$2y$10$a.b/c refresh=- lang=ru type=-";
    let lines = "/prefix/v1/licenses/7/messengers/grWhatsApp/chats";
    assert_eq!(
        scene.asked(),
        [
            "POST /prefix/v1/tokens authorization=- refresh=- lang=ru type=application/json \
             {\"appId\":\"app_1_1\",\"email\":\"me@example.com\",\"password\":\"hunter2\"}"
                .to_owned(),
            "POST /prefix/v1/tokens/refresh authorization=- refresh=$2y$10$a.b/c lang=ru type=- ".to_owned(),
            format!("GET /prefix/v1/licenses {with} "),
            format!("GET /prefix/v1/licenses?nextPage=a%26b {with} "),
            format!("GET {lines}?limit=100 {with} "),
            format!("GET {lines}?limit=100&nextPage=x%3D1%26y {with} "),
            format!("GET {lines}/79001234567@c.us/messages?limit=100&lastTime=1700000000&direction=next {with} "),
            format!("GET {lines}/a%2Fb%3Fc%23d%20%C3%A9/messages?limit=100&nextPage=next&direction=next {with} "),
            "POST /prefix/broadcasting/auth authorization=$2y$10$a.b/c refresh=- lang=ru \
             type=application/x-www-form-urlencoded \
             socket_id=123.456&channel_name=private-v1.licenses.1.messengers.a%26b"
                .to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_429_is_told_with_its_wait_and_a_long_answer_is_cut() {
    let long: &'static str =
        Box::leak(format!("{{\"success\":true,\"data\":\"{}\"}}", "x".repeat(70_000)).into_boxed_str());
    let scene = Scene::new(&[(200, long), (429, "")]).await;
    let token = SecretString::from("t".to_owned());
    let error = scene.api.me(&token).await.expect_err("too long");
    assert!(error.to_string().contains("response_bytes_max"), "{error}");
    let error = scene.api.me(&token).await.expect_err("too often");
    assert_eq!(error, ApiError::RateLimited { retry_after: Some(Duration::from_secs(7)) });
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_here_and_an_id_never_walks_through_the_tree() {
    let api = api("http://127.0.0.1:9");
    let token = SecretString::from("t".to_owned());
    for chat in ["", ".", ".."] {
        let error = api.messages(&token, &line(), chat, Start::At(None)).await.expect_err("no path");
        assert!(matches!(error, ApiError::Refused { status: 0, .. }), "{error:?}");
    }
    assert!(api.sensitive(&token).expect("a header").is_sensitive(), "nobody's log shows it");
    let broken = SecretString::from("two\nlines".to_owned());
    let error = api.licenses(&broken).await.expect_err("no header");
    assert!(matches!(error, ApiError::Refused { status: 0, .. }) && !error.to_string().contains("two"), "{error:?}");
}

#[tokio::test]
async fn a_failed_request_tells_its_cause_and_not_whom_it_was_about() {
    drop(rustls::crypto::ring::default_provider().install_default());
    // Nobody listens on the discard port of this machine.
    let api = api("http://127.0.0.1:9");
    let token = SecretString::from("canary".to_owned());
    let error = api.messages(&token, &line(), "79001234567@c.us", Start::At(None)).await.expect_err("nobody answers");
    let told = format!("{error} {error:?} {api:?}");
    assert!(told.contains("127.0.0.1") && told.contains("refused"), "{told}");
    assert!(!told.contains("7900") && !told.contains("canary"), "{told}");
    let error = api.log_in(&login()).await.expect_err("nobody answers").to_string();
    assert!(!error.contains("hunter2") && !error.contains("me@"), "{error}");
}

/// Answers one request on each connection; the next one is read and finds the connection closed. Counts the requests.
async fn closing_server(answer: &'static str) -> (String, std::sync::Arc<Mutex<u32>>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let requests = std::sync::Arc::new(Mutex::new(0));
    let counted = std::sync::Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = std::sync::Arc::clone(&counted);
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                for is_first in [true, false] {
                    let read = stream.read(&mut bytes).await.unwrap_or_default();
                    if read > 0 {
                        *counted.lock().expect("unpoisoned") += 1;
                    }
                    if is_first {
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
                        stream.write_all(format!("{head}{answer}").as_bytes()).await.expect("it reads");
                    }
                }
            });
        }
    });
    (url, requests)
}

#[tokio::test]
async fn what_only_asks_is_asked_again_on_a_closed_connection_and_a_renewal_is_not() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (url, requests) = closing_server(r#"{"success":true,"data":[]}"#).await;
    let (api, token) = (api(&url), SecretString::from("an-access-token"));
    for asked in 0..6 {
        assert!(api.licenses(&token).await.is_ok(), "question {asked}");
    }
    assert_eq!(*requests.lock().expect("unpoisoned"), 6 + 5, "each but the first met a closed connection");
    let (url, requests) = closing_server(r#"{"success":true,"data":[]}"#).await;
    let api = self::api(&url);
    assert!(api.licenses(&token).await.is_ok());
    let failure = api.refresh(&token).await.expect_err("the connection was closed");
    assert!(matches!(failure, ApiError::Unreachable { class: "connection", .. }), "{failure:?}");
    assert_eq!(*requests.lock().expect("unpoisoned"), 2, "a refreshToken may be of no use the second time");
}
