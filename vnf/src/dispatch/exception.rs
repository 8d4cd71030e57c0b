//! Packets for services on the box, on their way to the interface's tap: bounded and rate limited, those to one station apart
//! from those to many.

use dpdk_bindings::mbuf::Mbuf;

use super::{Dispatch, Outlets};
use crate::engine::ids::{InterfaceId, Tick};
use crate::engine::verdict::DropReason;
use crate::table::TokenBucket;

/// What may still go to the taps.
#[derive(Debug, Default)]
pub(super) struct Allowances {
    unicast: TokenBucket,
    groups: TokenBucket,
    neighbors: TokenBucket,
}

impl Dispatch {
    /// Gives a packet to the tap of an interface.
    pub(super) fn except(
        &mut self,
        packet: Mbuf,
        interface: InterfaceId,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        let to_many = packet.data().first().is_some_and(|octet| octet & 1 != 0);
        let (bucket, rate) = match to_many {
            true => (&mut self.allowances.groups, GROUPS),
            false => (&mut self.allowances.unicast, UNICAST),
        };
        let counters = outlets.counters;
        if bucket.take(now.0, rate, rate) && outlets.exceptions.push((packet, interface)).is_ok() {
            counters.punted.add(1);
        } else {
            counters.dropped(DropReason::ExceptionLimit);
        }
    }

    /// Lets the kernel hear what a neighbour said, as long as there is room; the VNF has heard it anyway.
    pub(super) fn mirror(
        &mut self,
        packet: Mbuf,
        interface: InterfaceId,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        if self.allowances.neighbors.take(now.0, NEIGHBORS, NEIGHBORS) {
            // A full ring costs the kernel an answer, for which it asks again.
            let _ = outlets.exceptions.push((packet, interface));
        }
        outlets.counters.punted.add(1);
    }
}

/// Packets to the box in a second, of one worker: enough for several full BGP sessions.
const UNICAST: u32 = 50_000;
/// Packets to groups of the link, likewise: they are hellos of routing protocols.
const GROUPS: u32 = 1000;
/// Messages of neighbours, likewise.
const NEIGHBORS: u32 = 1000;
