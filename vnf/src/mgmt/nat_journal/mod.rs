//! The journal of external ports (RFC 6888 REQ-8): which may be in use is on disk before they are, so that they rest after a
//! crash. Kept by a thread of its own, so that a slow disk stops nobody.

mod book;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use log::{info, warn};

pub use book::Book;

use crate::engine::ids::WorkerId;
use crate::engine::message::{Command, Rings};
use crate::nat::leases::Lease;

/// The journal, as the management core has it.
pub struct NatJournal {
    orders: Sender<Order>,
    ended: Receiver<()>,
    errors: Arc<AtomicU64>,
}

enum Order {
    Record(WorkerId, Lease),
    Stop,
}

impl NatJournal {
    /// Goes on with a book that was opened; workers hear through these rings what is on record.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(book: Book, rings: Vec<Arc<Rings>>) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let errors = Arc::<AtomicU64>::default();
        let keeper = Keeper { book, rings, errors: Arc::clone(&errors), failing: false };
        std::thread::Builder::new().name("nat-journal".to_owned()).spawn(move || {
            keeper.run(&inbox);
            // Nobody may wait for this any more.
            let _ = end.send(());
        })?;
        Ok(Self { orders, ended, errors })
    }

    /// Puts on record what a worker asks for, and tells it then.
    pub fn record(&self, worker: WorkerId, lease: Lease) {
        if self.orders.send(Order::Record(worker, lease)).is_err() {
            warn!("the journal of external ports has ended");
        }
    }

    /// Attempts to write that failed since the start.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Notes that from here on nothing is in use, if that goes quickly.
    pub fn stop(self) {
        let _ = self.orders.send(Order::Stop);
        if self.ended.recv_timeout(LAST_WORDS).is_err() {
            warn!("nat44.journal: not written to its end in time");
        }
    }
}

struct Keeper {
    book: Book,
    rings: Vec<Arc<Rings>>,
    errors: Arc<AtomicU64>,
    failing: bool,
}

impl Keeper {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let first = match orders.recv_timeout(ALIVE) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
            };
            let mut stop = false;
            let mut granted = Vec::new();
            for order in first.into_iter().chain(orders.try_iter()) {
                match order {
                    Order::Record(worker, lease) => {
                        self.book.note(worker, &lease);
                        granted.push((worker, lease));
                    }
                    Order::Stop => stop = true,
                }
            }
            let written = self.book.commit();
            self.report(written);
            // Also where the disk does not take it: what has no record is better than hosts without ports.
            for (worker, lease) in granted.into_iter().filter(|(_, lease)| !lease.ended) {
                self.grant(worker, lease);
            }
            if stop {
                break;
            }
        }
        let ended = self.book.end();
        self.report(ended);
    }

    fn report(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) if self.failing => info!("nat44.journal: written again"),
            Ok(()) => {}
            Err(ref why) => {
                self.errors.fetch_add(1, Relaxed);
                if !self.failing {
                    let path = self.book.path().display();
                    warn!(
                        "nat44.journal: {path} cannot be written: {why}; after a crash now, ports in use before \
                         may be given out at once"
                    );
                }
            }
        }
        self.failing = written.is_err();
    }

    fn grant(&self, worker: WorkerId, lease: Lease) {
        let Some(rings) = self.rings.get(worker.index()) else { return };
        for _ in 0..PATIENCE_TURNS {
            if rings.commands.push(Command::Lease(lease)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// How often the journal shows that the process lives; see `book::MARGIN`.
const ALIVE: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the disk.
const LAST_WORDS: Duration = Duration::from_millis(500);
const PATIENCE_TURNS: u32 = 20_000;
