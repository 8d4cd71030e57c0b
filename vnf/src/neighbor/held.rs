//! Packets that wait for their next hop to be resolved (RFC 1122 2.3.2.2): unchanged, as they came in.

use std::net::IpAddr;

use dpdk_bindings::mbuf::Mbuf;

use super::NeighborTable;
use crate::engine::ids::{Arrival, InterfaceId, Tick};

/// A packet that waits.
struct Held {
    packet: Mbuf,
    arrival: Arrival,
    interface: InterfaceId,
    neighbor: IpAddr,
    until: Tick,
}

/// The packets of one worker that wait for a neighbour: a few for each, a bounded number in all.
pub struct HeldPackets {
    packets: Vec<Held>,
}

/// What became of an attempt to hold a packet.
pub enum Outcome {
    /// It waits; it is the first to wait for this neighbour.
    First,
    /// It waits with others.
    Joined,
    /// There is no room for it; whether another waits for this neighbour.
    Refused(Mbuf, bool),
}

impl HeldPackets {
    /// Nothing held, room reserved.
    pub fn new() -> Self {
        Self { packets: Vec::with_capacity(CAPACITY) }
    }

    /// Holds a packet until its neighbour is known, or [`PATIENCE_MS`] have passed.
    pub fn hold(
        &mut self,
        packet: Mbuf,
        arrival: Arrival,
        interface: InterfaceId,
        neighbor: IpAddr,
        now: Tick,
    ) -> Outcome {
        let same = |held: &&Held| held.interface == interface && held.neighbor == neighbor;
        let waiting = self.packets.iter().filter(same).count();
        if waiting >= PER_NEIGHBOR || self.packets.len() >= CAPACITY {
            return Outcome::Refused(packet, waiting > 0);
        }
        let until = Tick(now.0 + PATIENCE_MS);
        self.packets.push(Held { packet, arrival, interface, neighbor, until });
        if waiting == 0 { Outcome::First } else { Outcome::Joined }
    }

    /// The next packet whose neighbour has been resolved.
    pub fn take_resolved(&mut self, neighbors: &NeighborTable) -> Option<(Mbuf, Arrival)> {
        let at = self.packets.iter().position(|held| {
            let id = neighbors.find(held.interface, held.neighbor);
            id.and_then(|id| neighbors.next_hop(id)).is_some_and(|next_hop| next_hop.resolved)
        })?;
        let held = self.packets.remove(at);
        Some((held.packet, held.arrival))
    }

    /// The next packet that has waited long enough.
    pub fn take_overdue(&mut self, now: Tick) -> Option<(Mbuf, Arrival)> {
        let held = self.packets.first().filter(|held| held.until <= now)?;
        let arrival = held.arrival;
        Some((self.packets.remove(0).packet, arrival))
    }

    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

impl Default for HeldPackets {
    fn default() -> Self {
        Self::new()
    }
}

/// Packets of one worker that wait at most.
pub const CAPACITY: usize = 256;
/// Packets that wait for one neighbour at most.
const PER_NEIGHBOR: usize = 8;
/// How long a packet waits: three requests, a second apart (RFC 4861 10).
const PATIENCE_MS: u64 = 3000;
