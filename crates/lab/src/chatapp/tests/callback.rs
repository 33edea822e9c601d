//! The push to a `callbackUrl`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::chatapp::CallbackConfig;

const PATH: &str = "/v1/licenses/1229/messengers/telegram/callbackUrl";

/// What came, and what is answered next; 200 when nothing is said.
#[derive(Clone, Default)]
struct Receiver {
    bodies: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<usize>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let router = Router::new().route("/", post(Self::receive)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn receive(State(this): State<Self>, body: String) -> StatusCode {
        this.bodies.lock().expect("lock").push(body);
        let mut refusals = this.refusals.lock().expect("lock");
        if *refusals == 0 {
            return StatusCode::OK;
        }
        *refusals -= 1;
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn refuse(&self, times: usize) {
        *self.refusals.lock().expect("lock") = times;
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("lock").clone()
    }
}

async fn called_back(simulator: &ChatAppSimulator, wanted: u64, answer: Option<u16>) {
    let is = |event: &JournalEvent| matches!(event, JournalEvent::CalledBack { publication, status } if *publication == wanted && *status == answer);
    soon(simulator.journalled(|entry| is(&entry.what))).await;
}

#[tokio::test]
async fn bodies_are_pushed_unwrapped_once_to_a_url_that_answered_an_empty_post() {
    // One at a time, so that a repeat would be there before what follows.
    let callback = CallbackConfig { pause: Duration::from_millis(1), parallel_max: 1, ..CallbackConfig::default() };
    let simulator = start(ChatAppSimulatorConfig { callback, ..ChatAppSimulatorConfig::default() }).await;
    let api = Api::log_in(&simulator).await;
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let wanted = json!({"url": url, "events": ["message", "chatRead"]});
    receiver.refuse(1);
    assert_eq!(api.call(Method::PUT, PATH, Some(wanted.clone())).await.0, 422);
    assert_eq!(api.get("/v1/callbackUrls").await["data"], json!([]));
    assert_eq!(api.call(Method::PUT, PATH, Some(wanted)).await.0, 200);
    let listed =
        json!([{"licenseId": 1229, "messengerType": "telegram", "events": ["chatRead", "message"], "url": url}]);
    assert_eq!(api.get("/v1/callbackUrls").await["data"], listed);
    assert_eq!(receiver.bodies(), ["", ""], "the empty POSTs");

    let pushed = simulator.publish(&chat_read());
    called_back(&simulator, pushed, Some(200)).await;
    assert_eq!(receiver.bodies()[2], r#"{"data":[{"chat":{"id":"private-1h2"}}],"meta":{"type":"chatRead"}}"#);
    simulator.publish(&Event { name: "messageStatus".to_owned(), ..chat_read() });
    receiver.refuse(1);
    let lost = simulator.publish(&chat_read());
    called_back(&simulator, lost, Some(500)).await;
    let next = simulator.publish(&chat_read());
    called_back(&simulator, next, Some(200)).await;
    assert_eq!(receiver.bodies().len(), 5, "one refused, none repeated, none that was not asked for");
    assert_eq!(
        fates(&simulator.journal()).iter().map(|(_, fate)| *fate).collect::<Vec<_>>(),
        [Fate::Pushed, Fate::Lost, Fate::Lost, Fate::Pushed]
    );

    assert_eq!(api.call(Method::DELETE, PATH, None).await.0, 200);
    assert_eq!(api.get("/v1/callbackUrls").await["data"], json!([]));
    let unheard = simulator.publish(&chat_read());
    assert_eq!(fates(&simulator.journal()).last(), Some(&(unheard, Fate::Lost)), "none after the end");
}

#[tokio::test]
async fn bodies_are_repeated_where_told_so() {
    let callback = CallbackConfig { attempts_max: 3, pause: Duration::from_millis(5), ..CallbackConfig::default() };
    let simulator = start(ChatAppSimulatorConfig { callback, ..ChatAppSimulatorConfig::default() }).await;
    let api = Api::log_in(&simulator).await;
    let receiver = Receiver::default();
    let wanted = json!({"url": receiver.start().await, "events": ["chatRead"]});
    assert_eq!(api.call(Method::PUT, PATH, Some(wanted)).await.0, 200);
    receiver.refuse(2);
    let pushed = simulator.publish(&chat_read());
    called_back(&simulator, pushed, Some(200)).await;
    assert_eq!(receiver.bodies().len(), 4);
    assert_eq!(fates(&simulator.journal()), [(pushed, Fate::Pushed)]);
}
