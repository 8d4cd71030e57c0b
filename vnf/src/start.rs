//! Starts everything: DPDK, ports, tables, workers on their cores.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, bail};
use dpdk_bindings::{Eal, Mempool, Port, cpu, eal, port};
use log::{info, warn};

use crate::assembly::{Assembled, Builder, PortQueues, assemble};
use crate::config::{DpdkSettings, Hugepages, PortSettings, Settings};
use crate::engine::clock::Clock;
use crate::engine::counters::Counters;
use crate::engine::handover::Lanes;
use crate::engine::idle::IdleLadder;
use crate::engine::ids::Tick;
use crate::engine::message::Rings;
use crate::engine::tables::Tables;
use crate::mgmt::control::Control;
use crate::mgmt::linux::{self, Linux};
use crate::mgmt::nat_journal::{Book, NatJournal};
use crate::mgmt::nat_log::{NatLog, Source};
use crate::mgmt::view::RunningConfig;
use crate::nat::Ownership;
use crate::wire::ethernet::MacAddr;
use crate::worker::Worker;

/// A worker as management sees it.
pub struct WorkerHandle {
    /// The core it is pinned to.
    pub core: usize,
    /// The ports it polls, by index.
    pub polls: Vec<usize>,
    /// Commands in, events out.
    pub rings: Arc<Rings>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// Everything that runs, as management owns it. Workers are stopped before ports are closed, ports before DPDK.
pub struct Parts {
    /// What it runs with.
    pub settings: Arc<Settings>,
    /// The tables the workers use.
    pub tables: Arc<Tables>,
    /// Builds the next ones.
    pub builder: Builder,
    /// How flows are divided.
    pub ownership: Ownership,
    /// Packets between workers.
    pub lanes: Lanes,
    /// The workers.
    pub workers: Vec<WorkerHandle>,
    /// The ports, in the order of the configuration.
    pub ports: Vec<Port>,
    /// Where packet buffers come from.
    pub pool: Mempool,
    /// Worker time.
    pub clock: Clock,
    /// Which external ports may be in use, on disk.
    pub nat_journal: Option<NatJournal>,
    /// The log of translations.
    pub nat_log: NatLog,
    /// The exception path, where an interface has a tap.
    pub linux: Option<Linux>,
}

/// Starts the network function and returns once every worker polls.
///
/// # Errors
/// With what is missing and what to do about it. Nothing is left behind.
pub fn start(settings: Settings, running: RunningConfig) -> anyhow::Result<Control> {
    let shared = linux::ports::check(&settings);
    if let Some(why) = shared.refused {
        bail!(why);
    }
    shared.warnings.iter().for_each(|warning| warn!("{warning}"));
    let eal = start_dpdk(&settings.dpdk, &settings.ports)?;
    let workers = settings.dpdk.worker_cores.len();
    let pool = buffers(&eal, &settings)?;
    let mut ports = Vec::new();
    let mut queues = Vec::new();
    for port in &settings.ports {
        let (opened, dealt) = open_port(&eal, port, workers, &pool)
            .with_context(|| format!("port `{}`", port.name))?;
        ports.push(opened);
        queues.push(dealt);
    }
    let port_macs = ports.iter().map(|port| MacAddr(port.mac())).collect();
    let builder = Builder { eal: eal.clone(), port_macs, workers };
    let tables = Arc::new(builder.build(&settings, 1, None)?);
    let clock = Clock::start();
    let Assembled { mut workers, ownership, lanes } =
        assemble(&settings, &tables, queues, &pool, &eal, clock.now())
            .context("the tables do not fit: raise dpdk.memory or lower nat44.max_sessions")?;
    let book = open_journal(&settings, &mut workers, clock)?;
    for port in &mut ports {
        port.start().with_context(|| format!("device `{}`", port.device()))?;
    }
    let rings = workers.iter().map(|worker| Arc::clone(&worker.rings)).collect();
    let linux = Linux::start(&tables.interfaces, rings, pool.clone())?;
    let sources = workers.iter().map(|worker| Source {
        rings: Arc::clone(&worker.rings),
        counters: Arc::clone(&worker.counters),
    });
    let nat_log = NatLog::start(sources.collect(), clock, settings.vrfs.clone())
        .context("cannot start a thread")?;
    nat_log.configure(&settings);
    let workers = workers
        .into_iter()
        .zip(&settings.dpdk.worker_cores)
        .map(|(worker, core)| launch(worker, *core, clock, &settings, &eal))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let rings = workers.iter().map(|worker| Arc::clone(&worker.rings)).collect();
    let nat_journal = book.map(|book| NatJournal::start(book, rings)).transpose();
    let parts = Parts {
        settings: Arc::new(settings),
        tables,
        builder,
        ownership,
        lanes,
        workers,
        ports,
        pool,
        clock,
        nat_journal: nat_journal.context("cannot start a thread")?,
        nat_log,
        linux,
    };
    Ok(Control::new(parts, running))
}

/// Lets ports rest that were in use before, and puts on record what the workers will use first.
fn open_journal(
    settings: &Settings,
    workers: &mut [Worker],
    clock: Clock,
) -> anyhow::Result<Option<Book>> {
    let Some(nat44) = &settings.nat44 else { return Ok(None) };
    let Some(path) = &nat44.journal else { return Ok(None) };
    let why = || format!("nat44.journal: {}", path.display());
    let mut book = Book::open(path, nat44.reuse_hold).with_context(why)?;
    let now = clock.now();
    let until = Tick(now.0 + book.rests_for().as_millis() as u64);
    let mut leases = Vec::new();
    for worker in &mut *workers {
        let flows = &mut worker.pipeline.flows;
        let before = book.before().iter();
        let before = before.flat_map(|lease| lease.ranges().map(|ports| (lease.address, ports)));
        flows.ports.rest_again(before, until);
        for _ in 0..flows.ports.len() {
            flows.tend_ports(now, |lease| leases.push((worker.id, lease)));
        }
    }
    leases.iter().for_each(|(worker, lease)| book.note(*worker, lease));
    book.commit().with_context(why)?;
    for (worker, lease) in &leases {
        workers[worker.index()].pipeline.flows.ports.grant(lease);
    }
    if !book.before().is_empty() {
        let seconds = book.rests_for().as_secs();
        info!("nat44.journal: ports that may have been in use before rest for {seconds} s");
    }
    Ok(Some(book))
}

fn start_dpdk(dpdk: &DpdkSettings, ports: &[PortSettings]) -> anyhow::Result<Eal> {
    let pci = ports.iter().filter(|port| is_pci(&port.device)).map(|port| port.device.clone());
    let options = eal::Options {
        program: "vnf".to_owned(),
        main_core: Some(dpdk.main_core),
        memory_mib: dpdk.memory_mib,
        hugepages: match dpdk.hugepages {
            Hugepages::Auto => eal::Hugepages::Auto,
            Hugepages::Never => eal::Hugepages::Never,
            Hugepages::Required => eal::Hugepages::Required,
        },
        pci: pci.collect(),
        extra: dpdk.eal_args.clone(),
    };
    let eal = Eal::init(&options).context("DPDK does not start")?;
    let report = eal.hugepages();
    if report.in_use || dpdk.hugepages == Hugepages::Never {
        info!("memory: {report}");
    } else {
        let pages = u64::from(dpdk.memory_mib).div_ceil(2);
        warn!(
            "memory: {report}; running on ordinary pages, which is slower. To have hugepages: \
             sysctl -w vm.nr_hugepages={pages}"
        );
    }
    Ok(eal)
}

/// Whether a device is a PCI address such as `0000:01:00.0` rather than a virtual device.
fn is_pci(device: &str) -> bool {
    let address = device.split(',').next().unwrap_or(device);
    let mut parts = address.rsplit(':');
    let function = parts.next().and_then(|last| last.split_once('.'));
    function.is_some_and(|(slot, function)| {
        u8::from_str_radix(slot, 16).is_ok() && u8::from_str_radix(function, 16).is_ok()
    }) && parts.all(|part| u32::from_str_radix(part, 16).is_ok())
}

/// The packet buffers asked for, or enough for every queue to be full while every worker works on a burst and holds packets
/// back.
fn buffers(eal: &Eal, settings: &Settings) -> anyhow::Result<Mempool> {
    let workers = settings.dpdk.worker_cores.len() as u32;
    let queues = settings.ports.len() as u32 * workers;
    let wanted = queues * 2 * u32::from(DESCRIPTORS) + workers * HELD_PER_WORKER;
    let room = settings.dpdk.memory_mib / 2 * 1024 / BUFFER_KIB;
    let largest = settings.interfaces.iter().map(|interface| interface.mtu).max().unwrap_or(1500);
    let data_room = DATA_ROOM.max(largest + 128 + 32);
    let count = settings.dpdk.packet_buffers.unwrap_or(wanted.min(room).max(4096)) | 1;
    Mempool::new(eal, "packets", count, 256, data_room)
        .context("no memory for packet buffers: raise dpdk.memory")
}

fn open_port(
    eal: &Eal,
    settings: &PortSettings,
    workers: usize,
    pool: &Mempool,
) -> anyhow::Result<(Port, PortQueues)> {
    let mut port = Port::open(eal, &settings.device)?;
    let mut queues = workers as u16;
    loop {
        let config = port::Config {
            rx_queues: queues,
            tx_queues: queues,
            rx_descriptors: DESCRIPTORS,
            tx_descriptors: DESCRIPTORS,
            mtu: Some(settings.mtu),
            mac: settings.mac,
            ..port::Config::default()
        };
        match port.configure(config, pool) {
            Ok((receive, transmit)) => return Ok((port, PortQueues { receive, transmit })),
            // Fewer queues than workers: the others hand packets over.
            Err(_) if queues > 1 => queues = 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn launch(
    worker: Worker,
    core: usize,
    clock: Clock,
    settings: &Settings,
    eal: &Eal,
) -> anyhow::Result<WorkerHandle> {
    let (rings, counters) = (Arc::clone(&worker.rings), Arc::clone(&worker.counters));
    let polls = worker.receive.iter().map(|(_, port)| port.index()).collect();
    let idle = IdleLadder::new(settings.workers.idle);
    let eal = eal.clone();
    let (ready, started) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{}", worker.id.0))
        .spawn(move || {
            let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: core });
            let registered = cpu::register_thread(&eal);
            let ok = pinned && registered.is_ok();
            if ready.send(ok).is_ok() && ok {
                worker.run(clock, idle);
            }
        })
        .context("cannot start a worker thread")?;
    if !started.recv().unwrap_or(false) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        bail!(
            "cannot pin a worker to core {core}: the machine has cores 0 to {}, or the cpuset \
             does not allow it; change dpdk.worker_cores",
            cores - 1
        );
    }
    Ok(WorkerHandle { core, polls, rings, counters, thread })
}

/// Descriptors of a queue.
const DESCRIPTORS: u16 = 1024;
/// Packets a worker may keep: a burst, held ones, hand-over rings.
const HELD_PER_WORKER: u32 = 4096;
/// A buffer with its header, about.
const BUFFER_KIB: u32 = 3;
/// Octets of a buffer, without headroom.
const DATA_ROOM: u16 = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_are_told_from_virtual_devices() {
        for pci in ["0000:01:00.0", "01:00.1", "0000:3b:02.7,txq_inline=128"] {
            assert!(is_pci(pci), "{pci}");
        }
        for vdev in ["net_tap0,iface=vnf-lan", "net_null0", "net_memif0,socket=/run/a:b.0x"] {
            assert!(!is_pci(vdev), "{vdev}");
        }
    }
}
