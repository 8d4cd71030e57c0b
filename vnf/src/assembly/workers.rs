//! Builds workers: memory reserved, queues dealt out, rings laid between them.

use std::sync::Arc;

use dpdk_bindings::memory::Source;
use dpdk_bindings::{Eal, Mempool, RxQueue, TxQueue};

use crate::acl::Acl;
use crate::config::Settings;
use crate::dispatch::Dispatch;
use crate::egress::Egress;
use crate::engine::burst::Burst;
use crate::engine::counters::Counters;
use crate::engine::handover::Lanes;
use crate::engine::ids::{PortId, Tick, WorkerId};
use crate::engine::message::Rings;
use crate::engine::record::Recorder;
use crate::engine::tables::Tables;
use crate::engine::transmit::{Transmit, TxPath};
use crate::forward::Forward;
use crate::fragment::Tracker;
use crate::nat::{ExternalPorts, Nat, Ownership};
use crate::parse::Parse;
use crate::pipeline::{Pipeline, Watch};
use crate::session::Flows;
use crate::table::Hasher;
use crate::worker::Worker;

/// The queues of one port; at most as many as there are workers.
#[derive(Default)]
pub struct PortQueues {
    /// Receive queues.
    pub receive: Vec<RxQueue>,
    /// Transmit queues.
    pub transmit: Vec<TxQueue>,
}

/// Workers ready to run, and what management needs of each.
pub struct Assembled {
    /// The workers.
    pub workers: Vec<Worker>,
    /// How flows are divided among them.
    pub ownership: Ownership,
    /// Packets between them.
    pub lanes: Lanes,
}

/// Builds one worker for each entry of `dpdk.worker_cores`, every one with its share of the sessions.
///
/// # Errors
/// When the memory for the tables cannot be reserved.
pub fn assemble(
    settings: &Settings,
    tables: &Arc<Tables>,
    ports: Vec<PortQueues>,
    pool: &Mempool,
    eal: &Eal,
    now: Tick,
) -> dpdk_bindings::Result<Assembled> {
    let count = settings.dpdk.worker_cores.len();
    let hasher = Hasher::random();
    let ownership = Ownership::new(hasher.clone(), count);
    let lanes = Lanes::new(count);
    let sessions = (settings.sessions.max_sessions as usize).div_ceil(count);
    let contacts = tables.nat.filters_by_address();
    let mut queues = deal(ports, count);
    let mut workers = Vec::with_capacity(count);
    for id in (0..count).map(|at| WorkerId(at as u8)) {
        let external = ExternalPorts::new(&tables.nat, &ownership, id);
        let rings = Rings::new();
        let mut flows =
            Flows::with_capacity(sessions, &hasher, external, contacts, Source::Dpdk(eal), now)?;
        flows.recorder = Recorder::new(Arc::clone(&rings), tables.log);
        let (receive, paths) = std::mem::take(&mut queues[id.index()]);
        let pipeline = Pipeline {
            parse: Parse,
            fragments: Tracker::new(hasher.clone(), Source::Dpdk(eal))?,
            nat: Nat::new(id, ownership.clone()),
            acl: Acl::new(id),
            forward: Forward::new(),
            egress: Egress::new(),
            dispatch: Dispatch::new(id, lanes.clone(), pool.clone(), hasher.clone()),
            flows,
        };
        workers.push(Worker {
            id,
            receive,
            counters: Arc::new(Counters::new(paths.len())),
            transmit: Transmit::new(paths, id, lanes.clone()),
            pipeline,
            tables: Arc::clone(tables),
            rings,
            lanes: lanes.clone(),
            burst: Box::new(Burst::new()),
            watch: Watch::default(),
        });
    }
    Ok(Assembled { workers, ownership, lanes })
}

type Queues = (Vec<(RxQueue, PortId)>, Vec<TxPath>);

/// Deals the queues out. Receive queue `q` of port `p` goes to worker `q`, a port's only one to worker `p`, so that ports
/// spread over the workers; where transmit queues are short, their worker sends for the others.
fn deal(ports: Vec<PortQueues>, workers: usize) -> Vec<Queues> {
    let mut dealt: Vec<Queues> = (0..workers).map(|_| Queues::default()).collect();
    for (at, queues) in ports.into_iter().enumerate() {
        let port = PortId(at as u8);
        let offset = if queues.receive.len() < workers { at } else { 0 };
        for (q, queue) in queues.receive.into_iter().enumerate() {
            dealt[(q + offset) % workers].0.push((queue, port));
        }
        let owners = queues.transmit.len();
        for (q, queue) in queues.transmit.into_iter().enumerate() {
            dealt[(q + offset) % workers].1.push(TxPath::Queue(queue));
        }
        for (worker, (_, paths)) in dealt.iter_mut().enumerate() {
            if paths.len() == at {
                let through = (worker % owners.max(1) + offset) % workers;
                paths.push(TxPath::Through(WorkerId(through as u8)));
            }
        }
    }
    dealt
}
