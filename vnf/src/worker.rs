//! A pinned core: its queues, its pipeline, its share of the flows.

mod inquiry;
mod listing;

use std::ops::ControlFlow;
use std::sync::Arc;

use dpdk_bindings::cpu;
use dpdk_bindings::queue::RxQueue;

use crate::dispatch::Outlets;
use crate::engine::burst::{Burst, Origin};
use crate::engine::clock::Clock;
use crate::engine::counters::{Counters, latency_bucket};
use crate::engine::handover::{Lanes, Parcel};
use crate::engine::idle::IdleLadder;
use crate::engine::ids::{PortId, Tick, WorkerId};
use crate::engine::mask::BURST;
use crate::engine::message::{Command, Event, Rings};
use crate::engine::tables::Tables;
use crate::engine::transmit::{Account, Transmit};
use crate::pipeline::{Pipeline, Watch};

/// One worker. Whatever it writes per packet is its own.
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// The queues it polls, each with its port.
    pub receive: Vec<(RxQueue, PortId)>,
    /// The ports it sends to.
    pub transmit: Transmit,
    /// The packet path.
    pub pipeline: Pipeline,
    /// What management decided.
    pub tables: Arc<Tables>,
    /// What it counts: worker: write, management: read.
    pub counters: Arc<Counters>,
    /// Commands in, events out.
    pub rings: Arc<Rings>,
    /// Packets from and to other workers.
    pub lanes: Lanes,
    /// The packets in the pipeline.
    pub burst: Box<Burst>,
    /// The stopwatch of the stages.
    pub watch: Watch,
}

impl Worker {
    /// Polls until told to stop.
    pub fn run(mut self, clock: Clock, mut idle: IdleLadder) {
        let mut before = cpu::tsc();
        while self.obey(clock.now()).is_continue() {
            for _ in 0..TURNS_PER_COMMAND_CHECK {
                let found = self.turn(clock.at(before)) > 0;
                let after = cpu::tsc();
                self.account(after - before, found);
                if !found {
                    self.counters.poll_gap.raise(after - before);
                    idle.rest(found);
                    before = cpu::tsc();
                    if idle.sleeps() {
                        break; // so that commands are looked at after every sleep
                    }
                } else {
                    idle.rest(found);
                    self.counters.poll_gap.raise(after - before);
                    before = after;
                }
            }
        }
        self.tell(Event::Stopped);
    }

    #[inline]
    fn account(&self, cycles: u64, found: bool) {
        self.counters.total_cycles.add(cycles);
        if found {
            self.counters.busy_cycles.add(cycles);
        }
    }

    /// One pass over everything packets can come from; returns how many there were.
    #[inline]
    pub fn turn(&mut self, now: Tick) -> usize {
        let mut found = 0;
        for at in 0..self.receive.len() {
            found += self.poll(at, now, |_, _| {});
        }
        if self.lanes.workers() > 1 {
            found += self.take_over(now);
        }
        self.expire(now);
        found
    }

    /// Takes what one of its queues has through the pipeline, after `arrive` has seen it; returns how many packets there were.
    #[inline]
    pub fn poll(&mut self, at: usize, now: Tick, arrive: impl FnOnce(&mut Burst, PortId)) -> usize {
        let (queue, port) = &mut self.receive[at];
        let port = *port;
        let count = self.burst.receive(queue, port);
        if count > 0 {
            arrive(&mut self.burst, port);
            self.counters.received.add(count as u64);
            self.account_received(port, count);
            self.process(now);
        }
        count
    }

    fn account_received(&self, port: PortId, count: usize) {
        let octets = self.burst.octets;
        let counters = &self.counters.ports[port.index()];
        counters[0].add(count as u64);
        counters[1].add(octets as u64);
    }

    /// Takes the burst through the pipeline, what is hairpinned a second time, and fragments that waited for their first.
    #[inline]
    pub fn process(&mut self, now: Tick) {
        self.counters.bursts.add(1);
        let started = if self.watch.is_next() { cpu::tsc() } else { 0 };
        self.pass(now);
        if started != 0 {
            let took = cpu::tsc() - started;
            self.counters.latency[latency_bucket(took)].add(1);
        }
        while self.refill() {
            self.pass(now);
        }
    }

    /// Fills the burst with what the last pass wants to go through again.
    #[inline]
    fn refill(&mut self) -> bool {
        let Pipeline { egress, fragments, .. } = &mut self.pipeline;
        if egress.has_hairpins() {
            self.burst.fill(Origin::Hairpin, || egress.next_hairpin());
        } else if fragments.has_released() {
            self.burst.fill(Origin::Fragments, || fragments.next_released());
        } else {
            return false;
        }
        true
    }

    #[inline]
    fn pass(&mut self, now: Tick) {
        let Self { pipeline, burst, tables, transmit, counters, rings, watch, .. } = self;
        let tell = |event| tell(rings, counters, event);
        let exceptions = &rings.exceptions;
        let mut outlets = Outlets { transmit, counters, exceptions, tell: &tell };
        pipeline.run(burst, tables, &mut outlets, watch, now);
    }

    /// Takes over the packets that other workers found to be this one's.
    fn take_over(&mut self, now: Tick) -> usize {
        let mut found = 0;
        for from in (0..self.lanes.workers()).map(|at| WorkerId(at as u8)) {
            if from == self.id {
                continue;
            }
            let (lanes, id) = (&self.lanes, self.id);
            let mut ready = [const { None }; BURST];
            let (mut ready_count, mut ready_received) = (0, 0);
            let flows = self.burst.fill(Origin::HandedOver, || {
                loop {
                    if ready_count == BURST {
                        return None;
                    }
                    match lanes.take(from, id)? {
                        Parcel::Flow(packet, arrival) => return Some((packet, arrival)),
                        Parcel::Refused(key) => self.pipeline.flows.take_back(&key, now),
                        Parcel::Ready(packet, port, account) => {
                            ready[ready_count] = Some((packet, port, account));
                            ready_count += 1;
                            ready_received += usize::from(account == Account::Received);
                        }
                    }
                }
            });
            self.counters.taken_over.add((flows + ready_received) as u64);
            for (packet, port, account) in ready.into_iter().flatten() {
                self.transmit.push_as(account, port, packet, &self.counters);
            }
            if flows > 0 {
                self.process(now);
            } else if ready_count > 0 {
                self.transmit.flush(&self.counters);
            }
            found += flows + ready_count;
        }
        found
    }

    /// Ends what has timed out, a bounded number per turn.
    #[inline]
    pub fn expire(&mut self, now: Tick) {
        self.pipeline.flows.expire(&self.tables, now);
        if self.pipeline.flows.recorder.blocks() {
            self.pipeline.flows.record_blocks(now);
        }
        let pipeline = &mut self.pipeline;
        if pipeline.dispatch.keeps_something() {
            let tell = |event| tell(&self.rings, &self.counters, event);
            let mut outlets = Outlets {
                transmit: &mut self.transmit,
                counters: &self.counters,
                exceptions: &self.rings.exceptions,
                tell: &tell,
            };
            let Pipeline { dispatch, flows, .. } = pipeline;
            dispatch.give_up_waiting(&self.tables, &mut outlets, now);
            dispatch.answer_unsolicited(flows, &self.tables, &mut outlets, now);
            self.transmit.flush(&self.counters);
        }
        pipeline.fragments.expire(&self.counters, now);
        self.publish();
    }

    /// Makes the gauges readable.
    fn publish(&self) {
        let Pipeline { flows, dispatch, fragments, .. } = &self.pipeline;
        let counters = &self.counters;
        let held = dispatch.kept() + fragments.held();
        counters.held.set(held as u64);
        counters.sessions.set(flows.sessions.len() as u64);
        counters.mappings.set(flows.mappings.len() as u64);
        counters.mappings_held.set(flows.mappings.resting() as u64);
        counters.hosts.set(flows.hosts.len() as u64);
        counters.sessions_opened.set(flows.turnover.opened);
        counters.leases_forced.set(flows.ports.forced());
        counters.records_lost.set(flows.recorder.lost());
        for (counter, closed) in counters.sessions_closed.iter().zip(flows.turnover.closed) {
            counter.set(closed);
        }
    }

    /// Does what management asks, a bounded number of things per look.
    pub fn obey(&mut self, now: Tick) -> ControlFlow<()> {
        for _ in 0..COMMANDS_PER_LOOK {
            let Some(command) = self.rings.commands.pop() else { break };
            match command {
                Command::Adopt(tables, ports) => self.adopt(tables, ports, now),
                Command::Lease(lease) => self.pipeline.flows.ports.grant(&lease),
                Command::Stop => return ControlFlow::Break(()),
                Command::Transmit(frame, port) => {
                    self.transmit.originate(port, frame, &self.counters);
                    self.transmit.flush(&self.counters);
                }
                listing => self.list(listing, now),
            }
        }
        if !self.rings.injections.is_empty() {
            self.inject();
        }
        if !self.rings.events.is_full() {
            let tell = |lease| tell(&self.rings, &self.counters, Event::Lease(lease));
            self.pipeline.flows.tend_ports(now, tell);
        }
        ControlFlow::Continue(())
    }

    /// Sends what services on the box send.
    #[cold]
    fn inject(&mut self) {
        for _ in 0..INJECTIONS_PER_LOOK {
            let Some((frame, port)) = self.rings.injections.pop() else { break };
            self.transmit.originate(port, frame, &self.counters);
        }
        self.transmit.flush(&self.counters);
    }

    /// Uses new tables from the next burst on, and lets packets go whose neighbour is known now.
    fn adopt(
        &mut self,
        tables: Arc<Tables>,
        ports: Option<Box<crate::nat::ExternalPorts>>,
        now: Tick,
    ) {
        let flows = &mut self.pipeline.flows;
        if !flows.recorder.blocks() {
            // Nobody asked for what was noted so far.
            let _ = flows.hosts.take_block_changes();
        }
        flows.recorder.follow(tables.log);
        self.pipeline.forward.adopt();
        let old_tables = std::mem::replace(&mut self.tables, tables);
        let old_ports = ports.map(|mut ports| {
            self.pipeline.flows.adopt_ports(&mut ports);
            ports
        });
        self.tell(Event::Retired(old_tables, old_ports));
        loop {
            let held = &mut self.pipeline.dispatch.held;
            let neighbors = &self.tables.neighbors;
            if self.burst.fill(Origin::Held, || held.take_resolved(neighbors)) == 0 {
                break;
            }
            self.process(now);
        }
        self.publish();
    }

    fn tell(&self, event: Event) {
        tell(&self.rings, &self.counters, event);
    }
}

/// News from the network may be as many as somebody likes to send; a part of the ring is kept for answers.
fn tell(rings: &Rings, counters: &Counters, event: Event) {
    let quarter = rings.events.capacity() / 4;
    let room = match event {
        // A scan causes these; it shall not drown what neighbours answer.
        Event::Unresolved(..) => 2 * quarter,
        Event::AddressClaimed(_)
        | Event::Nearing(_)
        | Event::NeighborSeen(_)
        | Event::NeighborUsed(..)
        | Event::Refused(_)
        | Event::RuleMatched(_) => 3 * quarter,
        _ => usize::MAX,
    };
    if rings.events.len() > room || rings.events.push(event).is_err() {
        counters.events_lost.add(1);
    }
}

/// Polling turns between two looks at the command ring.
const TURNS_PER_COMMAND_CHECK: u32 = 256;
/// Commands obeyed in one look: a flood of them cannot starve packets.
const COMMANDS_PER_LOOK: usize = 8;
/// Frames of services on the box that are sent in one look.
const INJECTIONS_PER_LOOK: usize = 64;
