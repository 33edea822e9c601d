//! `chatbridge inject`: puts notifications into a queue, through the debug endpoint or the simulator.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use url::Url;

use super::documents::{self, Document};
use super::normalize::enveloped;
use super::{EXIT_FAILED, EXIT_USAGE, block_on, complain, simulate};
use crate::config::GreenApi;
use crate::green_api::client::{Pace, http_client};
use crate::green_api::debug::DebugEndpoint;
use crate::http::is_loopback;

/// Arguments of `inject`.
#[derive(Debug, clap::Args)]
pub(super) struct InjectArgs {
    /// Bodies or {receiptId, body} envelopes: one JSON document, or JSON lines [default: standard input]
    file: Option<PathBuf>,
    /// Where to post them [default: a simulator on this machine]
    #[arg(long, default_value_t = simulate::default_url())]
    url: Url,
}

pub(super) fn inject(args: &InjectArgs) -> ExitCode {
    let bodies = match documents::open(args.file.as_deref()).and_then(read) {
        Ok(bodies) => bodies,
        Err(error) => {
            complain(format_args!("failed to read {error}"));
            return EXIT_USAGE.into();
        }
    };
    block_on(async {
        match post(&args.url, bodies).await {
            Ok(count) => {
                // The exit code says it too.
                drop(writeln!(io::stdout(), "{count} notification{} injected", if count == 1 { "" } else { "s" }));
                ExitCode::SUCCESS
            }
            Err((count, error)) => {
                complain(format_args!("{error} ({count} injected before)"));
                EXIT_FAILED.into()
            }
        }
    })
}

fn read(input: Box<dyn io::BufRead>) -> io::Result<Vec<String>> {
    let mut bodies = Vec::new();
    documents::for_each(input, |document| match document {
        Document::Json(document) => {
            let body = enveloped(document).unwrap_or_else(|| document.to_owned());
            bodies.push(body.get().to_owned());
            Ok(())
        }
        Document::Malformed(_, error) => {
            Err(io::Error::other(format!("document {}: not JSON: {error}", bodies.len() + 1)))
        }
    })?;
    Ok(bodies)
}

async fn post(url: &Url, bodies: Vec<String>) -> Result<usize, (usize, String)> {
    let green_api = GreenApi::default();
    let http =
        http_client(&green_api, is_loopback(url), &Pace::of(&green_api)).map_err(|error| (0, error.to_string()))?;
    let endpoint = DebugEndpoint::new(http, url.clone());
    let count = bodies.len();
    for (done, body) in bodies.into_iter().enumerate() {
        endpoint.inject(body).await.map_err(|error| (done, error.to_string()))?;
    }
    Ok(count)
}
