//! The management core's own state: what runs, what was learned, who waits for an answer.

mod baseline;
mod gather;
mod kernel_routes;
mod neighbors;
mod reload;
mod routes;
mod rows;
mod tap;
mod thresholds;
mod who;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dpdk_bindings::cpu;
use log::{info, warn};

use super::event_loop;
use super::lists::Lists;
use super::metrics::MetricsSnapshot;
use super::nat_journal::NatJournal;
use super::nat_log::parameters;
use super::request::{Cursor, Protocol, Reload, Reply, Request};
use super::statistics::{Since, Statistics};
use super::view::{ReloadReport, RunningConfig, State, Status, Version};
use crate::assembly::tables::ribs;
use crate::config::VrfNames;
use crate::engine::ids::{VrfId, WorkerId};
use crate::engine::message::{Command, Event, Rings};
use crate::forward::rib::Ribs;
use crate::session::refusals::{Nearing, Refusal};
use crate::start::Parts;
use baseline::Baseline;
use gather::{Gather, Measurement};
use kernel_routes::KernelRoutes;
use neighbors::Neighbors;
use reload::{Forecast, Preparation};
use routes::PUBLISH_EVERY;
use tap::Tap;
use thresholds::Thresholds;
use who::Inquest;

/// The management core.
pub struct Control {
    parts: Parts,
    running: RunningConfig,
    statistics: Statistics,
    baseline: Baseline,
    /// The taps among the ports, by port.
    taps: Vec<Option<Tap>>,
    neighbors: Neighbors,
    kernel_routes: KernelRoutes,
    lists: Lists,
    /// The rings of the workers, for the lists.
    rings: Vec<Arc<Rings>>,
    preparation: Option<Preparation>,
    /// Configurations that wait for the one in preparation.
    reloads: VecDeque<(Reload, Reply<ReloadReport>)>,
    forecasts: VecDeque<Forecast>,
    gathers: Vec<Gather>,
    thresholds: Thresholds,
    watched: Instant,
    inquests: Vec<Inquest>,
    inquests_begun: u64,
    /// The routes by origin, of which the workers have a table.
    ribs: Ribs,
    routes_published: Instant,
    started: Instant,
    reloads_applied: u64,
    reloads_refused: u64,
}

impl Control {
    /// Takes charge of what was started.
    pub fn new(parts: Parts, running: RunningConfig) -> Self {
        let now = Instant::now();
        let workers = parts.workers.iter().map(|worker| {
            let name = |port: &usize| parts.settings.ports[*port].name.clone();
            let polls = worker.polls.iter().map(name).collect();
            (worker.core, polls, Arc::clone(&worker.counters))
        });
        let statistics = Statistics::new(workers, cpu::tsc_hz(), now);
        let rings: Vec<_> = parts.workers.iter().map(|w| Arc::clone(&w.rings)).collect();
        let taps = parts.settings.ports.iter().map(|port| Tap::find(&port.device)).collect();
        // They were in force already, so there is room for all.
        let mut ribs = ribs(&parts.settings).unwrap_or_default();
        ribs.publish();
        let lists = Lists::new(rings.len(), &parts.settings.vrfs);
        let mut control = Self {
            baseline: Baseline::default(),
            taps,
            neighbors: Neighbors::new(&parts.tables.neighbors, now),
            kernel_routes: KernelRoutes::default(),
            parts,
            running,
            statistics,
            lists,
            rings,
            preparation: None,
            reloads: VecDeque::new(),
            forecasts: VecDeque::new(),
            gathers: Vec::new(),
            thresholds: Thresholds::default(),
            watched: now,
            inquests: Vec::new(),
            inquests_begun: 0,
            ribs,
            routes_published: now.checked_sub(PUBLISH_EVERY).unwrap_or(now),
            started: now,
            reloads_applied: 0,
            reloads_refused: 0,
        };
        let tables = Arc::clone(&control.parts.tables);
        let checked = control.with_checked_addresses(&tables);
        control.publish(Arc::new(checked));
        control.probe_new_addresses();
        control.say_parameters(None);
        control
    }

    /// Tells what deterministic mappings are computed from, if that is new (RFC 7422 section 3).
    fn say_parameters(&self, before: Option<String>) {
        if let Some(now) =
            parameters(&self.parts.settings).filter(|now| before.as_ref() != Some(now))
        {
            info!("nat44.deterministic: mappings are computed from {now}");
        }
    }

    /// Asks a worker; a full ring is tried again until the worker has made room.
    fn command(&self, worker: WorkerId, command: Command) {
        let mut command = command;
        for _ in 0..PATIENCE_TURNS {
            match self.parts.workers[worker.index()].rings.commands.push(command) {
                Ok(()) => return,
                Err(back) => command = back,
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        warn!("worker {} takes no commands; one was dropped", worker.0);
    }

    fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        (0..self.parts.workers.len()).map(|at| WorkerId(at as u8))
    }

    fn hear(&mut self, worker: WorkerId, event: Event) {
        match event {
            Event::AddressClaimed(claim) => self.address_claimed(claim),
            Event::Cleared(page) => self.lists.clears.found(&self.rings, worker, page),
            Event::Found(inquiry) => self.inquired(worker, inquiry),
            Event::Hosts(page) => self.lists.hosts.found(&self.rings, worker, &page),
            Event::Lease(lease) => {
                if let Some(journal) = &self.parts.nat_journal {
                    journal.record(worker, lease);
                }
            }
            Event::Mappings(page) => self.lists.mappings.found(&self.rings, worker, &page),
            Event::Measured(usage) => self.measured(worker, *usage),
            Event::Nearing(Nearing { host, sessions, percent }) => {
                let of_vrf = of_vrf(host.vrf, &self.parts.settings.vrfs);
                let host = std::net::Ipv4Addr::from(host.address);
                warn!(
                    "host {host}{of_vrf}: {percent} % of its limit of sessions are in use, {sessions}"
                );
            }
            Event::NeighborSeen(sighting) => self.neighbors.cache.seen(sighting, Instant::now()),
            Event::NeighborUsed(interface, address) => {
                self.neighbors.cache.used((interface, address), Instant::now());
            }
            // Freed here, off the worker's core.
            Event::Retired(tables, ports) => drop((tables, ports)),
            Event::Refused(refusal) => {
                warn!("{}", refusal_text(&refusal, &self.parts.settings.vrfs));
            }
            Event::RuleMatched(matched) => info!("{}", self.rule_text(&matched)),
            Event::Sessions(page) => self.lists.sessions.found(&self.rings, worker, &page),
            Event::Stopped => {}
            Event::Surveyed(page) => self.surveyed(worker, page),
            Event::Unresolved(interface, address) => {
                self.neighbors.cache.wanted((interface, address), Instant::now());
            }
        }
    }

    fn status(&self) -> Status {
        let rates = self.statistics.rates();
        let fixed = self.parts.tables.nat.fixed().count() as u64;
        Status {
            state: State::Running,
            uptime_s: self.started.elapsed().as_secs(),
            version: VERSION.to_owned(),
            dpdk_version: dpdk_version(),
            workers: self.parts.workers.len(),
            ports: self.parts.ports.len(),
            sessions: self.statistics.sessions(),
            mappings: self.statistics.mappings() + fixed,
            rx_pps: rates.rx_pps,
            tx_pps: rates.tx_pps,
            drop_pps: rates.drop_pps,
        }
    }

    fn version(&self) -> Version {
        Version { version: VERSION.to_owned(), dpdk_version: dpdk_version() }
    }

    fn metrics(&self, measurement: &Measurement) -> MetricsSnapshot {
        MetricsSnapshot {
            version: self.version(),
            ports: self.port_rows(Since::Start),
            drops: self.statistics.drops(Since::Start),
            workers: self.statistics.workers(Since::Start),
            poll_gaps_s: self.statistics.poll_gaps_s(),
            sessions: self.statistics.sessions(),
            session_limit: self.parts.settings.sessions.max_sessions.into(),
            sessions_opened: self.statistics.sessions_opened(),
            sessions_closed: self.statistics.sessions_closed(),
            pool: self.pool_rows(measurement),
            handovers: self.handovers(),
            memory: self.memory_rows(measurement),
            neighbors: self.neighbors.cache.by_state(),
            neighbors_refused: self.neighbors.cache.refused(),
            address_conflicts: self.neighbors.own.conflicts(),
            acl: self.acl_rows(Since::Start),
            linux: self.linux_rows(),
            log_records: self.parts.nat_log.written(),
            log_records_lost: self.statistics.records_lost(),
            log_errors: self.parts.nat_log.errors(),
            leases_forced: self.statistics.leases_forced(),
            journal_errors: self.parts.nat_journal.as_ref().map_or(0, NatJournal::errors),
            reloads_applied: self.reloads_applied,
            reloads_refused: self.reloads_refused,
        }
    }
}

impl event_loop::Control for Control {
    fn answer(&mut self, request: Request) {
        match request {
            Request::Acl(reply) => reply.send(self.acl_rows(Since::Clear)),
            Request::ClearCounters(reply) => {
                self.statistics.clear();
                let (acl, ports) = (self.acl_rows(Since::Start), self.port_rows(Since::Start));
                self.baseline = Baseline { acl, ports };
                reply.send(());
            }
            Request::ClearSessions(filter, reply) => {
                self.lists.clears.begin(&self.rings, filter, reply);
            }
            Request::Config(reply) => reply.send(self.running.clone()),
            Request::Drops(reply) => reply.send(self.statistics.drops(Since::Clear)),
            Request::Hosts(page, reply) => {
                let computed = self.computed_host(&page);
                self.lists.hosts.begin_or(computed, &self.rings, page, reply);
            }
            Request::Mappings(page, reply) => {
                let first = page.from == Cursor::default();
                let fixed = if first { self.fixed_mappings(&page.filter) } else { Vec::new() };
                self.lists.mappings.begin_after(fixed, &self.rings, page, reply);
            }
            Request::Memory(reply) => self.gather(gather::Asker::Memory(reply)),
            Request::Metrics(reply) => self.gather(gather::Asker::Metrics(reply)),
            Request::Neighbors(reply) => reply.send(self.neighbor_rows()),
            Request::Pool(reply) => self.gather(gather::Asker::Pool(reply)),
            Request::Ports(reply) => reply.send(self.port_rows(Since::Clear)),
            Request::Reload(reload, reply) => self.reload(reload, reply),
            Request::PatchRoutes(patch, reply) => {
                reply.settle(self.patch_routes(&patch.add, &patch.remove));
            }
            Request::Routes(page, reply) => reply.send(self.route_page(&page)),
            Request::Sessions(page, reply) => {
                self.lists.sessions.begin(&self.rings, page, reply);
            }
            Request::Status(reply) => reply.send(self.status()),
            Request::Version(reply) => reply.send(self.version()),
            Request::Who(question, reply) => self.begin_inquest(&question, reply),
            Request::Workers(reply) => reply.send(self.statistics.workers(Since::Clear)),
        }
    }

    fn reopen_logs(&mut self) {
        self.parts.nat_log.reopen();
    }

    fn turn(&mut self) -> Duration {
        for worker in self.workers() {
            for _ in 0..EVENTS_PER_TURN {
                let Some(event) = self.parts.workers[worker.index()].rings.events.pop() else {
                    break;
                };
                self.hear(worker, event);
            }
        }
        self.finish_reload();
        self.follow_kernel_routes();
        self.publish_routes();
        self.resolve();
        self.statistics.tick(Instant::now());
        if self.watched.elapsed() > WATCHED_EVERY && self.gathers.is_empty() {
            self.watched = Instant::now();
            self.gather(gather::Asker::Watch);
        }
        let busy = self.lists.is_busy()
            || !self.gathers.is_empty()
            || !self.forecasts.is_empty()
            || !self.inquests.is_empty();
        if busy { Duration::ZERO } else { PAUSE }
    }

    fn stop(self) {
        let Self { parts, .. } = self;
        for worker in &parts.workers {
            // A worker that takes no commands for so long is stuck; the process ends all the same.
            for _ in 0..PATIENCE_TURNS {
                if worker.rings.commands.push(Command::Stop).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        for worker in parts.workers {
            if worker.thread.join().is_err() {
                warn!("a worker ended with a panic");
            }
        }
        if let Some(linux) = parts.linux {
            linux.stop();
        }
        parts.nat_log.stop();
        parts.nat_journal.into_iter().for_each(NatJournal::stop);
        drop(parts.tables);
    }
}

/// One line on a host that got no session.
fn refusal_text(refusal: &Refusal, vrfs: &VrfNames) -> String {
    let Refusal { reason, vrf, host, external, protocol } = refusal;
    let of_vrf = of_vrf(*vrf, vrfs);
    let through = external.map_or(String::new(), |external| {
        format!(" through {}", std::net::Ipv4Addr::from(external))
    });
    let (name, help, protocol) = (reason.name(), reason.help(), Protocol(*protocol));
    format!("{name}: {host}{of_vrf} gets no new {protocol} session{through}: {help}")
}

fn of_vrf(vrf: VrfId, vrfs: &VrfNames) -> String {
    match vrf {
        VrfId::DEFAULT => String::new(),
        vrf => format!(" of VRF {}", vrfs.name(vrf.index())),
    }
}

fn dpdk_version() -> String {
    dpdk_bindings::eal::version().trim_start_matches("DPDK ").to_owned()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long the loop sleeps when nothing waits.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at how full the pool is.
const WATCHED_EVERY: Duration = Duration::from_secs(2);
const EVENTS_PER_TURN: usize = 1024;
const PATIENCE_TURNS: u32 = 20_000;
