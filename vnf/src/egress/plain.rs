//! Writes what almost every packet gets: other addresses and ports, checksums by difference, a hop less to live.

use crate::engine::burst::Burst;
use crate::engine::ids::{PortId, Tick};
use crate::engine::mask::Mask;
use crate::engine::meta::Form;
use crate::engine::tables::Tables;
use crate::session::Sessions;
use crate::wire::checksum::Delta;
use crate::wire::plain::{self, Head, at};
use crate::wire::protocol;

/// What became of the plain packets of a burst.
pub(super) struct Rewritten {
    /// The others: they are as they were.
    pub(super) others: Mask,
    /// The port by which one of them leaves.
    pub(super) port: PortId,
    /// Whether all leave by that port.
    pub(super) together: bool,
    /// The octets of their frames.
    pub(super) octets: usize,
}

/// Does to the plain packets of translated sessions what [`super::rewrite`] does to any packet.
///
/// What is written to one cache line is written together: stores to two lines by turns cost three times as much.
#[inline(never)]
pub(super) fn rewrite_all(
    burst: &mut Burst,
    sessions: &mut Sessions,
    tables: &Tables,
    now: Tick,
) -> Rewritten {
    let (mut others, mut any_port, mut all_ports, mut octets) = (Mask::EMPTY, 0, u8::MAX, 0);
    for slot in burst.live() {
        let (packet, meta) = burst.packet_mut(slot);
        let link = tables.neighbors.link(meta.next_hop);
        let session = sessions.find_mut(meta.session);
        let head = packet.data_mut().first_chunk_mut::<{ size_of::<Head>() }>();
        let (Some(link), Some(session), Some(head)) = (link, session, head) else {
            others.insert(slot);
            continue;
        };
        if !(session.translated() & (meta.form == Form::Plain)) {
            others.insert(slot);
            continue;
        }
        let (direction, protocol) = (meta.direction, meta.key.protocol);
        let (address, port) = session.rewrite(direction);
        let (address_delta, transport_delta) = session.deltas(direction);
        let is_tcp = protocol == protocol::TCP;
        let checksum_at = if is_tcp { at::TCP_CHECKSUM } else { at::UDP_CHECKSUM };
        let side = direction.index();

        let network = u16::from_be_bytes(plain::get(head, at::CHECKSUM));
        let network = (address_delta + Delta::TTL_DECREMENT).apply(network);
        let transport = u16::from_be_bytes(plain::get(head, checksum_at));
        let transport = transport_delta.apply_to(protocol, transport);
        plain::put(head, 0, link.ethernet);
        head[at::TTL] = meta.ttl - 1;
        plain::put(head, at::CHECKSUM, network.to_be_bytes());
        plain::put(head, at::ADDRESSES + 4 * side, address.to_be_bytes());
        plain::put(head, at::PORTS + 2 * side, port.to_be_bytes());
        plain::put(head, checksum_at, transport.to_be_bytes());

        let flags = is_tcp.then_some(meta.detail);
        let rare = session.account(direction, meta.ip_length, flags, now);
        if rare.any() {
            sessions.settle(meta.session, meta, rare, &tables.timeouts, now);
        }
        any_port |= link.port.0;
        all_ports &= link.port.0;
        octets += usize::from(meta.ip_length) + at::NETWORK;
    }
    Rewritten { others, port: PortId(any_port), together: any_port == all_ports, octets }
}
