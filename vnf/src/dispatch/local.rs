//! Echo requests to the VNF's own addresses that come in fragments: put together, answered, and the answer cut to what the
//! link takes (RFC 1812 4.3.3.6: as large as any datagram that can be reassembled).

use dpdk_bindings::mbuf::Mbuf;

use super::{Dispatch, Outlets};
use crate::engine::counters::Counters;
use crate::engine::ids::{Arrival, Tick};
use crate::engine::meta::{Family, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Rejection};
use crate::fragment::reassembly::{Datagram, Outcome};
use crate::fragment::split;
use crate::icmp::local;

impl Dispatch {
    /// Takes a fragment in; answers the datagram that it completes.
    pub(super) fn reassemble(
        &mut self,
        packet: &Mbuf,
        meta: &Meta,
        arrival: Arrival,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        let Self { reassembly, pool, .. } = self;
        let counters = outlets.counters;
        let given_up = |datagram: &mut Datagram| lose(datagram, counters);
        let datagram = match reassembly.add(packet, meta, arrival, now, given_up) {
            Outcome::Complete(datagram) => datagram,
            Outcome::Refused(reason) => return counters.dropped(reason),
            Outcome::Waits => return,
        };
        let (fragments, first) = (datagram.fragments, datagram.meta);
        let (l3, id) = (usize::from(first.l3), first.fragment_id);
        let Some(interface) = tables.interfaces.find(first.ingress) else {
            return lose(datagram, counters);
        };
        let Some(reply) = local::reply_to_datagram(datagram) else {
            counters.drops[DropReason::NoLocalService as usize].add(fragments);
            return;
        };
        counters.punted.add(fragments);
        let out = |part| outlets.transmit.originate(arrival.port, part, counters);
        // A buffer that is missing costs the rest of the answer: the network may lose any of it too.
        let _ = match first.key.family {
            Family::Ipv4 => split::split_v4(reply, l3, interface.mtu, pool, out),
            Family::Ipv6 => split::split_v6(reply, l3, interface.mtu, id, pool, out),
        };
    }

    /// Gives up datagrams whose fragments stay away, and tells their senders (RFC 1812 4.3.3.4, RFC 8200 4.5).
    pub(super) fn give_up_reassembly(
        &mut self,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        if self.reassembly.is_empty() {
            return;
        }
        let mut overdue = [const { None }; 4];
        let mut slots = overdue.iter_mut();
        let pool = self.pool.clone();
        self.reassembly.expire(now, |datagram| {
            lose(datagram, outlets.counters);
            let quoted = datagram.first_fragment().and_then(|octets| {
                let octets = &octets[..octets.len().min(pool.data_room().into())];
                pool.frame(octets)
            });
            if let Some(packet) = quoted
                && let Some(slot) = slots.next()
            {
                *slot = Some((packet, datagram.meta, datagram.arrival));
            }
        });
        for (mut packet, meta, arrival) in overdue.into_iter().flatten() {
            let told = Rejection::ReassemblyTimeExceeded;
            self.reject(&mut packet, told, &meta, arrival.port, tables, outlets, now);
        }
    }
}

fn lose(datagram: &Datagram, counters: &Counters) {
    counters.drops[DropReason::FragmentLimit as usize].add(datagram.fragments);
}
