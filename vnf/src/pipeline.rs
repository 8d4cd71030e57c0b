//! The packet path of one worker: parse → nat → acl → forward → egress. Start reading here.

use dpdk_bindings::cpu;

use crate::acl::Acl;
use crate::dispatch::{Dispatch, Outlets};
use crate::egress::Egress;
use crate::engine::burst::Burst;
use crate::engine::counters::{Counters, STAGES};
use crate::engine::ids::Tick;
use crate::engine::message::Event;
use crate::engine::tables::Tables;
use crate::forward::Forward;
use crate::fragment::Tracker;
use crate::nat::Nat;
use crate::parse::Parse;
use crate::session::Flows;

/// The stages of one worker with their state.
pub struct Pipeline {
    /// Octets to keys.
    pub parse: Parse,
    /// Later fragments to their datagram's ports.
    pub fragments: Tracker,
    /// Keys to sessions, or plans for new ones.
    pub nat: Nat,
    /// Plans permitted or refused.
    pub acl: Acl,
    /// Next hops; sessions opened.
    pub forward: Forward,
    /// Headers written.
    pub egress: Egress,
    /// What became of packets that left early.
    pub dispatch: Dispatch,
    /// Sessions, mappings, hosts, external ports.
    pub flows: Flows,
}

impl Pipeline {
    /// Takes a burst through every stage, in the order written here.
    ///
    /// `nat` looks the session of every packet up, once. A session remembers what the later stages decided (translation,
    /// permission, next hop) and under which generation of the tables, so `acl` and `forward` do real work only for a
    /// flow's first packet, or for its next one after a change of configuration. Nothing is written to a packet before
    /// `egress`.
    #[inline]
    pub fn run(
        &mut self,
        burst: &mut Burst,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        watch: &mut Watch,
        now: Tick,
    ) {
        let Self { parse, fragments, nat, acl, forward, egress, dispatch, flows } = self;
        watch.begin(burst);
        let fragmented = parse.run(burst, tables);
        if !fragmented.is_empty() {
            nat.gather(burst, fragmented, tables);
            fragments.run(burst, fragmented & burst.live(), outlets.counters, now);
        }
        watch.lap(0, burst, outlets.counters);
        nat.run(burst, flows, tables, now);
        watch.lap(1, burst, outlets.counters);
        acl.run(burst, flows, tables, now);
        watch.lap(2, burst, outlets.counters);
        forward.run(burst, flows, tables, now);
        watch.lap(3, burst, outlets.counters);
        egress.run(burst, flows, tables, outlets.transmit, outlets.counters, now);
        nat.take_back(burst, flows, tables, dispatch.lanes(), now);
        dispatch.run(burst, flows, tables, outlets, now);
        while let Some(matched) = acl.next_match() {
            (outlets.tell)(Event::RuleMatched(matched));
        }
        while let Some(id) = forward.next_used() {
            if let Some(next_hop) = tables.neighbors.next_hop(id) {
                (outlets.tell)(Event::NeighborUsed(next_hop.interface, next_hop.address));
            }
        }
        while let Some(refusal) = flows.refusals.next_told() {
            (outlets.tell)(Event::Refused(refusal));
        }
        while let Some(nearing) = flows.refusals.next_nearing() {
            (outlets.tell)(Event::Nearing(nearing));
        }
        outlets.transmit.flush(outlets.counters);
        watch.lap(4, burst, outlets.counters);
    }
}

/// Measures the stages of one burst in [`MEASURED_EVERY`]: reading the clock costs as much as some stages.
#[derive(Debug, Default)]
pub struct Watch {
    bursts: u32,
    measuring: bool,
    since: u64,
    packets: u64,
}

impl Watch {
    /// Whether the next burst is measured.
    #[inline]
    pub fn is_next(&self) -> bool {
        self.bursts.wrapping_add(1).is_multiple_of(MEASURED_EVERY)
    }

    #[inline]
    fn begin(&mut self, burst: &Burst) {
        self.bursts = self.bursts.wrapping_add(1);
        self.measuring = self.bursts.is_multiple_of(MEASURED_EVERY);
        if self.measuring {
            self.packets = burst.live().len() as u64;
            self.since = cpu::tsc();
        }
    }

    #[inline]
    fn lap(&mut self, stage: usize, burst: &Burst, counters: &Counters) {
        if self.measuring {
            let now = cpu::tsc();
            let measured = &counters.stages[stage % STAGES.len()];
            measured.packets.add(self.packets);
            measured.cycles.add(now - self.since);
            self.since = now;
            self.packets = burst.live().len() as u64;
        }
    }
}

/// One burst in so many is measured.
const MEASURED_EVERY: u32 = 16;
