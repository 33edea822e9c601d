//! `chatbridge run`: the daemon.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::{error, info};

use super::{ConfigArgs, EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::app::reload::Reloads;
use crate::app::{self, Listeners};
use crate::config::Config;
use crate::redact::Redactor;
use crate::shutdown;

const ADMIN: &str = "admin server listens: the status page at /, /status /metrics /livez /readyz";
const WEBHOOK: &str = "webhook listens: POST /green-api/<idInstance>";

pub(super) fn run(args: &ConfigArgs, redactor: Redactor) -> ExitCode {
    match args.load() {
        Ok(config) => block_on(daemon(config, args.clone(), redactor)),
        Err(problems) => {
            complain(problems);
            EXIT_USAGE.into()
        }
    }
}

async fn daemon(config: Config, args: ConfigArgs, redactor: Redactor) -> ExitCode {
    let Some(admin) = listen(ADMIN, config.admin.listen, "admin.listen").await else {
        return EXIT_FAILED.into();
    };
    let webhook = match &config.webhook {
        None => None,
        Some(webhook) => match listen(WEBHOOK, webhook.listen, "webhook.listen").await {
            Some(listener) => Some(listener),
            None => return EXIT_FAILED.into(),
        },
    };
    let signals = || io::Result::Ok((shutdown::on_signal()?, Reloads::new(&config, Arc::new(move || args.load()))?));
    let (stop, reloads) = match signals() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "failed to listen to signals");
            return EXIT_FAILED.into();
        }
    };
    match app::run(config, Listeners { admin, webhook }, Some(reloads), redactor, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "the bridge did not start, or had to end");
            EXIT_FAILED.into()
        }
    }
}

/// Listens and logs the address. On failure logs the reason and what to do.
async fn listen(what: &str, address: SocketAddr, key: &str) -> Option<TcpListener> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        io::Result::Ok((listener, bound))
    };
    match bound.await {
        Ok((listener, address)) => {
            info!(%address, "{what}");
            Some(listener)
        }
        Err(error) => {
            error!(listen = %address, %error, "failed to listen: is the port taken? set {key}");
            None
        }
    }
}
