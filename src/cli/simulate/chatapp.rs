//! `chatbridge simulate --chatapp`: the ChatApp simulator by itself.

use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use super::repeat;
use crate::shutdown;
use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{
    ChatAppSimulator, ChatAppSimulatorConfig, Dialect, JournalConfig, Licence, SocketConfig,
};

/// What `--chatapp` brings with it; `--listen`, `--rate`, `--latency-ms`, `--journal` and `--print` mean the same
/// there.
#[derive(Debug, clap::Args)]
pub(super) struct ChatAppArgs {
    /// Simulate ChatApp instead: its REST API and authorisation at --listen, its Pusher server beside it
    #[arg(long, conflicts_with_all = ["instances", "webhook_url"])]
    chatapp: bool,
    /// Where its Pusher server listens
    #[arg(long, requires = "chatapp", default_value = "127.0.0.1:6001", value_name = "ADDRESS")]
    chatapp_socket: SocketAddr,
    /// A licence and its messengers; may be given several times
    #[arg(
        long = "chatapp-licence",
        requires = "chatapp",
        value_name = "ID:MESSENGER,…",
        default_value = "1229:grWhatsApp,telegram"
    )]
    licences: Vec<LicenceArg>,
    /// Whose ways the Pusher server has: refusals, silence and its end differ
    #[arg(long, requires = "chatapp", value_enum, default_value_t = DialectArg::Soketi)]
    chatapp_dialect: DialectArg,
}

#[derive(Debug, Clone)]
struct LicenceArg(Licence);

impl FromStr for LicenceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, messengers) = text.split_once(':').ok_or("expected ID:MESSENGER,MESSENGER")?;
        let id = id.parse().map_err(|_| format!("`{id}` is not a licenseId"))?;
        if messengers.split(',').any(str::is_empty) {
            return Err("a messenger has no name".to_owned());
        }
        Ok(Self(Licence::new(id, messengers.split(','))))
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectArg {
    Soketi,
    LaravelWebsockets,
    Reverb,
    Pusher,
}

impl From<DialectArg> for Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::Soketi => Self::Soketi,
            DialectArg::LaravelWebsockets => Self::LaravelWebsockets,
            DialectArg::Reverb => Self::Reverb,
            DialectArg::Pusher => Self::Pusher,
        }
    }
}

impl ChatAppArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.chatapp
    }

    fn into_config(self) -> ChatAppSimulatorConfig {
        ChatAppSimulatorConfig {
            socket_listen: self.chatapp_socket,
            licences: self.licences.into_iter().map(|LicenceArg(licence)| licence).collect(),
            socket: SocketConfig { dialect: self.chatapp_dialect.into(), ..SocketConfig::default() },
            ..ChatAppSimulatorConfig::default()
        }
    }
}

pub(super) async fn serve(
    args: ChatAppArgs,
    listen: SocketAddr,
    rate: u32,
    latency_ms: u64,
    journal: Option<PathBuf>,
) -> io::Result<()> {
    let stop = shutdown::on_signal()?;
    let config = ChatAppSimulatorConfig {
        listen,
        latency: Duration::from_millis(latency_ms),
        journal: JournalConfig { file: journal, ..JournalConfig::default() },
        ..args.into_config()
    };
    let simulator = ChatAppSimulator::start(config.clone()).await?;
    let (api, socket, login) = (simulator.api_url(), simulator.socket_url(), &config.login);
    let mut out = io::stdout();
    writeln!(out, "ChatApp simulator at {api}, its Pusher server at {socket}/app/{}", config.app.key)?;
    writeln!(out, "  login: email {}, password {}, appId {}", login.email, login.password, login.app_id)?;
    for channel in config.channels() {
        writeln!(out, "  {channel}")?;
    }
    writeln!(out, "faults, acts, publish, generate, journal, status: {api}/simulator/")?;
    let mut generator = Generator::new(&config, 1);
    repeat(rate, &stop, || {
        simulator.publish(&generator.event());
    })
    .await;
    simulator.stop().await;
    Ok(())
}

/// Bodies as ChatApp pushes them.
pub(super) fn print(args: ChatAppArgs, events: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let mut generator = Generator::new(&args.into_config(), 1);
    for _ in 0..events {
        writeln!(out, "{}", generator.event().body)?;
    }
    out.flush()
}
