//! Connections that say nothing, as many as there may be, for as long as it lasts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime;

/// An address of this machine that nobody else calls from.
pub(crate) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const LOOK: Duration = Duration::from_millis(100);
/// A listener whose backlog is full answers nobody.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Holds idle connections to one address; one that is closed is opened again. Ends when dropped.
pub(crate) struct Siege {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Siege {
    pub(crate) fn of(address: &str, connections: usize) -> Self {
        let address = address.parse().expect("an address");
        let (stop, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&opened));
        let thread = thread::spawn(move || {
            let mut held: Vec<Option<TcpStream>> = (0..connections).map(|_| None).collect();
            while !stopped.load(Ordering::Relaxed) {
                for place in &mut held {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    if place.as_ref().is_some_and(is_open) {
                        continue;
                    }
                    // A bridge that is restarted meanwhile listens again soon.
                    *place = connect_from(ELSEWHERE, address, None).ok();
                    counted.fetch_add(usize::from(place.is_some()), Ordering::Relaxed);
                }
                thread::sleep(LOOK);
            }
        });
        Self { stop, opened, thread: Some(thread) }
    }

    /// How many connections were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the siege panicked");
        }
    }
}

/// A connection from `source`; `receive_bytes` is how much of what it does not read the system takes for it.
pub(crate) fn connect_from(source: Ipv4Addr, address: SocketAddr, receive_bytes: Option<u32>) -> io::Result<TcpStream> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind((source, 0).into())?;
        tokio::time::timeout(CONNECT_MAX, socket.connect(address)).await??.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Whether the other end still holds it. It never says anything by itself.
fn is_open(stream: &TcpStream) -> bool {
    let is_silent = stream.set_nonblocking(true).is_ok()
        && stream.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    is_silent && stream.set_nonblocking(false).is_ok()
}
