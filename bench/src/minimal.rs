//! The leanest correct loop: reqwest and rdkafka, the body as it came, nothing else. What chatbridge is measured
//! against.
//!
//! `minimal BROKERS TOPIC TARGETS` polls every instance in the file, `… steps WARM_UP EVENTS` drains so many of the
//! first one's events and prints what each of the three steps took, and `… webhook PORT` takes calls in place of
//! polling.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::StatusCode;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::Client;
use serde::Deserialize;
use serde_json::value::RawValue;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RECEIVE_TIMEOUT_SECONDS: u64 = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received<'a> {
    receipt_id: u64,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// One instance's queue and where its events go.
struct Loop {
    http: Client,
    producer: FutureProducer,
    topic: String,
    instance: String,
    receive: String,
    delete: String,
}

/// What the steps of some cycles took, in seconds.
#[derive(Default)]
struct Steps {
    receive: f64,
    ack: f64,
    delete: f64,
    cycles: u32,
}

impl Loop {
    fn new(http: &Client, producer: &FutureProducer, topic: &str, target: &str) -> Option<Self> {
        let mut words = target.split(' ');
        let (url, instance, token) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            http: http.clone(),
            producer: producer.clone(),
            topic: topic.to_owned(),
            instance: instance.to_owned(),
            receive: format!(
                "{url}/waInstance{instance}/receiveNotification/{token}?receiveTimeout={RECEIVE_TIMEOUT_SECONDS}"
            ),
            delete: format!("{url}/waInstance{instance}/deleteNotification/{token}"),
        })
    }

    /// Receive, publish, delete; false where nothing was queued.
    async fn cycle(&self, steps: &mut Steps) -> Result<bool, Failure> {
        let started = Instant::now();
        let timeout = Duration::from_secs(RECEIVE_TIMEOUT_SECONDS + 15);
        let answer = self.http.get(&self.receive).timeout(timeout).send().await?.error_for_status()?.bytes().await?;
        let received_at = Instant::now();
        let Some(Received { receipt_id, body }) = serde_json::from_slice(&answer)? else { return Ok(false) };
        publish(&self.producer, &self.topic, &self.instance, body.get().as_bytes()).await?;
        let acknowledged_at = Instant::now();
        let delete = self.http.delete(format!("{}/{receipt_id}", self.delete)).timeout(timeout);
        delete.send().await?.error_for_status()?.bytes().await?;
        steps.receive += (received_at - started).as_secs_f64();
        steps.ack += (acknowledged_at - received_at).as_secs_f64();
        steps.delete += acknowledged_at.elapsed().as_secs_f64();
        steps.cycles += 1;
        Ok(true)
    }

    async fn run(self) {
        let mut steps = Steps::default();
        loop {
            if let Err(failure) = self.cycle(&mut steps).await {
                eprintln!("{}: {failure}", self.instance);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// After so many cycles that do not count: of those, the first makes the connections.
    async fn print_steps(self, warm_up: u32, events: u32) -> Result<(), Failure> {
        let mut steps = Steps::default();
        for _ in 0..warm_up {
            self.cycle(&mut steps).await?;
        }
        steps = Steps::default();
        for _ in 0..events {
            self.cycle(&mut steps).await?;
        }
        let Steps { receive, ack, delete, cycles } = steps;
        let each = f64::from(cycles.max(1));
        let line = serde_json::json!({"receive": receive / each, "ack": ack / each, "delete": delete / each});
        println!("{line}");
        Ok(())
    }
}

async fn publish(producer: &FutureProducer, topic: &str, key: &str, value: &[u8]) -> Result<(), Failure> {
    let record = FutureRecord::to(topic).key(key).payload(value);
    producer.send_result(record).map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;
    Ok(())
}

async fn webhook(producer: FutureProducer, topic: String, port: u16) -> Result<(), Failure> {
    let publish_it = async move |axum::extract::Path(instance): axum::extract::Path<String>, body: Bytes| match publish(
        &producer, &topic, &instance, &body,
    )
    .await
    {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let router = axum::Router::new().route("/green-api/{instance}", axum::routing::post(publish_it));
    axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?, router).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(std::env::args().skip(1).collect()).await
}

/// Apart from `main`, because tests/guard is this program too.
pub(crate) async fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let [brokers, topic, targets, mode @ ..] = arguments.as_slice() else {
        return Err("usage: BROKERS TOPIC TARGETS [steps WARM_UP EVENTS | webhook PORT]".into());
    };
    // What the promise needs, and what chatbridge sets beside.
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0")
        .set("linger.ms", "0")
        .set("compression.type", "lz4")
        .create()?;
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().map_err(|_| "a second provider")?;
    let http = Client::builder().no_proxy().http1_only().tcp_nodelay(true).build()?;
    let targets = std::fs::read_to_string(targets)?;
    let loops = targets.lines().filter_map(|target| Loop::new(&http, &producer, topic, target));
    match mode {
        [] => {
            let running: Vec<_> = loops.map(|each| tokio::spawn(each.run())).collect();
            for each in running {
                each.await?;
            }
            Ok(())
        }
        [steps, warm_up, events] if steps == "steps" => {
            let first = loops.into_iter().next().ok_or("no target")?;
            first.print_steps(warm_up.parse()?, events.parse()?).await
        }
        [webhook_mode, port] if webhook_mode == "webhook" => webhook(producer, topic.clone(), port.parse()?).await,
        _ => Err("neither `steps WARM_UP EVENTS` nor `webhook PORT`".into()),
    }
}
