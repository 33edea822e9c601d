//! Who is compared, and how each is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Process;
use crate::support::needs::Unavailable;
use crate::support::process::free_port;
use crate::support::python;
use crate::upstream::Upstream;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Chatbridge,
    /// The same with `overlap_delete`.
    Overlapped,
    /// The same with the longest poll that GREEN-API documents.
    Patient,
    /// The leanest correct Rust.
    Minimal,
    /// GREEN-API's SDK for Python and confluent-kafka.
    Python,
    /// Apache Camel, the general tool.
    Camel,
}

impl Contender {
    pub(crate) const ALL: [Self; 4] = [Self::Chatbridge, Self::Minimal, Self::Python, Self::Camel];
    pub(crate) const DRAIN: [Self; 5] = [Self::Chatbridge, Self::Overlapped, Self::Minimal, Self::Python, Self::Camel];
    pub(crate) const IDLE: [Self; 3] = [Self::Chatbridge, Self::Patient, Self::Minimal];
    pub(crate) const RUST: [Self; 2] = [Self::Chatbridge, Self::Minimal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chatbridge => "chatbridge",
            Self::Overlapped => "with overlap_delete",
            Self::Patient => "with polls of 60 s",
            Self::Minimal => "minimal loop",
            Self::Python => "Python status quo",
            Self::Camel => "Apache Camel",
        }
    }

    /// For topics and files.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::Chatbridge => "chatbridge",
            Self::Overlapped => "overlapped",
            Self::Patient => "patient",
            Self::Minimal => "minimal",
            Self::Python => "python",
            Self::Camel => "camel",
        }
    }
}

/// The programs, found or made once.
pub(crate) struct Programs {
    pub(crate) chatbridge: PathBuf,
    pub(crate) minimal: PathBuf,
    /// Absent in the guard, which compares with the minimal loop alone.
    others: Option<Others>,
    /// Preloaded, it counts allocations.
    allocations: PathBuf,
}

/// What has to be fetched.
struct Others {
    python: PathBuf,
    camel_class_path: String,
}

impl Others {
    fn find() -> Result<Self, Unavailable> {
        let camel = crate::bench_path("contenders/camel.sh");
        let class_path = python::run(&mut Command::new(camel)).map_err(Unavailable::Broken)?;
        Ok(Self { python: python::python()?, camel_class_path: class_path.trim().to_owned() })
    }
}

/// What a contender is pointed at.
pub(crate) struct Job<'a> {
    pub(crate) brokers: &'a str,
    pub(crate) topic: &'a str,
    /// "url id token" lines.
    pub(crate) targets: &'a str,
    /// Where its files go.
    pub(crate) dir: &'a Path,
}

/// Numbers kept by `contenders/allocations.c` for as long as the process lives, and after.
pub(crate) struct Allocations {
    file: PathBuf,
}

/// Allocations so far, and bytes in use now.
#[derive(Clone, Copy)]
pub(crate) struct Allocated {
    pub(crate) allocations: i64,
    pub(crate) in_use: i64,
}

impl Allocations {
    pub(crate) fn now(&self) -> Allocated {
        let bytes = fs::read(&self.file).expect("the counts");
        let number = |at: usize| i64::from_ne_bytes(bytes[8 * at..8 * at + 8].try_into().expect("eight bytes"));
        Allocated { allocations: number(0), in_use: number(2) }
    }
}

impl Programs {
    /// `all` of them, or chatbridge and the minimal loop.
    pub(crate) fn find(work: &Path, all: bool) -> Result<Self, Unavailable> {
        let [chatbridge, minimal] = crate::built();
        if !chatbridge.exists() {
            let path = chatbridge.display();
            return Err(Unavailable::Missing(format!(
                "{path} is not there; `make bench` builds it, CHATBRIDGE_BINARY names another"
            )));
        }
        let allocations = work.join("allocations.so");
        python::run(
            Command::new("cc")
                .args(["-O2", "-shared", "-fPIC", "-o"])
                .arg(&allocations)
                .arg(crate::bench_path("contenders/allocations.c")),
        )
        .map_err(Unavailable::Broken)?;
        Ok(Self { chatbridge, minimal, others: all.then(Others::find).transpose()?, allocations })
    }

    /// The contender at work on every target.
    pub(crate) fn start(&self, contender: Contender, job: &Job<'_>) -> Process {
        self.launch(contender, self.command(contender, job, None), job)
    }

    /// The contender being called on this port.
    pub(crate) fn start_webhook(&self, contender: Contender, job: &Job<'_>, port: u16) -> Process {
        self.launch(contender, self.command(contender, job, Some(port)), job)
    }

    /// The same, its allocations counted.
    pub(crate) fn start_counted(&self, contender: Contender, job: &Job<'_>) -> (Process, Allocations) {
        self.start_counted_with(contender, job, &[])
    }

    /// The same, with something in its environment.
    pub(crate) fn start_counted_with(
        &self,
        contender: Contender,
        job: &Job<'_>,
        environment: &[(&str, &Path)],
    ) -> (Process, Allocations) {
        let mut command = self.command(contender, job, None);
        command.envs(environment.iter().copied());
        self.counted(&mut command, job.dir, job.topic)
    }

    /// Any program, its allocations counted; its files begin with `name`.
    pub(crate) fn counted(&self, command: &mut Command, dir: &Path, name: &str) -> (Process, Allocations) {
        let file = dir.join(format!("{name}.allocations"));
        fs::write(&file, [0; 24]).expect("writable");
        command.env("LD_PRELOAD", &self.allocations).env("BENCH_ALLOCATIONS", &file);
        (Process::start(command, &dir.join(format!("{name}.counted.log"))), Allocations { file })
    }

    fn launch(&self, contender: Contender, mut command: Command, job: &Job<'_>) -> Process {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Process::start(&mut command, &job.dir.join(format!("{}-{number}.log", contender.slug())))
    }

    /// Polling, or called on this port.
    fn command(&self, contender: Contender, job: &Job<'_>, webhook: Option<u16>) -> Command {
        let targets = job.dir.join(format!("{}.targets", job.topic));
        fs::write(&targets, job.targets).expect("writable");
        let others = || self.others.as_ref().expect("whoever measures all has looked for all");
        let mut command = match contender {
            Contender::Chatbridge | Contender::Overlapped | Contender::Patient => {
                let config = job.dir.join(format!("{}.toml", job.topic));
                fs::write(&config, chatbridge_config(job, contender, webhook)).expect("writable");
                let mut command = Command::new(&self.chatbridge);
                command.args(["run", "--config"]).arg(config);
                return command;
            }
            Contender::Minimal => Command::new(&self.minimal),
            Contender::Python => {
                let mut command = Command::new(&others().python);
                command.arg(crate::bench_path("contenders/status_quo.py"));
                command
            }
            Contender::Camel => {
                let mut command = Command::new("java");
                command.args(["-Xmx512m", "-XX:-UsePerfData", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
                command.args(["-cp", &others().camel_class_path, "CamelLoop"]);
                command
            }
        };
        command.args([job.brokers, job.topic]).arg(targets);
        if let Some(port) = webhook {
            command.args(["webhook", &port.to_string()]);
        }
        command
    }
}

/// As it comes: nothing is set but what has to be.
fn chatbridge_config(job: &Job<'_>, contender: Contender, webhook: Option<u16>) -> String {
    let mut config = format!(
        "[kafka]\nbrokers = \"{}\"\ntopic = \"{}\"\ndead_letter_topic = \"dead-letters\"\n[admin]\nlisten = \"127.0.0.1:{}\"\n",
        job.brokers,
        job.topic,
        free_port()
    );
    config.push_str(match contender {
        Contender::Overlapped => "[green_api]\noverlap_delete = true\n",
        Contender::Patient => "[green_api]\nreceive_timeout_seconds = 60\n",
        _ => "",
    });
    if let Some(port) = webhook {
        config.push_str(&format!("[webhook]\nlisten = \"127.0.0.1:{port}\"\ntoken = \"{}\"\n", Upstream::token()));
    }
    let receive = if webhook.is_some() { "receive = \"webhook\"\n" } else { "" };
    for line in job.targets.lines() {
        let mut words = line.split(' ');
        let (url, id, token) = (words.next(), words.next(), words.next());
        let (url, id, token) = (url.unwrap_or_default(), id.unwrap_or_default(), token.unwrap_or_default());
        config.push_str(&format!(
            "[[green_api.instances]]\nid = {id}\ntoken = \"{token}\"\napi_url = \"{url}\"\n{receive}"
        ));
    }
    config
}
