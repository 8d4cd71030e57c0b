//! `pktgen run`: a worker measures, this thread sleeps, prints and writes the report.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use dpdk_bindings::{Eal, cpu};

use super::{Global, Protocol, Run};
use crate::engine::{Engine, Live, Tsc};
use crate::flow::Shape;
use crate::measure::{Course, Outcome, Unresolved};
use crate::rate::Rate;
use crate::receive::Sut;
use crate::report::{Machine, Report, Settings, live_line, table};
use crate::setup::{Layout, LayoutError, SetupError};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Environment(anyhow::Error),
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Environment(_) => 3,
            Self::Usage(_) => 2,
        }
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::Environment(error.into())
    }
}

impl From<Unresolved> for Failure {
    fn from(error: Unresolved) -> Self {
        Self::Environment(error.into())
    }
}

impl Run {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let (layout, mut course) = self.plan(global)?;
        let (worker_core, main_core) = cores(global.core)?;
        let eal = layout.init(main_core.id, global.no_huge)?;
        let live = Arc::new(Live::default());
        let (ports, engine) = layout.open(&eal, &course, live.clone())?;
        let absorbing = ports.absorb();
        course.learn = !absorbing;
        let settings = Settings {
            ports: ports.ports.iter().map(|port| port.device().to_owned()).collect(),
            load: self.load.to_string(),
            size: layout.shape.size(),
            directions: course.directions.iter().map(|direction| direction.name()).collect(),
            sut: match layout.sut {
                Sut::Direct => "direct",
                Sut::Nat44 => "nat44",
                Sut::Router => "router",
            },
            hosts: layout.plan.hosts(),
            seed: course.seed,
            core: worker_core.id,
        };
        let host = Machine::read(eal.hugepages().in_use);
        let worker = thread::spawn(move || work(&eal, worker_core, engine, &course));
        watch(&live, global.quiet, || worker.is_finished());
        let outcome = worker.join().map_err(|_| environment("the worker panicked"))??;
        let report = Report::new(&outcome, settings, u64::from(self.flows), absorbing, host);
        publish(&report, global)?;
        Ok(report.verdict.exit_code())
    }

    fn plan(&self, global: &Global) -> Result<(Layout, Course), Failure> {
        let specs = global.ports.clone().try_into().map_err(|given: Vec<_>| {
            Failure::Usage(format!("two ports are needed, -p IN -p OUT; given: {}", given.len()))
        })?;
        let size = usize::from(self.size);
        let shape = Shape::new(size).ok_or_else(|| Failure::Usage(format!("size {size}")))?;
        let seed = global.seed.unwrap_or_else(rand::random);
        let sut = self.sut.map(Sut::from);
        let layout = Layout::new(specs, sut, self.pool.clone(), self.flows, shape, seed)?;
        let Protocol::Udp = self.proto;
        let duration = self.time.as_nanos() as u64;
        let rate: Option<Rate> = self.load.rate(size);
        if rate.is_some_and(|rate| rate.frames_in(duration) == 0) {
            let (load, time) = (self.load, self.time);
            return Err(Failure::Usage(format!("{load} for {time:?} is not a single frame")));
        }
        let directions = self.dir.directions();
        Ok((layout, Course { rate, duration, directions, seed, learn: true }))
    }
}

/// The worker's thread: pinned, known to DPDK, the engine's owner until the end.
fn work(eal: &Eal, core: CoreId, mut engine: Engine, course: &Course) -> Result<Outcome, Failure> {
    if !core_affinity::set_for_current(core) {
        return Err(environment(&format!("core {}: this process may not run there", core.id)));
    }
    let _registered = cpu::register_thread(eal).map_err(SetupError::from)?;
    Ok(course.run(&mut engine, &Tsc::start())?)
}

/// The worker's core, and another one for this thread if there is one.
fn cores(wanted: Option<usize>) -> Result<(CoreId, CoreId), Failure> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let worker = match wanted {
        Some(id) => cores.iter().find(|core| core.id == id),
        None => cores.last(),
    };
    let Some(worker) = worker else {
        let ids: Vec<_> = cores.iter().map(|core| core.id).collect();
        let wanted = wanted.unwrap_or_default();
        return Err(environment(&format!("there is no core {wanted} here: cores are {ids:?}")));
    };
    let main = cores.iter().find(|core| *core != worker).unwrap_or(worker);
    Ok((*worker, *main))
}

/// A line per second until the worker is done.
fn watch(live: &Live, quiet: bool, is_done: impl Fn() -> bool) {
    let start = Instant::now();
    let (mut before, mut since, mut second) = (live.glance(), start, 1);
    while !is_done() {
        thread::sleep(Duration::from_millis(20));
        if start.elapsed() < Duration::from_secs(second) {
            continue;
        }
        let (now, glance) = (Instant::now(), live.glance());
        if !quiet {
            println!("{}", live_line(second, (now - since).as_secs_f64(), &before, &glance));
        }
        (before, since, second) = (glance, now, second + 1);
    }
}

fn publish(report: &Report, global: &Global) -> Result<(), Failure> {
    if let Some(path) = &global.json {
        write_json(report, path)
            .map_err(|error| environment(&format!("{}: {error}", path.display())))?;
    }
    let text = table(report);
    if global.quiet {
        let verdict = text.lines().skip_while(|line| !line.starts_with("verdict"));
        verdict.for_each(|line| println!("{line}"));
    } else {
        print!("{text}");
    }
    Ok(())
}

fn write_json(report: &Report, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(std::fs::write(path, text)?)
}

fn environment(why: &str) -> Failure {
    Failure::Environment(anyhow::anyhow!("{why}"))
}
