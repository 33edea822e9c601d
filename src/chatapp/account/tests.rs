use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::any;
use secrecy::ExposeSecret as _;

use super::*;
use crate::chatapp::api::http_client;
use crate::chatapp::tokens::TokenFile;
use crate::config;
use chatbridge_base::clock::Reading;

/// A ChatApp whose tokens are numbered: the one it made last is good.
#[derive(Clone, Default)]
struct Peer {
    made: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn answer(State(peer): State<Peer>, request: Request) -> (StatusCode, String) {
    let path = request.uri().path().to_owned();
    let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    peer.asked.lock().push(path.clone());
    let is_good = header("authorization") == format!("a{}", peer.made.load(Ordering::Relaxed));
    let invalid = r#"{"success":false,"error":{"code":"ApiInvalidTokenError"}}"#.to_owned();
    match &*path {
        "/v1/tokens/refresh" => {
            let n = peer.made.fetch_add(1, Ordering::Relaxed) + 1;
            let pair = format!(r#"{{"accessToken":"a{n}","refreshToken":"r{n}","cabinetUserId":685}}"#);
            (StatusCode::OK, format!(r#"{{"success":true,"data":{pair}}}"#))
        }
        // Laravel does not say why.
        "/broadcasting/auth" if !is_good => (StatusCode::FORBIDDEN, r#"{"message":""}"#.to_owned()),
        _ if !is_good => (StatusCode::FORBIDDEN, invalid),
        "/broadcasting/auth" if header("content-length") == "52" => (StatusCode::FORBIDDEN, String::new()),
        "/broadcasting/auth" => (StatusCode::OK, r#"{"auth":"k:s"}"#.to_owned()),
        "/v1/licenses" => {
            let license = r#"{"licenseId":7,"messenger":[{"type":"telegram"}]}"#;
            (StatusCode::OK, format!(r#"{{"success":true,"data":[{license}]}}"#))
        }
        "/v1/companies" => (StatusCode::FORBIDDEN, String::new()),
        "/v1/me" => (StatusCode::OK, r#"{"success":true,"user":"in another place"}"#.to_owned()),
        _ => (StatusCode::OK, r#"{"success":true}"#.to_owned()),
    }
}

/// An account with a token that is not good (any more).
async fn account() -> (Account, Peer, Folder) {
    // Another test of this process may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let peer = Peer::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().fallback(any(answer)).with_state(peer.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = Folder(std::env::temp_dir().join(format!("chatbridge-account-{:x}", fastrand::u64(..))));
    std::fs::create_dir(&folder.0).expect("writable");
    let file = folder.0.join("config.toml");
    let text = format!(
        "[chatapp]\napi_url = 'http://{address}'\nstate_dir = {:?}\nrefresh_token = 'r'\n\
         requests_per_second_max = 50\n",
        folder.0
    );
    std::fs::write(&file, text).expect("writable");
    let config = config::load(Some(&file), []).expect("valid").chatapp.expect("there");
    let api = Arc::new(Api::new(http_client(&config, true).expect("a client"), &config, Default::default()));
    let tokens = TokenFile::in_folder(&config.state_dir);
    let tokens = Tokens::open(Arc::clone(&api), tokens, &config, Reading::now).expect("readable");
    let account = Account::new(api, tokens);
    account.tokens.access().await.expect("a token");
    // Somebody else logged in.
    peer.made.fetch_add(1, Ordering::Relaxed);
    peer.asked.lock().clear();
    (account, peer, folder)
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_renewed_and_the_question_asked_again() {
    let (account, peer, folder) = account().await;
    let names = account.channels().await.expect("channels");
    assert_eq!(names, ["private-v1.licenses.7.messengers.telegram", "private-v1.users.685"]);
    let asked = peer.asked.lock().clone();
    assert_eq!(asked, ["/v1/licenses", "/v1/tokens/refresh", "/v1/licenses", "/v1/companies", "/v1/me"]);
    let kept = std::fs::read_to_string(folder.0.join("chatapp-tokens.json")).expect("written");
    assert!(kept.contains("\"a3\""), "{kept}");
}

#[tokio::test]
async fn a_refused_channel_is_the_tokens_fault_or_its_own() {
    let (account, peer, _folder) = account().await;
    let channel = "private-v1.users.685";
    let error = account.authorise("1.1", channel).await.expect_err("a stale token");
    assert_eq!(error, AccountError::Api(ApiError::InvalidToken));
    account.renew().await.expect("a new one");
    account.renew().await.expect("and no second one");
    let signature = account.authorise("1.1", channel).await.expect("a signature");
    assert_eq!(signature.expose_secret(), "k:s");
    // socket_id=1.1&channel_name=private-v1.users.somebody is what the peer knows it by.
    let error = account.authorise("1.1", "private-v1.users.somebody").await.expect_err("not ours");
    assert!(matches!(error, AccountError::Api(ApiError::Refused { status: 403, .. })), "{error:?}");
    account.renew().await.expect("nothing to do");
    let asked = peer.asked.lock().clone();
    assert_eq!(asked.iter().filter(|path| *path == "/v1/tokens/refresh").count(), 1, "{asked:?}");
}

#[test]
fn every_messenger_company_and_user_has_its_channel_once() {
    let license = |id: &str, active, messengers: &[&str]| License {
        id: id.to_owned(),
        active,
        messengers: messengers.iter().map(|messenger| (*messenger).to_owned()).collect(),
    };
    let licenses = [
        license("7", Some(true), &["grWhatsApp", "telegram", "telegram"]),
        license("8", Some(false), &["telegram"]),
        license("9", None, &["max", "a b"]),
        license("10", None, &[]),
    ];
    assert_eq!(
        channel_names(&licenses, &["3".to_owned()], Some("685")),
        [
            "private-v1.licenses.7.messengers.grWhatsApp",
            "private-v1.licenses.7.messengers.telegram",
            "private-v1.licenses.9.messengers.max",
            "private-v1.companies.3",
            "private-v1.users.685",
        ]
    );
    assert!(channel_names(&[], &[], None).is_empty());
}

#[test]
fn what_an_error_means_to_a_reader_of_pages() {
    let again = |least| Obstacle::Again { least, detail: String::new() };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (error, expected) in [
        (AccountError::Api(ApiError::InvalidToken), again(None)),
        (AccountError::Api(ApiError::RateLimited { retry_after: seconds(7) }), again(seconds(7))),
        (AccountError::Api(ApiError::Unreachable { class: "timeout", detail: String::new() }), again(None)),
        (
            AccountError::Api(ApiError::Refused { status: 404, code: String::new(), fix: "" }),
            Obstacle::Never { detail: String::new() },
        ),
        (
            AccountError::Token(TokenError::Waiting { wait: Duration::from_secs(60), why: String::new() }),
            again(seconds(60)),
        ),
        (AccountError::Token(TokenError::NotStored { place: String::new(), detail: String::new() }), again(None)),
        (AccountError::Token(TokenError::NeedsOperator(String::new())), Obstacle::Stop { detail: String::new() }),
    ] {
        let without_detail = match obstacle(&error) {
            Obstacle::Again { least, .. } => again(least),
            Obstacle::Never { .. } => Obstacle::Never { detail: String::new() },
            Obstacle::Stop { .. } => Obstacle::Stop { detail: String::new() },
        };
        assert_eq!(without_detail, expected, "{error:?}");
    }
}
