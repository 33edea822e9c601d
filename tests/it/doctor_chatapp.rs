//! `check --online` for `[chatapp]` by the real binary: against a simulated ChatApp, with and without a bridge beside
//! it, which must not notice.

use std::path::PathBuf;
use std::process::Command;

use chatbridge_lab::chatapp::{
    Act, ChatAppSimulator, ChatAppSimulatorConfig, Fault, FaultKind, JournalEvent, Login, Place,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};

const TELEGRAM: &str = "channel private-v1.licenses.1229.messengers.telegram";
const STATE: &str = "chatapp state_dir";
const ACCOUNT: &str = "chatapp account";
const SOCKET: &str = "chatapp socket";

struct Scene {
    home: Home,
    state: PathBuf,
    simulator: ChatAppSimulator,
    _brokers: MockCluster<'static, DefaultProducerContext>,
    _runtime: Runtime,
}

/// Exit code, and every finding as (verdict, subject, found, fix).
type Checked = (Option<i32>, Vec<[String; 4]>);

impl Scene {
    /// `more` goes into `[chatapp]`.
    fn new(more: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let simulator =
            runtime.block_on(ChatAppSimulator::start(ChatAppSimulatorConfig::default())).expect("free ports");
        let brokers = MockCluster::new(1).expect("brokers");
        for topic in ["chat-events", "chat-events-dlq"] {
            brokers.create_topic(topic, 4, 1).expect("a topic");
        }
        let Login { email, password, app_id } = Login::default();
        let home = Home::new("http://127.0.0.1:9", &[], &brokers.bootstrap_servers(), "");
        let state = home.config().with_file_name("state");
        let mut text = std::fs::read_to_string(home.config()).expect("written");
        text.push_str(&format!(
            "[chatapp]\napi_url = \"{}\"\nsocket_url = \"{}\"\nemail = \"{email}\"\npassword = \"{password}\"\n\
             app_id = \"{app_id}\"\nstate_dir = \"{}\"\nrequests_per_second_max = 50\n{more}\n",
            simulator.api_url(),
            simulator.socket_url(),
            state.display()
        ));
        std::fs::write(home.config(), text).expect("writable");
        Self { home, state, simulator, _brokers: brokers, _runtime: runtime }
    }

    /// A bridge that hears everything; its tokens lie in the folder of its state.
    fn bridge(&self) -> Bridge {
        let mut bridge = Bridge::start(&self.home, &[]);
        bridge.wait("all channels", |bridge| (subscribed(bridge) == 4.0).then_some(()));
        // From now on every login and every refresh is an entry in the journal.
        for place in [Place::Login, Place::Refresh] {
            let noted = Fault::new(place, FaultKind::Delay { duration_ms: 0 });
            self.simulator.add_fault(noted).expect("it can happen");
        }
        bridge
    }

    fn tokens(&self) -> String {
        std::fs::read_to_string(self.state.join("chatapp-tokens.json")).expect("tokens")
    }

    fn check(&self, environment: &[(&str, &str)]) -> Checked {
        let out = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
            .args(["check", "--online", "--json", "--config"])
            .arg(self.home.config())
            // The mock cluster knows no properties of topics and does not say so.
            .env("CHATBRIDGE__KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS", "1000")
            .envs(environment.iter().copied())
            .output()
            .expect("the binary starts");
        let printed = String::from_utf8(out.stdout).expect("UTF-8");
        assert!(!printed.contains(&Login::default().email), "{printed}");
        let printed: Value =
            serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
        let word = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let findings = printed["findings"].as_array().expect("findings").iter();
        let findings = findings.map(|finding| ["verdict", "subject", "found", "fix"].map(|name| word(finding, name)));
        (out.status.code(), findings.collect())
    }

    /// Nothing was logged in and nothing refreshed since the bridge began.
    fn assert_no_tokens_made(&self) {
        let made = self
            .simulator
            .journal()
            .into_iter()
            .find(|entry| matches!(entry.what, JournalEvent::Faulted { place: Place::Login | Place::Refresh, .. }));
        assert!(made.is_none(), "{made:?}");
    }
}

fn subscribed(bridge: &Bridge) -> f64 {
    bridge.metric("chatbridge_chatapp_channel_subscribed", "")
}

#[track_caller]
fn assert_found(checked: &Checked, code: i32, verdict: &str, subject: &str, words: &str) {
    assert_eq!(checked.0, Some(code), "{checked:#?}");
    let found = checked.1.iter().any(|[have, about, found, fix]| {
        have == verdict && about == subject && format!("{found} → {fix}").contains(words)
    });
    assert!(found, "{verdict} {subject} {words}: {checked:#?}");
}

#[test]
fn beside_a_running_bridge_all_is_well_and_nothing_is_touched() {
    let scene = Scene::new("");
    let bridge = scene.bridge();
    let tokens = scene.tokens();
    let checked = scene.check(&[]);
    assert_found(&checked, 0, "well", STATE, "a running bridge uses it");
    assert_found(&checked, 0, "well", ACCOUNT, "takes the token in state_dir, which is good until 2");
    assert_found(&checked, 0, "well", ACCOUNT, "shows 4 channels");
    assert_found(&checked, 0, "well", SOCKET, "has named the connection");
    let channels: Vec<_> = checked.1.iter().filter(|[_, subject, ..]| subject.starts_with("channel ")).collect();
    assert_eq!(channels.len(), 4, "{checked:#?}");
    assert!(channels.iter().all(|[verdict, _, found, _]| verdict == "well" && found == "authorised and subscribed"));
    // A token that is not taken is the bridge's to renew, not the check's.
    scene.simulator.act(&Act::ExpireTokens);
    let refused = scene.check(&[]);
    assert_found(
        &refused,
        0,
        "warning",
        ACCOUNT,
        "does not take the token in state_dir → a bridge renews it by itself",
    );
    assert_found(&refused, 0, "well", SOCKET, "has named the connection");
    scene.assert_no_tokens_made();
    assert_eq!(scene.tokens(), tokens, "nor is anything written");
    assert_eq!((subscribed(&bridge), bridge.metric("chatbridge_chatapp_disconnects_total", "")), (4.0, 0.0));
    assert!(bridge.terminate().success());
}

#[test]
fn what_stands_in_the_way_is_named_with_its_fix() {
    let scene = Scene::new("");
    assert!(scene.bridge().terminate().success());
    let with = |place: Place, kind: FaultKind| {
        scene.simulator.clear_faults();
        scene.simulator.add_fault(Fault::new(place, kind)).expect("it can happen");
        scene.check(&[])
    };
    let forbidden = with(Place::Auth, FaultKind::Status { code: 403 });
    assert_found(&forbidden, 1, "broken", TELEGRAM, "not authorised");
    assert_found(&forbidden, 1, "broken", TELEGRAM, "whether the licence is paid");
    assert_found(&forbidden, 1, "well", SOCKET, "has named the connection");
    assert_found(&with(Place::Auth, FaultKind::Status { code: 502 }), 1, "broken", TELEGRAM, "check again in a minute");
    assert_found(&with(Place::Subscribe, FaultKind::Refuse), 1, "broken", TELEGRAM, "the server refuses the channel");
    let away = with(Place::Rest, FaultKind::Reset);
    assert_found(&away, 1, "broken", ACCOUNT, "is chatapp.api_url ChatApp's API, and reachable from here?");
    assert_found(&away, 1, "well", SOCKET, "has named the connection");
    let garbled = with(Place::Rest, FaultKind::Garbled);
    assert_found(&garbled, 1, "broken", ACCOUNT, "not its JSON");
    let full = with(Place::Connect, FaultKind::Close { code: 4100 });
    assert_found(&full, 1, "broken", SOCKET, "at its capacity");
    assert_found(&full, 1, "not_checked", TELEGRAM, "for want of a connection");

    scene.simulator.clear_faults();
    let key = scene.check(&[("CHATBRIDGE__CHATAPP__APP_KEY", "AnotherKey")]);
    assert_found(&key, 64, "misconfigured", SOCKET, "does not know the app key");
    assert_found(&key, 64, "misconfigured", SOCKET, "ChatApp's own is ChatsAppApiProdKey");
    // Nobody listens on the discard port of this machine.
    let nowhere = scene.check(&[("CHATBRIDGE__CHATAPP__SOCKET_URL", "ws://127.0.0.1:9")]);
    assert_found(&nowhere, 1, "broken", SOCKET, "cannot be reached");
    let misspelt = "private-v1.licenses.1229.messengers.Telegram";
    let channels = format!("{misspelt},{}", TELEGRAM.trim_start_matches("channel "));
    let stranger = scene.check(&[("CHATBRIDGE__CHATAPP__CHANNELS", &channels)]);
    assert_found(&stranger, 64, "misconfigured", &format!("channel {misspelt}"), "the account does not show it");
    assert_found(&stranger, 64, "misconfigured", &format!("channel {misspelt}"), "upper and lower case count");
    assert_found(&stranger, 64, "well", TELEGRAM, "authorised and subscribed");
}

#[test]
fn before_the_first_start_there_is_no_token_and_none_is_made() {
    let scene = Scene::new("channels = [\"private-v1.licenses.1229.messengers.telegram\"]\n");
    for place in [Place::Login, Place::Refresh] {
        let noted = Fault::new(place, FaultKind::Delay { duration_ms: 0 });
        scene.simulator.add_fault(noted).expect("it can happen");
    }
    let checked = scene.check(&[]);
    assert_found(&checked, 0, "well", STATE, "is not there yet");
    assert_found(&checked, 0, "not_checked", ACCOUNT, "not asked: there is no accessToken");
    assert_found(&checked, 0, "not_checked", ACCOUNT, "start the bridge, which makes one");
    assert_found(&checked, 0, "well", SOCKET, "has named the connection");
    assert_found(&checked, 0, "not_checked", TELEGRAM, "for want of a token");
    let given = scene.check(&[("CHATBRIDGE__CHATAPP__ACCESS_TOKEN", "canary0of0another0day")]);
    assert_found(&given, 0, "warning", ACCOUNT, "does not take the configured access_token");
    assert!(!format!("{given:?}").contains("canary0of0another0day"));
    scene.assert_no_tokens_made();
    assert!(!scene.state.exists(), "nothing is made");
}
