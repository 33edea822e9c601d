//! Events without end, at a rate, until told otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use chatbridge_lab::green_api::Simulator;
use chatbridge_lab::green_api::generator::Generator;

const FLOWING: u8 = 0;
const PAUSING: u8 = 1;
const PAUSED: u8 = 2;
const ENDED: u8 = 3;
/// Of each instance.
const CHATS: usize = 12;

/// Queues events for every instance in turn. Ends when dropped.
pub(crate) struct Load {
    state: Arc<AtomicU8>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    /// `rate` events a second over all instances.
    pub(crate) fn start(simulator: &Simulator, ids: &[u64], rate: u32) -> Self {
        let (simulator, ids) = (simulator.clone(), ids.to_vec());
        let state = Arc::new(AtomicU8::new(FLOWING));
        let seen = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let mut generators: Vec<Generator> =
                ids.iter().map(|id| Generator::new(*id, 11).with_chats(CHATS)).collect();
            for turn in (0..ids.len()).cycle() {
                match seen.load(Ordering::Relaxed) {
                    ENDED => break,
                    FLOWING => {
                        simulator.enqueue(ids[turn], generators[turn].body()).expect("room");
                    }
                    // The end, which may have been asked for meanwhile, comes first.
                    _ => drop(seen.compare_exchange(PAUSING, PAUSED, Ordering::Relaxed, Ordering::Relaxed)),
                }
                thread::sleep(Duration::from_secs(1) / rate);
            }
        });
        Self { state, thread: Some(thread) }
    }

    /// Returns when nothing is queued any more.
    pub(crate) fn pause(&self) {
        self.state.store(PAUSING, Ordering::Relaxed);
        while self.state.load(Ordering::Relaxed) == PAUSING {
            assert!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "the load has ended");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn resume(&self) {
        self.state.store(FLOWING, Ordering::Relaxed);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.state.store(ENDED, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // While a failed row unwinds, a second panic would end the process and hide the first.
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the load panicked");
        }
    }
}
