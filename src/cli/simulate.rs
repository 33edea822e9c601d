//! `chatbridge simulate`: the GREEN-API or ChatApp simulator by itself.

mod chatapp;

use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use url::Url;

use super::{EXIT_FAILED, block_on, complain};
use crate::shutdown;
use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{JournalConfig, PushConfig, SimulatedInstance, Simulator, SimulatorConfig};

const DEFAULT_LISTEN: &str = "127.0.0.1:8081";

/// Where `inject` finds the simulator.
pub(super) fn default_url() -> Url {
    format!("http://{DEFAULT_LISTEN}/").parse().expect("a literal address")
}

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArgs {
    /// Where to listen; nothing there asks who is calling, so keep it to this machine
    #[arg(long, default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// An instance and its token; may be given several times
    #[arg(long = "instance", value_name = "ID:TOKEN", default_value = "1101000001:simulated")]
    instances: Vec<IdAndToken>,
    /// Generated events per second over all instances; 0: only what is injected
    #[arg(long, default_value_t = 0, value_name = "EVENTS")]
    rate: u32,
    /// Added to every request: the way to the real service
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Receives, and deletes, that one instance may make in a second, as GREEN-API has it
    #[arg(long, default_value_t = 100, value_name = "REQUESTS")]
    requests_per_second_max: u32,
    /// Push the events of all instances to this URL, as with `webhookUrl` set, instead of waiting for receives
    #[arg(long, value_name = "URL")]
    webhook_url: Option<Url>,
    /// Goes into the Authorization header of every push, as `webhookUrlToken` does
    #[arg(long, value_name = "TOKEN")]
    webhook_token: Option<SecretString>,
    /// How long a push waits for its answer
    #[arg(long, value_name = "MS", default_value_t = 180_000)]
    webhook_timeout_ms: u64,
    /// Between a push that was not answered 200 and the next with the same event
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    webhook_pause_ms: u64,
    /// Certificates in PEM that an https webhook's may rest on, beside the machine's own
    #[arg(long, value_name = "FILE")]
    webhook_ca: Option<PathBuf>,
    /// Write every enqueue, hand-out, push and delete to this file, one JSON line each
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print so many generated bodies, one a line, and serve nothing: for `normalize` and `inject`
    #[arg(long, value_name = "EVENTS")]
    print: Option<u64>,
    #[command(flatten)]
    chatapp: chatapp::ChatAppArgs,
}

#[derive(Debug, Clone)]
struct IdAndToken(SimulatedInstance);

impl FromStr for IdAndToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, token) = text.split_once(':').ok_or("expected ID:TOKEN")?;
        let id = id.parse().map_err(|_| format!("`{id}` is not an idInstance"))?;
        Ok(Self(SimulatedInstance::new(id, token)))
    }
}

pub(super) fn simulate(args: SimulateArgs) -> ExitCode {
    if let Some(events) = args.print {
        let printed = if args.chatapp.is_wanted() {
            chatapp::print(args.chatapp, events)
        } else {
            print(&args.instances, events)
        };
        return match printed {
            Ok(()) => ExitCode::SUCCESS,
            // The reader closed the pipe, which is no error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                complain(format_args!("failed to print: {error}"));
                EXIT_FAILED.into()
            }
        };
    }
    block_on(async move {
        let served = if args.chatapp.is_wanted() {
            chatapp::serve(args.chatapp, args.listen, args.rate, args.latency_ms, args.journal).await
        } else {
            serve(args).await
        };
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(format_args!("failed to simulate: {error}"));
                EXIT_FAILED.into()
            }
        }
    })
}

async fn serve(args: SimulateArgs) -> io::Result<()> {
    let stop = shutdown::on_signal()?;
    let extra_roots_pem = args.webhook_ca.map(std::fs::read).transpose()?.unwrap_or_default();
    let url = args.webhook_url.as_ref().map(Url::as_str).unwrap_or_default();
    let token = args.webhook_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let instances: Vec<SimulatedInstance> =
        args.instances.into_iter().map(|IdAndToken(instance)| instance.pushing_to(url, token)).collect();
    let ids: Vec<u64> = instances.iter().map(|instance| instance.id).collect();
    let simulator = Simulator::start(SimulatorConfig {
        listen: args.listen,
        instances,
        latency: Duration::from_millis(args.latency_ms),
        requests_per_second_max: args.requests_per_second_max,
        push: PushConfig {
            answer_max: Duration::from_millis(args.webhook_timeout_ms),
            pause: Duration::from_millis(args.webhook_pause_ms),
            extra_roots_pem,
            ..PushConfig::default()
        },
        journal: JournalConfig { file: args.journal, ..JournalConfig::default() },
        ..SimulatorConfig::default()
    })
    .await?;
    writeln!(io::stdout(), "GREEN-API simulator at {}", simulator.url())?;
    for id in &ids {
        if url.is_empty() {
            writeln!(io::stdout(), "  {}/waInstance{id}/receiveNotification/<token>", simulator.url())?;
        } else {
            writeln!(io::stdout(), "  instance {id} pushes to its webhook")?;
        }
    }
    writeln!(
        io::stdout(),
        "inject a notification: POST {}/  faults, journal, depth: {}/simulator/",
        simulator.url(),
        simulator.url()
    )?;
    let mut generators: Vec<Generator> = ids.iter().map(|id| Generator::new(*id, 1)).collect();
    let mut turns = (0..ids.len()).cycle();
    repeat(args.rate, &stop, || {
        let Some(turn) = turns.next() else { return };
        if let Err(error) = simulator.enqueue(ids[turn], generators[turn].body()) {
            warn!(%error, "an event was not queued");
        }
    })
    .await;
    simulator.stop().await;
    Ok(())
}

/// Prints the bodies of all instances in turn.
fn print(instances: &[IdAndToken], events: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let mut generators: Vec<Generator> =
        instances.iter().map(|IdAndToken(instance)| Generator::new(instance.id, 1)).collect();
    let turns = (0..generators.len()).cycle();
    for (turn, _) in turns.zip(0..events) {
        writeln!(out, "{}", generators[turn].body())?;
    }
    out.flush()
}

/// Makes an event `rate` times a second until `stop`, or never if `rate` is 0.
async fn repeat(rate: u32, stop: &CancellationToken, mut make: impl FnMut()) {
    if rate == 0 {
        return stop.cancelled().await;
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        make();
    }
}
