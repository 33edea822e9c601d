//! `chatbridge run`: the daemon.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::{error, info};

use super::{ConfigArgs, EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::config::Config;
use crate::reload::Reloads;
use crate::{app, shutdown};

pub(super) fn run(args: &ConfigArgs) -> ExitCode {
    match args.load() {
        Ok(config) => block_on(daemon(config, args.clone())),
        Err(problems) => {
            complain(problems);
            EXIT_USAGE.into()
        }
    }
}

async fn daemon(config: Config, args: ConfigArgs) -> ExitCode {
    let listen = config.admin.listen;
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            error!(%listen, %error, "failed to listen for the admin server: is it taken? set admin.listen");
            return EXIT_FAILED.into();
        }
    };
    if let Ok(address) = listener.local_addr() {
        info!(%address, "admin server listens: the status page at /, /status /metrics /livez /readyz");
    }
    let signals = || io::Result::Ok((shutdown::on_signal()?, Reloads::new(&config, Arc::new(move || args.load()))?));
    let (stop, reloads) = match signals() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "failed to listen to signals");
            return EXIT_FAILED.into();
        }
    };
    match app::run(config, listener, Some(reloads), stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "failed to start");
            EXIT_FAILED.into()
        }
    }
}
