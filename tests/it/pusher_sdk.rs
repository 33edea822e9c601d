//! The simulated ChatApp is a faithful one: Pusher's own client listens to it, and Pusher's own SDK publishes to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{Act, ChatAppSimulator, ChatAppSimulatorConfig, Event, Fate, Login, PusherApp, fates};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::http::ask;
use crate::support::needs::{Unavailable, or_skip};
use crate::support::node;

const PATIENCE: Duration = Duration::from_secs(60);
const FOLDER: &str = "pusher-clients";
const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";

/// A simulator on a runtime of its own, for what waits here blocks.
struct Served {
    simulator: ChatAppSimulator,
    runtime: Runtime,
}

impl Served {
    fn start(config: ChatAppSimulatorConfig) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let simulator = runtime.block_on(ChatAppSimulator::start(config)).expect("free ports");
        Self { simulator, runtime }
    }

    fn api(&self) -> &str {
        self.simulator.api_url().trim_start_matches("http://")
    }

    fn token(&self) -> String {
        let Login { email, password, app_id } = Login::default();
        let login = json!({"email": email, "password": password, "appId": app_id}).to_string();
        let (status, body) = ask(self.api(), "POST", "/v1/tokens", &login).expect("it answers");
        assert_eq!(status, 200, "{body}");
        let pair: Value = serde_json::from_str(&body).expect("JSON");
        pair["data"]["accessToken"].as_str().expect("text").to_owned()
    }

    /// pusher-js, as the vendor's page sets it up.
    fn listener(&self, key: &str, auth: &Self, token: &str) -> Result<Listener, Unavailable> {
        let socket = self.simulator.socket_url().trim_start_matches("ws://");
        let (host, port) = socket.rsplit_once(':').expect("host and port");
        let port: u16 = port.parse().expect("a port");
        let auth = format!("http://{}/broadcasting/auth", auth.api());
        Listener::start(&json!({"host": host, "port": port, "key": key, "auth": auth, "channel": CHANNEL}), token)
    }

    /// Pusher's SDK publishes these.
    fn publish(&self, secret: &str, events: &[(&str, &str, Value)]) -> Result<Output, Unavailable> {
        let broken = |error: std::io::Error| Unavailable::Broken(format!("publish.js: {error}"));
        let (host, port) = self.api().rsplit_once(':').expect("host and port");
        let PusherApp { id, key, .. } = PusherApp::default();
        let app = json!({"host": host, "port": port, "id": id, "key": key, "secret": secret});
        let mut process = node::program(FOLDER, "publish.js")?
            .arg(app.to_string())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let mut stdin = process.stdin.take().expect("piped");
        stdin.write_all(json!(events).to_string().as_bytes()).map_err(broken)?;
        drop(stdin);
        process.wait_with_output().map_err(broken)
    }
}

struct Listener {
    process: Child,
    told: Receiver<Value>,
}

impl Listener {
    fn start(options: &Value, token: &str) -> Result<Self, Unavailable> {
        let mut process = node::program(FOLDER, "listen.js")?
            .args([&options.to_string(), token])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Unavailable::Broken(format!("listen.js: {error}")))?;
        let stdout = BufReader::new(process.stdout.take().expect("piped"));
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody listens once the test is over.
                let _ = tell.send(serde_json::from_str(&line).expect("a JSON line"));
            }
        });
        Ok(Self { process, told })
    }

    /// The value of the next line that has this field.
    fn next(&self, field: &str) -> Value {
        loop {
            let mut line = self.told.recv_timeout(PATIENCE).expect("pusher-js has something to tell");
            if line.get(field).is_some() {
                return if field == "event" { line } else { line[field].take() };
            }
        }
    }

    fn expect_event(&self, name: &str, data: &Value) {
        assert_eq!(self.next("event"), json!({"event": name, "data": data}));
    }

    fn is_subscribed(&self) {
        assert_eq!(self.next("event")["event"], "pusher:subscription_succeeded");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs Node and npm; make test brings both"]
fn pushers_own_client_hears_what_the_generator_and_pushers_own_sdk_publish() {
    let config = ChatAppSimulatorConfig::default();
    let events: Vec<Event> = Generator::new(&config, 5).filter(|event| event.channel == CHANNEL).take(50).collect();
    let served = Served::start(config);
    let key = PusherApp::default().key;
    let Some(listener) = or_skip(served.listener(&key, &served, &served.token())) else { return };
    listener.is_subscribed();
    for event in &events {
        served.simulator.publish(event);
    }
    for event in &events {
        listener.expect_event(&event.name, &serde_json::from_str(&event.body).expect("JSON"));
    }

    let item = |id: u64| json!({"id": id, "time": 1_700_000_000, "type": "text", "chat": {"id": "private-1h2"}});
    let message = |id| json!({"data": [item(id)], "meta": {"type": "message"}});
    let by_sdk: Vec<_> = (1..=13).map(|id| (CHANNEL, "message", message(id))).collect();
    let secret = PusherApp::default().secret;
    let Some(done) = or_skip(served.publish(&secret, &by_sdk)) else { return };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for (_, name, data) in &by_sdk {
        listener.expect_event(name, data);
    }
    let Some(forged) = or_skip(served.publish("another secret", &by_sdk)) else { return };
    let why = String::from_utf8_lossy(&forged.stderr).into_owned();
    assert!(!forged.status.success() && why.contains("401") && why.contains("auth_signature"), "{why}");

    // A close is come back from, with a new authorisation; what was published meanwhile is gone. It is no restart, for
    // pusher-js waits more than ten seconds where nobody listens.
    served.simulator.act(&Act::Disconnect { code: 4200 });
    served.simulator.publish(&Event {
        channel: CHANNEL.to_owned(),
        name: "chatRead".to_owned(),
        body: r#"{"data":[]}"#.to_owned(),
    });
    listener.is_subscribed();
    served.simulator.publish(&events[0]);
    listener.expect_event(&events[0].name, &serde_json::from_str(&events[0].body).expect("JSON"));
    // The listener may hear the last one before the journal says that it was pushed.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let fates = fates(&served.simulator.journal());
        let unheard: Vec<_> = fates.iter().filter(|(_, fate)| *fate != Fate::Pushed).collect();
        if (fates.len(), &unheard[..]) == (50 + 13 + 2, &[&(64, Fate::Lost)]) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{} of them, unheard {unheard:?}", fates.len());
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "needs Node and npm; make test brings both"]
fn pushers_own_client_is_told_what_is_wrong() {
    let served = Served::start(ChatAppSimulatorConfig::default());
    let key = PusherApp::default().key;
    let Some(stranger) = or_skip(served.listener("NoSuchKey", &served, &served.token())) else { return };
    assert_eq!(stranger.next("error")["code"], 4001);

    let Some(expired) = or_skip(served.listener(&key, &served, "no token of ours")) else { return };
    let refused = expired.next("event");
    assert_eq!((&refused["event"], &refused["data"]["status"]), (&json!("pusher:subscription_error"), &json!(403)));

    let app = PusherApp { secret: "another secret".to_owned(), ..PusherApp::default() };
    let forger = Served::start(ChatAppSimulatorConfig { app, ..ChatAppSimulatorConfig::default() });
    let Some(forged) = or_skip(served.listener(&key, &forger, &forger.token())) else { return };
    let refused = forged.next("event");
    assert_eq!((&refused["event"], &refused["data"]["status"]), (&json!("pusher:subscription_error"), &json!(401)));
    served.runtime.block_on(served.simulator.subscribed(CHANNEL, 0));
}
