//! Reads what almost every packet is: TCP or UDP on IPv4 without options or fragments, untagged, in one segment.
//!
//! A packet that is not so, or with which anything is wrong, is left to the long way, which knows what to make of it.

use dpdk_bindings::mbuf::{Checksum, Mbuf};
use dpdk_bindings::simd;

use crate::engine::burst::Burst;
use crate::engine::ids::{InterfaceId, VrfId};
use crate::engine::mask::Mask;
use crate::engine::meta::{Direction, Family, Form, Kind, Meta};
use crate::engine::tables::Tables;
use crate::session::tcp;
use crate::wire::ipv4::address;
use crate::wire::plain::{self, Head, at};
use crate::wire::protocol;

/// What the plain packets of a burst have in common.
pub(super) struct Plain {
    ingress: InterfaceId,
    vrf: VrfId,
    /// The address they are sent to, in the low 48 bits.
    mac: u64,
    /// The same address's last four octets.
    sender: u32,
}

impl Plain {
    /// For packets that came in together, on a port that takes untagged ones.
    pub(super) fn of(burst: &Burst, tables: &Tables) -> Option<Self> {
        let arrival = burst.common_arrival().filter(|arrival| !arrival.hairpin)?;
        let interface = tables.interfaces.arrival(arrival.port, 0)?;
        let [a, b, c, d, e, f] = interface.mac.0;
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let (ingress, vrf) = (interface.id, interface.vrf);
        Some(Self { ingress, vrf, mac, sender: u32::from_le_bytes([c, d, e, f]) })
    }

    /// Reads all plain packets, and returns the others.
    #[inline(never)]
    pub(super) fn read_all(&self, burst: &mut Burst) -> Mask {
        let mut others = Mask::EMPTY;
        for slot in burst.live() {
            let (packet, meta) = burst.packet_mut(slot);
            if !self.read(packet, meta) {
                others.insert(slot);
            }
        }
        others
    }

    /// Reads a packet if it is plain and right; else `meta` means nothing.
    ///
    /// One predictable branch for each thing that may be wrong takes fewer instructions than to collect the differences. What
    /// is read is noted at once, so that all of it needs no more registers than there are.
    #[inline(always)]
    fn read(&self, packet: &mut Mbuf, meta: &mut Meta) -> bool {
        let Some(head) = packet.data().first_chunk::<{ size_of::<Head>() }>() else { return false };
        let word = |at| u64::from_le_bytes(plain::get(head, at));
        let half = |at| u32::from_le_bytes(plain::get(head, at));
        let number = |at| u16::from_be_bytes(plain::get(head, at));

        if packet.segment_count() != 1
            || (word(0) ^ self.mac) & DESTINATION_MAC != 0
            || half(8) == 0
            || half(8) == self.sender
            || half(12) & 0x00ff_ffff != IPV4_WITHOUT_OPTIONS
            || number(at::FRAGMENT) & 0x3fff != 0
        {
            return false;
        }
        let (source, destination) = (half(at::ADDRESSES), half(at::ADDRESSES + 4));
        if UNUSUAL[usize::from(source as u8)]
            || UNUSUAL[usize::from(destination as u8)]
            || source == destination
        {
            return false;
        }
        match packet.ip_checksum() {
            Checksum::Unknown => {
                // RFC 1071: the sum is a multiple of 0xffff, in words of any length.
                let (sum, carry) = word(16).overflowing_add(word(24));
                let rest = (half(12) >> 16) + (destination >> 16) + u32::from(carry);
                let (sum, carry) = sum.overflowing_add(u64::from(rest));
                if !(sum + u64::from(carry)).is_multiple_of(0xffff) {
                    return false;
                }
            }
            Checksum::Good => {}
            Checksum::Bad => return false,
        }
        meta.key.source = simd::first_lane(source.swap_bytes());
        meta.key.destination = simd::first_lane(destination.swap_bytes());
        meta.key.source_port = number(at::PORTS);
        meta.key.destination_port = number(at::PORTS + 2);
        let protocol = head[at::PROTOCOL];
        meta.key.protocol = protocol;
        meta.key.family = Family::Ipv4;
        meta.key.vrf = self.vrf;
        meta.l3 = at::NETWORK as u8;
        meta.l4 = at::PORTS as u8;
        meta.direction = Direction::Outbound;
        meta.kind = Kind::Flow;
        meta.form = Form::Plain;
        meta.ingress = self.ingress;
        meta.ttl = head[at::TTL];
        meta.dont_fragment = head[at::FRAGMENT] & 0x40 != 0;

        let total = number(at::TOTAL_LENGTH);
        meta.ip_length = total;
        meta.detail = 0;
        let inner = if protocol == protocol::UDP {
            let length = u32::from(number(at::UDP_LENGTH));
            if length < 8 {
                return false;
            }
            length
        } else if protocol == protocol::TCP {
            let length = u32::from(head[at::TCP_OFFSET] >> 4) * 4;
            meta.detail = head[at::TCP_FLAGS];
            if length < 20 || !tcp::flags_valid(meta.detail) {
                return false;
            }
            length
        } else {
            return false;
        };
        let total = u32::from(total);
        let (end, length) = (total + at::NETWORK as u32, packet.len() as u32);
        if inner + 20 > total || end > length {
            return false;
        }
        if end < length {
            packet.truncate(end as usize);
        }
        true
    }
}

/// The destination address, and the bit that a sender's own address never has.
const DESTINATION_MAC: u64 = 0x0001_ffff_ffff_ffff;

/// The EtherType and the first octet of the IP header, as the low three octets of a word.
const IPV4_WITHOUT_OPTIONS: u32 = 0x0045_0008;

/// The first octets of addresses of which some, or all, are no host's to send from or to be sent to.
const UNUSUAL: [bool; 256] = {
    let mut unusual = [false; 256];
    let mut first = 0;
    while first < 256 {
        let address = [first as u8, 0, 0, 1];
        let link_local = [first as u8, 254, 0, 1];
        let usual = address::may_send(address) && address::may_be_forwarded_to(link_local);
        unusual[first] = !usual;
        first += 1;
    }
    unusual
};

#[cfg(test)]
pub(crate) mod tests;
