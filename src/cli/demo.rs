//! `chatbridge demo`.

#[cfg(feature = "lab")]
pub(super) mod runner;

use std::process::ExitCode;

use super::{EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::cli::demo::runner::Demo;
use crate::cli::demo::runner::chatapp::{CHATAPP_EVENTS_MAX, ChatApp};
use crate::cli::demo::runner::green_api::{EVENTS_MAX, GreenApi, INSTANCES_MAX};
use crate::config::broker_list;
use crate::shutdown;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// A simulated ChatApp instead of GREEN-API; its Pusher server is killed once on the way
    #[arg(long, conflicts_with = "instances")]
    chatapp: bool,
    /// Simulated instances
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=INSTANCES_MAX))]
    instances: u64,
    /// Events over all instances or channels
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX))]
    events: u64,
    /// Events per second over all instances or channels; 0: all of them at once
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// An existing Kafka (host:port,…) instead of the one in the process; uses topics of its own
    #[arg(long, value_parser = brokers)]
    brokers: Option<String>,
    /// How many events are shown as a consumer sees them
    #[arg(long, default_value_t = 3)]
    samples: usize,
    /// The summary as one JSON object, nothing else
    #[arg(long)]
    json: bool,
}

fn brokers(text: &str) -> Result<String, String> {
    broker_list(text).map_err(|wrong| wrong.join("; "))
}

pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    let DemoArgs { chatapp, instances, events, rate, ref brokers, samples, json } = *args;
    if chatapp && events > CHATAPP_EVENTS_MAX {
        complain(format_args!("--events: at most {CHATAPP_EVENTS_MAX} with --chatapp"));
        return EXIT_USAGE.into();
    }
    let demo = Demo { events, rate, brokers: brokers.clone(), samples, json };
    block_on(async move {
        let outcome = async {
            let stop = shutdown::on_signal()?;
            match chatapp {
                true => demo.run(ChatApp::start(events).await?, stop).await,
                false => demo.run(GreenApi::start(instances, events).await?, stop).await,
            }
        };
        match outcome.await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => EXIT_FAILED.into(),
            Err(error) => {
                complain(error);
                EXIT_FAILED.into()
            }
        }
    })
}
