//! An engine on its core: jobs run on a pinned worker thread while the calling thread watches.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use core_affinity::CoreId;
use dpdk_bindings::{Eal, cpu};

use crate::engine::{Engine, Glance, Live, Tsc};
use crate::measure::Bench;
use crate::setup::{Layout, Ports, SetupError};

/// Open ports with an engine, ready for trials one after the other.
#[derive(Debug)]
pub struct Session {
    /// Ports, flows, verifier; the worker's while a job runs.
    pub engine: Engine,
    /// The worker's time.
    pub clock: Tsc,
    /// When that was 0.
    pub started: SystemTime,
    /// What was set up.
    pub layout: Layout,
    /// How often whoever watches a job is called.
    pub interval: Duration,
    begun: Instant,
    live: Arc<Live>,
    ports: Ports,
    core: CoreId,
    eal: Eal,
}

/// Why there is no session, or no result of a job.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No such core for this process.
    #[error("there is no core {wanted} here: cores are {cores:?}")]
    NoCore {
        /// The core asked for.
        wanted: usize,
        /// Those there are.
        cores: Vec<usize>,
    },
    /// A worker that ended before its time.
    #[error("the worker panicked")]
    Panicked,
    /// The kernel does not let the worker onto its core.
    #[error("core {0}: this process may not run there")]
    Pinning(usize),
    /// DPDK or a port.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// A second of a running job, or another interval, for the live line.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Whole seconds since the session began.
    pub second: u64,
    /// Seconds between the two looks.
    pub seconds: f64,
    /// The look before.
    pub before: Glance,
    /// The look now.
    pub now: Glance,
}

impl Session {
    /// Opens everything; the worker runs on `core`, or on the last one there is.
    pub fn open(layout: Layout, core: Option<usize>, no_huge: bool) -> Result<Self, SessionError> {
        let (core, main) = cores(core)?;
        let eal = layout.init(main.id, no_huge)?;
        let live = Arc::new(Live::default());
        let (ports, engine) = layout.open(&eal, live.clone())?;
        let interval = Duration::from_secs(1);
        let (clock, begun, started) = (Tsc::start(), Instant::now(), SystemTime::now());
        Ok(Self { engine, clock, started, layout, interval, begun, live, ports, core, eal })
    }

    /// Runs a job on the worker's core, and `watch` in every interval meanwhile.
    pub fn run<T: Send>(
        &mut self,
        watch: impl FnMut(Tick),
        job: impl FnOnce(&mut Bench<'_, Tsc>) -> T + Send,
    ) -> Result<T, SessionError> {
        let Self { engine, clock, interval, begun, live, core, eal, .. } = self;
        thread::scope(|scope| {
            let worker = scope.spawn(|| -> Result<T, SessionError> {
                if !core_affinity::set_for_current(*core) {
                    return Err(SessionError::Pinning(core.id));
                }
                let _registered = cpu::register_thread(eal).map_err(SetupError::from)?;
                Ok(job(&mut Bench::new(engine, clock)))
            });
            tick(live, (*begun, *interval), watch, || worker.is_finished());
            worker.join().map_err(|_| SessionError::Panicked)?
        })
    }

    /// Whether nothing can ever arrive.
    pub fn absorbs(&self) -> bool {
        self.ports.absorb()
    }

    /// The worker's core.
    pub fn core(&self) -> usize {
        self.core.id
    }

    /// The ports' drivers, inside first.
    pub fn drivers(&self) -> Vec<String> {
        self.ports.ports.iter().map(|port| port.driver()).collect()
    }

    /// DPDK's device strings, inside first.
    pub fn devices(&self) -> Vec<String> {
        self.ports.ports.iter().map(|port| port.device().to_owned()).collect()
    }

    /// Whether DPDK's memory is hugepages.
    pub fn uses_hugepages(&self) -> bool {
        self.eal.hugepages().in_use
    }
}

/// The worker's core, and another one for the main thread if there is one.
fn cores(wanted: Option<usize>) -> Result<(CoreId, CoreId), SessionError> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let worker = match wanted {
        Some(id) => cores.iter().find(|core| core.id == id),
        None => cores.last(),
    };
    let Some(worker) = worker else {
        let wanted = wanted.unwrap_or_default();
        return Err(SessionError::NoCore { wanted, cores: cores.iter().map(|c| c.id).collect() });
    };
    let main = cores.iter().find(|core| *core != worker).unwrap_or(worker);
    Ok((*worker, *main))
}

/// Calls `watch` at every interval since the session began until the worker is done.
fn tick(
    live: &Live,
    (begun, interval): (Instant, Duration),
    mut watch: impl FnMut(Tick),
    is_done: impl Fn() -> bool,
) {
    let (mut before, mut since) = (live.glance(), Instant::now());
    let number = |instant: Instant| (instant - begun).as_millis() / interval.as_millis().max(1);
    while !is_done() {
        thread::sleep(Duration::from_millis(20));
        let instant = Instant::now();
        if number(instant) == number(since) {
            continue;
        }
        let now = live.glance();
        let second = (instant - begun).as_secs();
        watch(Tick { second, seconds: (instant - since).as_secs_f64(), before, now });
        (before, since) = (now, instant);
    }
}
