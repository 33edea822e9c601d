//! A real Apache Kafka for the tests: one KRaft node, free loopback ports, a folder of its own.
//!
//! Several can run at once. Everything here blocks; a broker takes about four seconds to start.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::needs::{Unavailable, tests_path};
pub(crate) use super::process::{free_port, watch};

/// Start and stop are measured in seconds, on a busy machine in tens of them; so long means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// What the broker logs when it is ready. The port opens earlier.
const STARTED: &str = "Kafka Server started";
/// The same for all: brokers do not know each other unless their voters say so.
const CLUSTER_ID: &str = "chatbridge-test-000001";
/// The collector and compiler that start fastest. Without `UsePerfData` nothing is left in `/tmp` after a kill.
const JVM: [&str; 4] = ["-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];

/// What it takes to run Kafka: found, and fetched.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    java: PathBuf,
    /// The folder with Kafka's jars.
    libs: PathBuf,
}

impl Toolchain {
    /// A JVM with Kafka on its class path.
    pub(crate) fn java(&self) -> Command {
        let mut command = Command::new(&self.java);
        command.arg("-cp").arg(self.libs.join("*"));
        command
    }
}

/// Finds Java and Maven, and fetches Kafka the first time.
pub(crate) fn available() -> Result<&'static Toolchain, Unavailable> {
    static FOUND: OnceLock<Result<Toolchain, Unavailable>> = OnceLock::new();
    FOUND.get_or_init(find).as_ref().map_err(Clone::clone)
}

fn find() -> Result<Toolchain, Unavailable> {
    let java = match std::env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin/java"),
        _ => PathBuf::from("java"),
    };
    // The compiler module tells a JDK from a bare runtime; JavaProducer.java is run from its source.
    let jdk = output(Command::new(&java).args(["--describe-module", "jdk.compiler"])).is_ok();
    let version = output(Command::new(&java).arg("-version")).unwrap_or_default();
    let maven = output(Command::new("sh").args(["-c", "command -v mvn"])).is_ok();
    if !jdk || !maven || java_major(&version).is_none_or(|major| major < 17) {
        return Err(Unavailable::Missing(
            "real-Kafka tests need a JDK (17 or newer) and Maven: apt-get install openjdk-17-jdk-headless maven".into(),
        ));
    }
    let libs = output(&mut Command::new(tests_path("kafka/fetch.sh"))).map_err(Unavailable::Broken)?;
    let libs = libs.lines().next().unwrap_or_default().into();
    Ok(Toolchain { java, libs })
}

/// `openjdk version "17.0.15" 2025-04-15` is 17; the old `"1.8.0_292"` is 1, which is too old as well.
fn java_major(version: &str) -> Option<u32> {
    let quoted = version.split('"').nth(1)?;
    quoted.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What the command printed, standard output first; the same with the command's name when it failed.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if out.status.success() { Ok(text) } else { Err(format!("{name}: {}\n{text}", out.status)) }
}

/// A running (or stopped) broker. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub(crate) struct Broker {
    toolchain: &'static Toolchain,
    dir: PathBuf,
    port: u16,
    heap_mb_max: u32,
    server: Option<Server>,
}

/// What a broker is made from, where the usual does not do.
#[derive(Clone, Debug)]
pub(crate) struct Setup<'a> {
    /// Go before the usual ones, see [`Broker::start_with`].
    pub(crate) properties: &'a [(&'a str, &'a str)],
    /// Users that are there from the first moment: `SCRAM-SHA-256=[name=alice,password=secret]`.
    pub(crate) scram: &'a [&'a str],
    /// `{port}` and `{controller_port}`.
    pub(crate) ports: (u16, u16),
    pub(crate) heap_mb_max: u32,
}

impl Setup<'_> {
    /// The usual, on ports that nobody holds.
    pub(crate) fn new() -> Self {
        Self { properties: &[], scram: &[], ports: (free_port(), free_port()), heap_mb_max: 512 }
    }
}

/// The process, and the watch over it.
#[derive(Debug)]
struct Server {
    java: Child,
    /// Does what `Drop` cannot when this process is killed: no broker outlives its test.
    watch: Child,
}

impl Broker {
    /// A broker with the settings of `tests/kafka/broker.properties`: 12 partitions for topics made without a number.
    /// Topics are not made on first use, so a test that writes to the wrong one fails.
    pub(crate) fn start() -> Result<Self, Unavailable> {
        Self::start_with(&[])
    }

    /// The same with other broker properties, which go before the usual ones.
    ///
    /// In a value `{port}`, `{controller_port}` and `{dir}` stand for this broker's own. A further listener is
    /// `("listeners", "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},SSL://127.0.0.1:21999")`,
    /// with `advertised.listeners` to match and a port from [`free_port`].
    pub(crate) fn start_with(properties: &[(&str, &str)]) -> Result<Self, Unavailable> {
        Self::start_from(|| Setup { properties, ..Setup::new() })
    }

    /// The same with users for SCRAM, each `SCRAM-SHA-256=[name=alice,password=secret]`.
    pub(crate) fn start_with_users(properties: &[(&str, &str)], scram: &[&str]) -> Result<Self, Unavailable> {
        Self::start_from(|| Setup { properties, scram, ..Setup::new() })
    }

    fn start_from<'a>(setup: impl Fn() -> Setup<'a>) -> Result<Self, Unavailable> {
        let mut attempt = 1;
        loop {
            let mut broker = Self::format(&setup())?;
            match broker.launch() {
                Ok(()) => return Ok(broker),
                // Between our look at a port and the broker's, another process may have taken it.
                Err(log) if attempt < 3 && port_was_taken(&log) => attempt += 1,
                Err(log) => return Err(Unavailable::Broken(log)),
            }
        }
    }

    /// `host:port`, for `bootstrap.servers`.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops it as an operator would (SIGTERM) and waits for its end.
    pub(crate) fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        server.signal("TERM");
        server.signal("CONT"); // a paused process does not hear the other
        let deadline = Instant::now() + PATIENCE;
        while server.java.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > deadline {
                server.kill();
                panic!("Kafka does not stop; the end of its log:\n{}", self.log_tail(0));
            }
            thread::sleep(POLL);
        }
        server.kill();
    }

    /// Kills it (SIGKILL): no farewell to clients, no flush.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts it again after `stop` or `kill`: same ports, same data.
    pub(crate) fn start_again(&mut self) {
        assert!(self.server.is_none(), "start_again: the broker is running");
        if let Err(log) = self.launch() {
            panic!("{log}");
        }
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing answers, as with a hung machine.
    pub(crate) fn pause(&self) {
        self.running().signal("STOP");
    }

    /// Lets it go on after `pause`.
    pub(crate) fn resume(&self) {
        self.running().signal("CONT");
    }

    fn running(&self) -> &Server {
        self.server.as_ref().expect("the broker is stopped")
    }

    /// A broker that is not started yet: a new folder with its `server.properties`, and the storage formatted.
    pub(crate) fn format(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let (port, controller_port) = setup.ports;
        let dir = std::env::temp_dir().join(format!("chatbridge-kafka-{}-{port}", std::process::id()));
        let broker = Self { toolchain: available()?, dir, port, heap_mb_max: setup.heap_mb_max, server: None };
        broker.write(setup, controller_port).map_err(Unavailable::Broken)?;
        Ok(broker)
    }

    fn write(&self, setup: &Setup<'_>, controller_port: u16) -> Result<(), String> {
        fs::create_dir_all(&self.dir).map_err(|error| format!("{}: {error}", self.dir.display()))?;

        let mut all: BTreeMap<&str, &str> = include_str!("../kafka/broker.properties")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .collect();
        all.extend([
            ("controller.quorum.voters", "1@127.0.0.1:{controller_port}"),
            ("listeners", "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"),
            ("advertised.listeners", "PLAINTEXT://127.0.0.1:{port}"),
            ("log.dirs", "{dir}/data"),
            ("auto.create.topics.enable", "false"),
        ]);
        all.extend(setup.properties.iter().copied());
        let mut text = String::new();
        for (key, value) in all {
            let value = value
                .replace("{port}", &self.port.to_string())
                .replace("{controller_port}", &controller_port.to_string())
                .replace("{dir}", &self.dir.to_string_lossy());
            text.push_str(&format!("{key}={value}\n"));
        }
        fs::write(self.properties_file(), text).map_err(|error| format!("server.properties: {error}"))?;

        output(
            self.jvm("kafka.tools.StorageTool")
                .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
                .arg(self.properties_file())
                .args(setup.scram.iter().flat_map(|user| ["--add-scram", user])),
        )?;
        Ok(())
    }

    /// Starts the process and waits until it serves. On failure: the end of its log.
    pub(crate) fn launch(&mut self) -> Result<(), String> {
        let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
        let mut log =
            File::options().create(true).append(true).open(self.log_file()).map_err(|e| failed("server.log", e))?;
        // The log goes on from the last run, whose "started" does not count.
        let from = log.seek(SeekFrom::End(0)).map_err(|e| failed("server.log", e))?;
        let errors = log.try_clone().map_err(|e| failed("server.log", e))?;
        let java = self
            .jvm("kafka.Kafka")
            .arg(self.properties_file())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|e| failed("java", e))?;
        let watch = watch(&java, &self.dir).map_err(|e| failed("sh", e))?;
        let server = self.server.insert(Server { java, watch });

        let deadline = Instant::now() + PATIENCE;
        loop {
            let gone = server.java.try_wait().map_err(|e| failed("java", e))?;
            let serves = read_from(&self.dir.join("server.log"), from).contains(STARTED)
                && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
            match gone {
                None if serves => return Ok(()),
                None if Instant::now() < deadline => thread::sleep(POLL),
                _ => {
                    self.kill();
                    return Err(format!("Kafka did not start; the end of its log:\n{}", self.log_tail(from)));
                }
            }
        }
    }

    fn jvm(&self, main: &str) -> Command {
        let mut command = self.toolchain.java();
        command
            .args(JVM)
            .arg(format!("-Xmx{}m", self.heap_mb_max))
            // Native libraries are unpacked there, and would stay behind after a kill.
            .arg(format!("-Djava.io.tmpdir={}", self.dir.display()))
            .args([
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            ])
            // Some 200 lines of settings per component, of no use here.
            .arg("-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn")
            .arg(main);
        command
    }

    fn properties_file(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// The last lines that the broker logged since `from`.
    fn log_tail(&self, from: u64) -> String {
        let log = read_from(&self.log_file(), from);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Server {
    /// Through the shell: the standard library can only send SIGKILL.
    fn signal(&self, name: &str) {
        let sent =
            Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name]).arg(self.java.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent to the broker");
    }

    /// The watch goes first: once the broker is reaped, its process number may belong to somebody else.
    fn kill(&mut self) {
        for process in [&mut self.watch, &mut self.java] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Whether that is why a broker did not start, given the end of its log.
pub(crate) fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// The properties of a broker that listens on further loopback ports, each (listener, port, what clients are told).
///
/// The listeners' names are those of `listener.security.protocol.map` in `tests/kafka/broker.properties`; a port is one
/// from [`free_port`]. What clients are told, as `host:port`, may be a proxy in front of that port: after the first
/// request a client goes only there.
pub(crate) fn further_listeners(listeners: &[(&str, u16, &str)]) -> [(&'static str, String); 2] {
    let mut listens = "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}".to_owned();
    let mut told = "PLAINTEXT://127.0.0.1:{port}".to_owned();
    for (name, port, address) in listeners {
        listens.push_str(&format!(",{name}://127.0.0.1:{port}"));
        told.push_str(&format!(",{name}://{address}"));
    }
    [("listeners", listens), ("advertised.listeners", told)]
}

fn read_from(path: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let _ = file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
