//! Writes what almost every packet gets: other addresses and ports, checksums by difference, a hop less to live.

use crate::engine::burst::Burst;
use crate::engine::ids::Tick;
use crate::engine::mask::Mask;
use crate::engine::meta::Form;
use crate::engine::tables::Tables;
use crate::neighbor::PortSet;
use crate::session::Sessions;
use crate::wire::checksum::{Delta, adjusted};
use crate::wire::plain::{self, Head, at};
use crate::wire::protocol;

/// What became of the plain packets of a burst.
pub(super) struct Rewritten {
    /// The others: they are as they were.
    pub(super) others: Mask,
    /// The ports by which they leave.
    pub(super) ports: PortSet,
    /// The octets of their frames.
    pub(super) octets: usize,
}

/// Does to the plain packets of translated sessions what [`super::rewrite`] does to any packet.
///
/// Every value is written as soon as it is known, first to the session, then to the frame: what needs no register does not go
/// to the stack, and stores to two cache lines by turns cost three times as much.
#[inline(never)]
pub(super) fn rewrite_all(
    burst: &mut Burst,
    sessions: &mut Sessions,
    tables: &Tables,
    now: Tick,
) -> Rewritten {
    let mut done = Rewritten { others: Mask::EMPTY, ports: PortSet::EMPTY, octets: 0 };
    for slot in burst.live() {
        let (packet, meta) = burst.packet_mut(slot);
        let Some(session) = sessions.find_mut(meta.session) else {
            done.others.insert(slot);
            continue;
        };
        let Some(link) = tables.neighbors.link(meta.next_hop) else {
            done.others.insert(slot);
            continue;
        };
        let Some(head) = packet.data_mut().first_chunk_mut::<{ size_of::<Head>() }>() else {
            done.others.insert(slot);
            continue;
        };
        if meta.form != Form::Plain || !session.translated() {
            done.others.insert(slot);
            continue;
        }
        let direction = meta.direction;
        let is_tcp = meta.key.protocol == protocol::TCP;
        done.octets += usize::from(meta.ip_length) + at::NETWORK;
        let rare =
            session.account_ipv4(direction, meta.ip_length, is_tcp.then_some(meta.detail), now);

        plain::put(head, 0, link.ethernet);
        done.ports.insert(link.ports);
        let [delta, transport_delta] = session.wire_deltas(direction);
        let delta = delta + u32::from(Delta::TTL_DECREMENT.wire_bits());
        let checksum = u16::from_le_bytes(adjusted(plain::get(head, at::CHECKSUM), delta));
        // Time to live, protocol and checksum stand together.
        let word =
            u32::from(meta.ttl - 1) | u32::from(meta.key.protocol) << 8 | u32::from(checksum) << 16;
        plain::put(head, at::TTL, word.to_le_bytes());
        let (address, port) = session.rewrite(direction);
        plain::put(head, at::ADDRESSES + 4 * direction.index(), address.to_be_bytes());
        plain::put(head, at::PORTS + 2 * direction.index(), port.to_be_bytes());
        if is_tcp {
            let checksum = adjusted(plain::get(head, at::TCP_CHECKSUM), transport_delta);
            plain::put(head, at::TCP_CHECKSUM, checksum);
        } else if plain::get(head, at::UDP_CHECKSUM) != NO_CHECKSUM {
            let checksum = adjusted(plain::get(head, at::UDP_CHECKSUM), transport_delta);
            let zero = checksum == NO_CHECKSUM;
            plain::put(head, at::UDP_CHECKSUM, if zero { ZERO_CHECKSUM } else { checksum });
        }
        if rare.any() {
            sessions.settle(meta.session, meta, rare, &tables.timeouts, now);
        }
    }
    done
}

/// What stands in the place of a UDP checksum where there is none, and what stands for zero (RFC 768).
const NO_CHECKSUM: [u8; 2] = [0; 2];
const ZERO_CHECKSUM: [u8; 2] = [0xff; 2];

#[cfg(test)]
mod tests;
