//! The tests' own bad network, towards HTTP and towards Kafka.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::{Simulator, SimulatorConfig};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::support::broker::{Broker, free_port, further_listeners};
use crate::support::guard::strs;
use crate::support::needs::or_skip;
use crate::support::producer::{produce, produce_until, producer};
use crate::support::toxiproxy::Direction::{Downstream, Upstream};
use crate::support::toxiproxy::{Toxic, Toxiproxy};

const TOPIC: &str = "behind-a-bad-network";
/// So long is waited for what must not come.
const HANGS: Duration = Duration::from_millis(1500);
/// So long for what must, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for /, and reads on until the connection ends: what came, how it ended, and how long all of it took.
fn exchange(stream: io::Result<TcpStream>, patience: Duration) -> (String, Result<(), io::ErrorKind>, Duration) {
    let begun = Instant::now();
    let mut came = Vec::new();
    let end = stream.and_then(|mut stream| {
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        stream.read_to_end(&mut came)
    });
    (String::from_utf8_lossy(&came).into_owned(), end.map(drop).map_err(|error| error.kind()), begun.elapsed())
}

#[test]
#[ignore = "builds toxiproxy"]
fn http_is_slow_silent_cut_and_reset_as_told() {
    let Some(toxiproxy) = or_skip(Toxiproxy::start()) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let simulator = runtime.block_on(Simulator::start(SimulatorConfig::default())).expect("a free port");
    let upstream = simulator.url().strip_prefix("http://").expect("an http address").trim_end_matches('/').to_owned();
    let proxy = toxiproxy.proxy("green-api", &upstream);
    let ask = || exchange(TcpStream::connect(proxy.address()), PATIENCE);

    let (whole, end, healthy) = ask();
    assert!(whole.starts_with("HTTP/1.0 404") && end.is_ok(), "{whole} {end:?}");

    let slow = Toxic::Latency { ms: 400, jitter_ms: 0 };
    proxy.add(slow, Downstream);
    let (came, end, took) = ask();
    assert!(came.len() == whole.len() && end.is_ok() && took >= Duration::from_millis(400), "{took:?} {end:?}");
    proxy.remove(slow, Downstream);

    proxy.add(Toxic::Bandwidth { kilobytes_per_second: 1 }, Downstream);
    let (came, _, took) = ask();
    let least = Duration::from_millis(whole.len() as u64 / 2);
    assert!(came.len() == whole.len() && took >= least, "{took:?} for {} bytes, {healthy:?} before", whole.len());
    proxy.clear();

    proxy.add(Toxic::Silence, Upstream);
    let silent = TcpStream::connect(proxy.address());
    let (came, end, took) =
        exchange(silent.as_ref().map_err(|error| error.kind().into()).and_then(TcpStream::try_clone), HANGS);
    assert!(came.is_empty() && end == Err(io::ErrorKind::WouldBlock) && took >= HANGS, "{came} {end:?} {took:?}");
    proxy.clear();
    let mut rest = Vec::new();
    let mut silent = silent.expect("it connected");
    silent.set_read_timeout(Some(PATIENCE)).expect("a socket");
    silent.read_to_end(&mut rest).expect("its end");
    assert!(rest.is_empty(), "what was swallowed does not come later");

    proxy.add(Toxic::Timeout { ms: 200 }, Upstream);
    let (came, end, took) = ask();
    assert!(came.is_empty() && end.is_ok(), "{came} {end:?} {took:?}");
    proxy.clear();

    proxy.add(Toxic::Reset { ms: 0 }, Downstream);
    assert_eq!(ask().1, Err(io::ErrorKind::ConnectionReset));
    proxy.clear();

    proxy.add(Toxic::Limit { bytes: 20 }, Downstream);
    assert_eq!(ask().0, whole[..20]);
    proxy.clear();

    proxy.add(Toxic::SlowClose { ms: 400 }, Downstream);
    let (came, end, took) = ask();
    assert!(came.len() == whole.len() && end.is_ok() && took >= Duration::from_millis(400), "{took:?} {end:?}");
    proxy.clear();

    proxy.disable();
    assert_eq!(ask().1, Err(io::ErrorKind::ConnectionRefused));
    proxy.enable();
    assert_eq!(ask().0.len(), whole.len(), "harmless again");
}

#[test]
#[ignore = "starts a real Kafka"]
fn kafka_is_slow_silent_and_reset_as_told() {
    let Some(toxiproxy) = or_skip(Toxiproxy::start()) else { return };
    let port = free_port();
    let proxy = toxiproxy.proxy("kafka", &format!("127.0.0.1:{port}"));
    let mut properties = further_listeners(&[("PROXIED", port, proxy.address())]).to_vec();
    properties.push(("auto.create.topics.enable", "true".to_owned()));
    let Some(broker) = or_skip(Broker::start_with(&strs(&properties))) else { return };
    let plain = producer(&broker.bootstrap(), &[]);
    produce_until(&plain, TOPIC, Ok(()));

    // Five seconds are enough for what is to fail; what is to come through, a busy machine may have to try again.
    let client = producer(proxy.address(), &[("message.timeout.ms", "5000"), ("reconnect.backoff.max.ms", "100")]);
    produce_until(&client, TOPIC, Ok(()));
    proxy.add(Toxic::Latency { ms: 500, jitter_ms: 100 }, Downstream);
    let slow = produce_until(&client, TOPIC, Ok(()));
    assert!(slow >= Duration::from_millis(400), "{slow:?}: the broker tells its clients to come through the proxy");
    proxy.clear();

    let timed_out = Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
    proxy.add(Toxic::Silence, Downstream);
    assert_eq!(produce(&client, TOPIC), timed_out);
    assert_eq!(produce(&plain, TOPIC), Ok(()), "only what goes through the proxy is harmed");
    proxy.clear();
    produce_until(&client, TOPIC, Ok(()));

    proxy.add(Toxic::Reset { ms: 0 }, Upstream);
    assert_eq!(produce(&client, TOPIC), timed_out);
    proxy.clear();
    produce_until(&client, TOPIC, Ok(()));
    eprintln!("behind toxiproxy: an acknowledgement takes {slow:.1?} with 400 to 600 ms of latency");
}
