//! The status page: its stream by hand, and all of it in a real browser (the stories are told in tests/page).

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatbridge::config::{Calls, Events};
use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::prepare;
use chatbridge::core::publish::kafka::Health;
use chatbridge::inbound::descriptors::Descriptors;
use chatbridge::inbound::server::{Callers, HttpServer, Places, Timeouts};
use chatbridge::redact::Redactor;
use chatbridge::watch::admin::{self, Shown};
use chatbridge::watch::readiness::Readiness;
use chatbridge::watch::telemetry::InstanceTelemetry;
use chatbridge::watch::telemetry::config::LiveConfig;
use chatbridge::watch::telemetry::metrics::Metrics;
use chatbridge::watch::telemetry::status::StatusBoard;
use chatbridge::watch::telemetry::words::Phase;
use chatbridge_event::event::{Body, InstanceId, Notification};
use chatbridge_lab::green_api::{Fault, FaultKind, Method};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::bridge::Bridge;
use crate::support::needs::{Unavailable, or_skip};
use crate::support::node;
use crate::wire::{FIRST, Scene, TOKEN};

const SECOND: u64 = FIRST + 1;
const PHONE: &str = "79990007766";
const TEXT: &str = "canary-in-a-text";
const STREAMS_MAX: usize = 32;

/// An open stream: its head, and its events as they come.
struct Stream {
    head: String,
    reader: BufReader<TcpStream>,
}

impl Stream {
    fn open(admin: &str, query: &str) -> Self {
        let mut stream = TcpStream::connect(admin).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        // HTTP/1.0 has no chunks, so that what is read is what was said.
        write!(stream, "GET /status/stream{query} HTTP/1.0\r\n\r\n").expect("it reads");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("it answers"), 0, "{head}");
        }
        Self { head, reader }
    }

    fn status(&self) -> &str {
        self.head.split(' ').nth(1).expect("a status line")
    }

    fn event(&mut self) -> Value {
        let mut line = String::new();
        while !line.starts_with("data:") {
            line.clear();
            assert_ne!(self.reader.read_line(&mut line).expect("another event"), 0, "it goes on");
        }
        serde_json::from_str(line.trim_start_matches("data:")).expect("JSON")
    }

    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).expect("its end");
        rest
    }
}

#[test]
fn the_stream_tells_once_a_second_to_as_many_as_there_are_places_and_ends_with_the_process() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    // Before the first opens: what comes while others do lies there to be read at once.
    let begun = Instant::now();
    let mut streams: Vec<Stream> = (0..STREAMS_MAX).map(|_| Stream::open(bridge.admin(), "")).collect();
    for stream in &mut streams {
        assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
        for header in ["default-src 'none'", "frame-ancestors 'none'", "nosniff", "no-referrer", "no-store"] {
            assert!(stream.head.contains(header), "{header}: {}", stream.head);
        }
        assert_eq!(stream.event()["instances"][1]["instance"], SECOND.to_string());
    }
    assert_eq!(Stream::open(bridge.admin(), "").status(), "503", "no place is left");
    streams.truncate(1);
    let mut one = streams.remove(0);
    let again = bridge.wait("a place", |bridge| {
        let stream = Stream::open(bridge.admin(), "?level=alarm");
        (stream.status() == "200").then_some(stream)
    });
    assert_eq!({ again }.event()["matched"], 0);
    for _ in 0..3 {
        one.event();
    }
    assert!(begun.elapsed() >= Duration::from_secs(2), "once a second, not at once");
    assert_eq!(bridge.get("/status/stream?level=purple").0, 400);
    for method in ["POST", "PUT", "DELETE"] {
        let mut stream = TcpStream::connect(bridge.admin()).expect("it listens");
        write!(stream, "{method} /status HTTP/1.0\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.0 405"), "{answer}");
    }

    let log = scene.home.config().with_file_name("log");
    assert!(bridge.terminate().success());
    one.rest();
    let log = fs::read_to_string(log).expect("readable");
    assert!(!log.contains("still reading"), "the stream ended by itself: {log}");
}

/// The path of a browser, by the names it goes by.
fn browser() -> Result<String, Unavailable> {
    let names = "command -v chromium || command -v chromium-browser || command -v google-chrome";
    let out = Command::new("sh").args(["-c", names]).output().expect("a shell is there");
    let path = String::from_utf8(out.stdout).expect("UTF-8").trim().to_owned();
    let missing = || Unavailable::Missing("tests of the status page need a browser: apt-get install chromium".into());
    (!path.is_empty()).then_some(path).ok_or_else(missing)
}

/// Tells the story `script` in a browser at `admin`; what it asks for, `act` does.
fn tell(script: &str, admin: &str, mut act: impl FnMut(&str)) {
    let Some(browser) = or_skip(browser()) else { return };
    let Some(mut program) = or_skip(node::program("page", script)) else { return };
    let screenshots = concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots");
    fs::create_dir_all(screenshots).expect("writable");
    program.args([&browser, &format!("http://{admin}/"), screenshots, TOKEN, PHONE, TEXT]);
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node is there");
    let mut answers = child.stdin.take().expect("piped");
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        act(&line.expect("UTF-8"));
        writeln!(answers, "done").expect("it listens");
    }
    assert!(child.wait().expect("our child").success(), "{script}: see above");
}

#[test]
#[ignore = "needs a browser and Node; make test brings both"]
fn in_a_browser_the_page_follows_a_bridge_through_events_trouble_and_a_restart() {
    let scene = Scene::new("[webhook]\nlisten = \"127.0.0.1:0\"\ntoken = \"webhook0token\"\n");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let admin = bridge.admin().to_owned();
    // The page looks for it where it was.
    let config = fs::read_to_string(scene.home.config()).expect("readable");
    let config = config.replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"{admin}\""));
    fs::write(scene.home.config(), &config).expect("writable");
    let mut running = Some(bridge);
    let receive = |running: &Option<Bridge>, how: &str| {
        let first = format!("id = {FIRST}\n");
        let config = config.replace(&first, &format!("{first}receive = \"{how}\"\n"));
        fs::write(scene.home.config(), config).expect("writable");
        running.as_ref().expect("it runs").signal("HUP");
    };
    tell("live.js", &admin, |what| match what {
        "events" => {
            let text = json!({
                "typeWebhook": "incomingMessageReceived", "timestamp": Timestamp::now().as_second(), "idMessage": "A1",
                "instanceData": {"idInstance": SECOND, "wid": format!("{PHONE}@c.us"), "typeInstance": "whatsapp"},
                "senderData": {"chatId": format!("{PHONE}@c.us"), "sender": format!("{PHONE}@c.us"), "chatName": TEXT},
                "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": TEXT}}
            });
            scene.simulator.enqueue(SECOND, text.to_string()).expect("room");
            scene.queue(SECOND, 19);
        }
        "misconfigure" => {
            // What upstream says is repeated in the error, whatever it says.
            let body = format!("custom webhook url is set: /waInstance{FIRST}/receiveNotification/{TOKEN}");
            let kind = FaultKind::Status { code: 400, body, retry_after_seconds: None };
            scene.simulator.add_fault(Fault::new(Method::Receive, kind).on(FIRST));
        }
        "push" => {
            scene.queue(FIRST, 2);
            receive(&running, "webhook");
        }
        "poll" => receive(&running, "poll"),
        "mend" => scene.simulator.clear_faults(),
        "stop" => assert!(running.take().expect("it runs").terminate().success()),
        "start" => running = Some(Bridge::start(&scene.home, &[])),
        other => panic!("{other}"),
    });
}

/// Ten thousand instances, as a day at a large customer might have them.
fn crowd(board: &StatusBoard, metrics: &Arc<Metrics>) {
    let policy = Policy::new(Events::default(), Calls::default());
    let call_of = |hours_ago: i64| {
        let now = Timestamp::now();
        let seconds = now.as_second() - hours_ago * 3600;
        let raw = format!(r#"{{"typeWebhook":"incomingCall","status":"offer","timestamp":{seconds}}}"#);
        let body = Body::Json(RawValue::from_string(raw).expect("JSON"));
        prepare(Notification { instance: InstanceId::new(FIRST), receipt_id: None, body }, &policy, now)
    };
    let (young, aged, old) = (call_of(0), call_of(8), call_of(20));
    for id in FIRST..FIRST + 10_000 {
        let telemetry = InstanceTelemetry::new(metrics, board.add(InstanceId::new(id)));
        telemetry.state_seen("authorized");
        telemetry.queue_empty();
        let number = id - FIRST;
        for _ in 0..number % 7 * 4 {
            telemetry.received(&young);
            telemetry.deleted(Duration::from_millis(3));
        }
        telemetry.queue_empty();
        telemetry.queue_depth(i64::try_from(number % 3).expect("small"));
        match number {
            17 => telemetry.received(&old),
            99 => telemetry.received(&aged),
            1234 => telemetry.rival_suspected(),
            5 | 4321 => {
                let detail = "GREEN-API refuses the token: correct the instance's token, or the API host (HTTP 401)";
                telemetry.source_failed("unauthorized", detail, Phase::Misconfigured);
            }
            _ if number % 900 == 3 => {
                telemetry.source_failed("timeout", "no answer in time", Phase::BackingOff);
                telemetry.queue_empty();
            }
            _ => {}
        }
    }
}

/// An admin server over ten thousand instances, in this process.
fn crowded() -> (Runtime, String) {
    let runtime = Runtime::new().expect("a runtime");
    let metrics = Arc::new(Metrics::new());
    let board = Arc::new(StatusBoard::default());
    crowd(&board, &metrics);
    let descriptors = Arc::new(Descriptors::new(None, metrics.files_exhausted()));
    let telemetry = Arc::new(metrics.admin_listener());
    let shown = Shown {
        descriptors: Arc::clone(&descriptors),
        config: Arc::new(LiveConfig::new(Arc::clone(&metrics))),
        metrics,
        board,
        readiness: Readiness::default(),
        kafka: Arc::new(Health::default()),
        chatapp: None,
        schema_registry: None,
        redactor: Redactor::default(),
        silence_max: Duration::from_secs(300),
        started: tokio::time::Instant::now(),
    };
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let admin = listener.local_addr().expect("bound").to_string();
    let server = HttpServer {
        listener,
        tls: None,
        callers: Callers::default(),
        places: Arc::new(Places::new(10, 10)),
        timeouts: Timeouts { header: Duration::from_secs(10), write: Duration::from_secs(10) },
        telemetry,
        descriptors,
    };
    runtime.spawn(admin::serve(server, shown, Vec::new(), CancellationToken::new()));
    (runtime, admin)
}

#[test]
fn of_ten_thousand_instances_a_page_gets_those_it_asked_for_the_worst_first() {
    let (_runtime, admin) = crowded();
    let mut stream = Stream::open(&admin, "");
    let status = stream.event();
    let of = |status: &Value, field: &str| -> Vec<String> {
        let instances = status["instances"].as_array().expect("a list");
        instances.iter().map(|instance| instance[field].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(status["matched"], 10_000);
    assert_eq!(status["totals"]["alarm"], 3);
    assert_eq!(status["totals"]["warn"], 2);
    assert_eq!(of(&status, "level")[..6], ["alarm", "alarm", "alarm", "warn", "warn", "ok"]);
    assert_eq!(of(&status, "instance")[0], (FIRST + 17).to_string(), "twenty hours old");
    let advice = status["instances"][0]["advice"].as_str().expect("what to do");
    assert!(advice.contains("old backlog"), "{advice}");
    assert_eq!(of(&status, "level").len(), 50);
    let bytes = status.to_string().len();
    assert!(bytes < 50_000, "{bytes} a second to each page");
    let found = Stream::open(&admin, "?q=1101009876").event();
    assert_eq!((of(&found, "instance"), found["matched"].clone()), (vec!["1101009876".into()], json!(1)));
    let most = Stream::open(&admin, "?limit=9999").event();
    assert_eq!(of(&most, "level").len(), 500);
}

#[test]
#[ignore = "needs a browser and Node; make test brings both"]
fn in_a_browser_ten_thousand_instances_are_still_a_page() {
    let (_runtime, admin) = crowded();
    tell("many.js", &admin, |what| panic!("{what}"));
}
