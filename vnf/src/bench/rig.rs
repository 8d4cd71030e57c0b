//! One worker on `net_null` ports, and beside it on queues of its own the empty pipeline.

use std::sync::Arc;

use anyhow::Context;
use dpdk_bindings::eal::{self, Eal};
use dpdk_bindings::port::{Config, Port};
use dpdk_bindings::{Mempool, RxQueue, TxQueue};

use super::scenario::Scenario;
use crate::assembly::{Builder, PortQueues, assemble};
use crate::config::Hugepages;
use crate::engine::clock::Clock;
use crate::engine::ids::{PortId, Tick};
use crate::wire::ethernet::MacAddr;
use crate::worker::Worker;

/// What is measured, ready to run. Queues before ports, ports before DPDK: the order in which they are dropped.
pub(super) struct Rig {
    /// The worker.
    pub(super) worker: Worker,
    /// The queues of the empty pipeline: receiving on the internal and the external port, sending on the other one.
    pub(super) empty: [(RxQueue, TxQueue); 2],
    /// The port of the internal hosts.
    pub(super) internal: PortId,
    /// Our MAC addresses on the internal and the external port.
    pub(super) macs: [MacAddr; 2],
    /// Time since start, and what was skipped.
    pub(super) clock: Clock,
    /// Whether tables and packets are on hugepages.
    pub(super) hugepages: bool,
    /// Rules of all ACLs.
    pub(super) rules: u32,
    /// Routes, memory of their table in octets, and how long it took to build all tables in milliseconds.
    pub(super) routes: (u32, usize, f64),
    _ports: Vec<Port>,
}

impl Rig {
    /// Starts DPDK with as much memory as it takes.
    pub(super) fn new(scenario: &Scenario, size: u16) -> anyhow::Result<Self> {
        let settings = &scenario.settings;
        let rules = settings.acls.iter().map(|acl| acl.rules.len() as u32).sum();
        let eal = Eal::init(&eal::Options {
            program: "vnf-bench".to_owned(),
            memory_mib: memory_mib(settings.sessions.max_sessions, rules),
            hugepages: match settings.dpdk.hugepages {
                Hugepages::Auto => eal::Hugepages::Auto,
                Hugepages::Never => eal::Hugepages::Never,
                Hugepages::Required => eal::Hugepages::Required,
            },
            ..eal::Options::default()
        })
        .context("DPDK does not start")?;
        let pool = Mempool::new(&eal, "bench", BUFFERS, CACHE, ROOM)?;
        let mut ports = Vec::new();
        let mut queues = Vec::new();
        let mut spare = Vec::new();
        for at in 0..settings.ports.len() {
            let device = format!("net_null{at},size={}", size - CHECKSUM);
            let mut port = Port::open(&eal, &device)?;
            let config = Config { rx_queues: 2, tx_queues: 2, ..Config::default() };
            let (mut receive, mut transmit) = port.configure(config, &pool)?;
            port.start()?;
            spare.push((receive.pop(), transmit.pop()));
            queues.push(PortQueues { receive, transmit });
            ports.push(port);
        }
        let port_macs = ports.iter().map(|port| MacAddr(port.mac())).collect();
        let builder = Builder { eal: eal.clone(), port_macs, workers: 1 };
        let begun = std::time::Instant::now();
        let tables = Arc::new(builder.build(settings, 1, None)?);
        let built = begun.elapsed().as_secs_f64() * 1e3;
        let bytes = tables.routes.iter().map(|table| table.bytes()).sum();
        let mut assembled = assemble(settings, &tables, queues, &pool, &eal, Tick(0))
            .context("no memory for the tables")?;
        let mut worker = assembled.workers.pop().context("no worker")?;
        let interfaces = [scenario.internal, scenario.external];
        let at = interfaces.map(|interface| settings.interfaces[interface].port);
        // A net_null port always has something to receive: leave the others alone.
        worker.receive.retain(|(_, port)| at.contains(&port.index()));
        let macs = at.map(|port| tables.interfaces.port_mac(PortId(port as u8)));
        let [inside, outside] = at.map(|port| std::mem::take(&mut spare[port]));
        let pair = |receive: Option<RxQueue>, transmit: Option<TxQueue>| receive.zip(transmit);
        let empty = [pair(inside.0, outside.1), pair(outside.0, inside.1)];
        let [Some(outbound), Some(inbound)] = empty else {
            anyhow::bail!("the internal and the external interface are on one port");
        };
        Ok(Self {
            worker,
            empty: [outbound, inbound],
            internal: PortId(at[0] as u8),
            macs,
            clock: Clock::start(),
            hugepages: eal.hugepages().in_use,
            rules,
            routes: (settings.routes.len() as u32, bytes, built),
            _ports: ports,
        })
    }
}

/// What tables, rules and packets take, and a little more.
fn memory_mib(sessions: u32, rules: u32) -> u32 {
    let octets =
        u64::from(sessions) * SESSION + u64::from(rules) * RULE + u64::from(BUFFERS) * BUFFER;
    (octets >> 20) as u32 + SLACK_MIB
}

/// The frame checksum, which net_null does not deliver.
pub(super) const CHECKSUM: u16 = 4;
const BUFFERS: u32 = 8192;
const CACHE: u32 = 256;
const ROOM: u16 = 2048;
/// Octets of memory by session, rule and buffer, rounded up.
const SESSION: u64 = 224;
const RULE: u64 = 16_384;
const BUFFER: u64 = 2560;
const SLACK_MIB: u32 = 64;
