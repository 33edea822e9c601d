use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::core::schema;

/// What a registry is asked: verb and path, `authorization`, body.
type Asked = (String, Option<String>, Value);

async fn answer(
    State((asked, answer)): State<(UnboundedSender<Asked>, String)>,
    request: Request,
) -> (StatusCode, String) {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let body = serde_json::from_slice(&body).expect("JSON");
    asked.send((format!("{} {}", head.method, head.uri), authorization, body)).expect("somebody listens");
    (StatusCode::OK, answer)
}

/// A registry that gives `answer` to everything, and what it is asked.
async fn stub(answer_with: &str) -> (Url, UnboundedReceiver<Asked>) {
    let (asked, hear) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/root", listener.local_addr().expect("an address"));
    let app = Router::new().fallback(answer).with_state((asked, answer_with.to_owned()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url.parse().expect("a URL"), hear)
}

fn registry(url: Url, credentials: Credentials, register: bool) -> SchemaRegistry {
    // As the command line does, once for the process; here the second test finds it done.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = config::SchemaRegistry { url, register, credentials, request_timeout: Duration::from_secs(5) };
    SchemaRegistry::new(http_client(&config, true).expect("a client"), &config, Default::default())
}

#[tokio::test]
async fn each_topic_is_registered_under_its_subject() {
    let (url, mut hear) = stub(r#"{"id":7}"#).await;
    let credentials = Credentials::Basic { username: "me".to_owned(), password: SecretString::from("secret") };
    let registry = registry(url, credentials, true);
    let health = registry.health();
    assert!(health.trouble().is_some(), "not registered before it was asked");
    let topics = ["chat-events".into(), "calls".into()];
    let ids = registry.schema_ids(&topics, &schema::event()).await.expect("registered");
    assert_eq!(format!("{ids:?}"), r#"SchemaIds({"calls": 7, "chat-events": 7})"#);
    assert_eq!(health.trouble(), None);
    for topic in topics {
        let (path, authorization, body) = hear.recv().await.expect("asked");
        assert_eq!(path, format!("POST /root/subjects/{topic}-value/versions"));
        assert_eq!(authorization.as_deref(), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(body["schemaType"], "JSON");
        let schema: Value = serde_json::from_str(body["schema"].as_str().expect("text")).expect("JSON");
        assert_eq!(schema, schema::event());
    }
    assert!(!format!("{registry:?}").contains("secret"));
}

#[tokio::test]
async fn a_schema_that_others_register_is_only_looked_up() {
    let (url, mut hear) = stub("<html>").await;
    let registry = registry(url, Credentials::Bearer(SecretString::from("token")), false);
    let refused = registry.schema_ids(&["chat-events".into()], &schema::event()).await.expect_err("no id");
    assert!(matches!(&refused, RegistryError::Refused(why) if why.contains("without a schema id")), "{refused}");
    assert_eq!(registry.health().trouble(), Some(refused.to_string()));
    let (path, authorization, _) = hear.recv().await.expect("asked");
    assert_eq!(
        (path.as_str(), authorization.as_deref()),
        ("POST /root/subjects/chat-events-value", Some("Bearer token"))
    );
}

#[tokio::test]
async fn an_absent_registry_is_asked_again() {
    let url = "http://127.0.0.1:1".parse().expect("a URL");
    let registry = registry(url, Credentials::None, true);
    let away = registry.schema_ids(&["chat-events".into()], &schema::event()).await.expect_err("nobody there");
    assert!(matches!(&away, RegistryError::Unavailable(why) if why.contains("refused")), "{away}");
}
