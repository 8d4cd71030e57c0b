//! The log of translations (RFC 6888 REQ-12): who had which external endpoint, and when. Written by a thread of its own, so
//! that a slow disk stops nobody.

mod index;
mod line;
mod output;
mod parameters;
pub(crate) mod search;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use log::warn;

use crate::config::{NatLog as Log, Settings, VrfNames};
use crate::engine::clock::Clock;
use crate::engine::counters::Counters;
use crate::engine::message::Rings;
pub(crate) use line::show_time;
pub(crate) use parameters::parameters;
use writer::Writer;

/// What the log reads of one worker.
pub struct Source {
    /// Where its records come from.
    pub rings: Arc<Rings>,
    /// Where it counts what it lost.
    pub counters: Arc<Counters>,
}

/// The log, as the management core has it.
pub struct NatLog {
    orders: Sender<Order>,
    ended: Receiver<()>,
    figures: Arc<Figures>,
}

/// What the log counts: the log's thread writes, management reads.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    written: AtomicU64,
    errors: AtomicU64,
}

enum Order {
    Reopen,
    Stop,
    /// Where to, and the parameters of deterministic allocation.
    WriteTo(Option<PathBuf>, Option<String>),
}

impl NatLog {
    /// A log that writes nothing yet.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(sources: Vec<Source>, clock: Clock, vrfs: VrfNames) -> std::io::Result<Self> {
        let figures = Arc::<Figures>::default();
        let writer = Writer::new(sources, clock, Arc::clone(&figures), vrfs);
        let (orders, inbox) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        std::thread::Builder::new().name("nat-log".to_owned()).spawn(move || {
            run(writer, &inbox);
            // Nobody may wait for this any more.
            let _ = end.send(());
        })?;
        Ok(Self { orders, ended, figures })
    }

    /// Logs what these settings ask for from now on.
    pub fn configure(&self, settings: &Settings) {
        let nat44 = settings.nat44.as_ref().filter(|nat44| nat44.log != Log::None);
        let path = nat44.map(|nat44| nat44.log_file.clone());
        self.order(Order::WriteTo(path, parameters(settings)));
    }

    /// Opens the file anew: it was moved away.
    pub fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Records written since the start.
    pub fn written(&self) -> u64 {
        self.figures.written.load(Relaxed)
    }

    /// Attempts to write that failed since the start.
    pub fn errors(&self) -> u64 {
        self.figures.errors.load(Relaxed)
    }

    /// Writes what is there, if that goes quickly.
    pub fn stop(self) {
        self.order(Order::Stop);
        if self.ended.recv_timeout(LAST_WORDS).is_err() {
            warn!("nat44.log_file: not written to its end in time");
        }
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            warn!("the log of translations has ended");
        }
    }
}

fn run(mut writer: Writer, orders: &Receiver<Order>) {
    loop {
        let more = writer.turn();
        let pause = match (more, writer.is_on()) {
            (true, _) => Duration::ZERO,
            (false, true) => PAUSE,
            (false, false) => LONG_PAUSE,
        };
        match orders.recv_timeout(pause) {
            Ok(Order::Reopen) => writer.reopen(),
            Ok(Order::WriteTo(path, parameters)) => {
                writer.describe(parameters);
                writer.write_to(path);
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    writer.finish();
}

/// Between two looks at the rings: they hold a hundred milliseconds at half a million records a second.
const PAUSE: Duration = Duration::from_millis(2);
/// Likewise while nothing is logged.
const LONG_PAUSE: Duration = Duration::from_millis(100);
/// How long the end of the process waits for the disk.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
