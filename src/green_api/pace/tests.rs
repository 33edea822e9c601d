use std::net::SocketAddr;
use std::sync::Mutex as StdMutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{advance, sleep};

use super::*;
use crate::green_api::client::{InstanceClient, http_client};
use crate::green_api::queue::NotificationQueue as _;
use crate::redact::Redactor;
use chatbridge_event::event::InstanceId;

fn pace(connect_interval: Duration) -> Arc<Pace> {
    Pace::of(&config::GreenApi { connect_interval, ..config::GreenApi::default() })
}

/// Lets `waiters` wait, one behind the other, and writes down who had a turn when.
fn begin(pace: &Arc<Pace>, waiters: std::ops::Range<u32>, turns: &Arc<StdMutex<Vec<(u32, Instant)>>>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for waiter in waiters {
        let (pace, turns) = (Arc::clone(pace), Arc::clone(turns));
        tasks.spawn(async move {
            pace.turn().await;
            turns.lock().unwrap().push((waiter, Instant::now()));
        });
    }
    tasks
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_in_every_stretch_of_time_and_who_comes_first_goes_first() {
    let interval = Duration::from_micros(1_700);
    let (pace, turns) = (pace(interval), Arc::default());
    let mut begun = 0;
    let mut running = Vec::new();
    // Crowds, single ones, nobody for a while, and stretches in which nobody runs though time passes.
    for (crowd, then, stands_still) in [(40, 20, 0), (1, 1, 0), (60, 3, 50), (5, 100, 0), (80, 1, 9), (80, 200, 15)] {
        running.push(begin(&pace, begun..begun + crowd, &turns));
        begun += crowd;
        sleep(Duration::from_millis(then)).await;
        advance(Duration::from_millis(stands_still)).await;
    }
    for tasks in running {
        tasks.join_all().await;
    }
    let turns = turns.lock().unwrap();
    assert_eq!(turns.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), (0..begun).collect::<Vec<_>>());
    for (index, (_, from)) in turns.iter().enumerate() {
        for (between, (_, to)) in turns[index + 1..].iter().enumerate() {
            let at_least = (interval * between as u32).saturating_sub(CATCH_UP_MAX);
            assert!(*to - *from >= at_least, "{} turns in {:?}", between + 2, *to - *from);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_of_the_clock_do_not_slow_it_down() {
    let (pace, turns, started) = (pace(Duration::from_micros(300)), Arc::default(), Instant::now());
    begin(&pace, 0..10_000, &turns).join_all().await;
    let took = started.elapsed();
    assert!(took > Duration::from_millis(2_980) && took < Duration::from_millis(3_020), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_gives_the_turn_back() {
    let (pace, turns, started) = (pace(Duration::from_secs(1)), Arc::default(), Instant::now());
    let mut first = begin(&pace, 0..1, &turns);
    first.join_next().await;
    // One sleeps until its turn, the others queue behind it.
    let mut impatient = begin(&pace, 1..4, &turns);
    sleep(Duration::from_millis(500)).await;
    let patient = begin(&pace, 4..5, &turns);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(pace.wait_max(), Duration::from_secs(5));
    impatient.shutdown().await;
    assert_eq!(pace.wait_max(), Duration::from_secs(2));
    patient.join_all().await;
    assert!(started.elapsed() <= Duration::from_millis(1_001), "{:?}", started.elapsed());
    assert_eq!(pace.wait_max(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_known_beforehand() {
    let (pace, turns) = (pace(Duration::from_millis(20)), Arc::default());
    let _crowd = begin(&pace, 0..500, &turns);
    sleep(Duration::from_millis(1)).await;
    let (foreseen, asked_at) = (pace.wait_max(), Instant::now());
    pace.turn().await;
    let waited = asked_at.elapsed();
    assert!(waited <= foreseen && waited + Duration::from_millis(20) > foreseen, "{foreseen:?}, {waited:?}");
}

/// A connector that takes this long.
#[derive(Clone)]
struct Slow(Duration);

impl Service<()> for Slow {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let takes = self.0;
        Box::pin(async move {
            sleep(takes).await;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_for_connecting_begins_with_the_turn() {
    let connect_timeout = Duration::from_secs(3);
    for (takes_seconds, works) in [(2, true), (4, false)] {
        let pace = pace(Duration::from_secs(1));
        let mut paced = PaceLayer { pace, connect_timeout }.layer(Slow(Duration::from_secs(takes_seconds)));
        let mut connecting = JoinSet::new();
        for _ in 0..10 {
            connecting.spawn(paced.call(()));
        }
        for outcome in connecting.join_all().await {
            let timed_out = |error: &BoxError| {
                error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
            };
            assert_eq!(outcome.as_ref().err().map(timed_out), (!works).then_some(true), "{outcome:?}");
        }
    }
}

/// A server that answers each request with an empty queue, on connections that stay open.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                    if request.ends_with(b"\r\n\r\n") {
                        request.clear();
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull").await?;
                    }
                }
                io::Result::Ok(())
            });
        }
    });
    address
}

#[tokio::test]
async fn a_request_that_is_handed_an_open_connection_waits_for_no_turn() {
    // Another test of this process may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = config::GreenApi { connect_interval: Duration::from_secs(3600), ..config::GreenApi::default() };
    let instance = config::Instance {
        id: InstanceId::new(1101),
        token: "canary".to_owned().into(),
        api_url: format!("http://{}", serve().await).parse().expect("an address"),
        receive_timeout: Duration::from_secs(20),
        receive: config::Receive::Poll,
    };
    let pace = Pace::of(&config);
    let http = http_client(&config, true, &pace).expect("a client");
    let mut loops = JoinSet::new();
    for _ in 0..20 {
        let client = InstanceClient::new(http.clone(), &config, &instance, Redactor::default());
        loops.spawn(async move {
            for _ in 0..10 {
                assert!(client.receive().await.expect("an answer").is_none());
            }
        });
    }
    // One connection, in an hour, is enough for all of them.
    loops.join_all().await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(pace.waiting.load(Ordering::Relaxed), 0);
}
