//! Reads what almost every packet is: TCP or UDP on IPv4 without options or fragments, untagged, in one segment.
//!
//! A packet that is not so, or with which anything is wrong, is left to the long way, which knows what to make of it.

use dpdk_bindings::mbuf::{Checksum, Mbuf};

use crate::engine::burst::Burst;
use crate::engine::ids::InterfaceId;
use crate::engine::mask::Mask;
use crate::engine::meta::{Direction, Family, FlowKey, Form, Kind};
use crate::engine::tables::Tables;
use crate::session::tcp;
use crate::wire::ipv4::address;
use crate::wire::plain::{self, Head, at};
use crate::wire::protocol;

/// What the plain packets of a burst have in common.
pub(super) struct Plain {
    ingress: InterfaceId,
    /// The address they are sent to, in the low 48 bits.
    mac: u64,
}

impl Plain {
    /// For packets that came in together, on a port that takes untagged ones.
    pub(super) fn of(burst: &Burst, tables: &Tables) -> Option<Self> {
        let arrival = burst.common_arrival().filter(|arrival| !arrival.hairpin)?;
        let interface = tables.interfaces.arrival(arrival.port, 0)?;
        let [a, b, c, d, e, f] = interface.mac.0;
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        Some(Self { ingress: interface.id, mac })
    }

    /// Reads all plain packets, and returns the others.
    ///
    /// In two loops, so that neither needs more registers than there are: what goes to the stack between stores to the burst
    /// costs more than reading the headers twice.
    pub(super) fn read_all(&self, burst: &mut Burst) -> Mask {
        let others = self.find_others(burst);
        self.read(burst, burst.live() & !others);
        others
    }

    /// Returns the packets that are not plain, or not right.
    #[inline(never)]
    fn find_others(&self, burst: &Burst) -> Mask {
        let mut others = Mask::EMPTY;
        for slot in burst.live() {
            if !self.is_right(burst.packet(slot)) {
                others.insert(slot);
            }
        }
        others
    }

    /// Whether a packet is plain and right.
    ///
    /// Differences from what is expected are collected, all zero in the end: one branch instead of a dozen. Octets are taken
    /// eight at a time, in the order of a little-endian machine.
    #[inline(always)]
    fn is_right(&self, packet: &Mbuf) -> bool {
        let Some(head) = packet.data().first_chunk::<{ size_of::<Head>() }>() else {
            return false;
        };
        let word = |at| u64::from_le_bytes(plain::get(head, at));
        let (version, fixed) = (word(8), word(16));
        let total = u32::from(u16::from_be_bytes(plain::get(head, at::TOTAL_LENGTH)));
        let source = u32::from_le_bytes(plain::get(head, at::ADDRESSES));
        let destination = u32::from_le_bytes(plain::get(head, at::ADDRESSES + 4));

        let mut wrong = (word(0) & DESTINATION_MAC) ^ self.mac;
        wrong |= (version & VERSION.0) ^ VERSION.1;
        wrong |= u64::from(packet.segment_count() ^ 1) | fixed & FRAGMENTED;
        wrong |= u64::from(UNUSUAL[usize::from(source as u8)]);
        wrong |= u64::from(UNUSUAL[usize::from(destination as u8)]);

        // What must not be zero: the source MAC address is not the VNF's and not nothing, and this is no land attack.
        let sender = version as u32;
        let must = |positive: u32| u64::from(positive).wrapping_sub(1);
        let negative =
            must(sender) | must(sender ^ (self.mac >> 16) as u32) | must(source ^ destination);
        wrong |= negative >> 63;

        // What must not be less than zero: lengths fit into each other.
        let mut room = (packet.len() as u32).wrapping_sub(total + at::NETWORK as u32);
        if head[at::PROTOCOL] == protocol::UDP {
            let length = u32::from(u16::from_be_bytes(plain::get(head, at::UDP_LENGTH)));
            room |= length.wrapping_sub(8) | total.wrapping_sub(20 + length);
        } else if head[at::PROTOCOL] == protocol::TCP {
            let offset = u32::from(head[at::TCP_OFFSET] >> 4) * 4;
            room |= offset.wrapping_sub(20) | total.wrapping_sub(20 + offset);
            wrong |= u64::from(!tcp::flags_valid(head[at::TCP_FLAGS]));
        } else {
            return false;
        }
        wrong |= u64::from(room >> 31);

        if packet.ip_checksum() == Checksum::Unknown {
            // RFC 1071: the sum is a multiple of 0xffff, in words of any length.
            let (sum, carry) = fixed.overflowing_add(word(24));
            let rest = (version >> 48) + u64::from(destination >> 16) + u64::from(carry);
            let (sum, carry) = sum.overflowing_add(rest);
            wrong |= u64::from(!(sum + u64::from(carry)).is_multiple_of(0xffff));
        } else {
            wrong |= u64::from(packet.ip_checksum() == Checksum::Bad);
        }
        wrong == 0
    }

    /// Notes what is in the headers of packets that are plain and right.
    #[inline(never)]
    fn read(&self, burst: &mut Burst, packets: Mask) {
        for slot in packets {
            let (packet, meta) = burst.packet_mut(slot);
            let length = packet.len();
            let Some(head) = packet.data().first_chunk::<{ size_of::<Head>() }>() else { continue };
            let number = |at| u16::from_be_bytes(plain::get(head, at));
            let address = |at| u32::from_be_bytes(plain::get(head, at));
            let protocol = head[at::PROTOCOL];
            let total = number(at::TOTAL_LENGTH);
            meta.key = FlowKey {
                source: [address(at::ADDRESSES), 0, 0, 0],
                destination: [address(at::ADDRESSES + 4), 0, 0, 0],
                source_port: number(at::PORTS),
                destination_port: number(at::PORTS + 2),
                protocol,
                family: Family::Ipv4,
            };
            meta.ip_length = total;
            meta.l3 = at::NETWORK as u8;
            meta.l4 = at::PORTS as u8;
            meta.direction = Direction::Outbound;
            meta.kind = Kind::Flow;
            meta.form = Form::Plain;
            meta.ingress = self.ingress;
            meta.detail = if protocol == protocol::TCP { head[at::TCP_FLAGS] } else { 0 };
            meta.ttl = head[at::TTL];
            meta.dont_fragment = head[at::FRAGMENT] & 0x40 != 0;
            let end = at::NETWORK + usize::from(total);
            if end < length {
                packet.truncate(end);
            }
        }
    }
}

/// The destination address, and the bit that a sender's own address never has.
const DESTINATION_MAC: u64 = 0x0001_ffff_ffff_ffff;

/// The EtherType and the first octet of the IP header in the word that starts at octet 8: where they are, and IPv4 without
/// options.
const VERSION: (u64, u64) = (0x00ff_ffff_0000_0000, 0x0045_0008_0000_0000);

/// "More fragments" and the fragment offset in the word that starts at octet 16.
const FRAGMENTED: u64 = 0x0000_ff3f_0000_0000;

/// One for the first octets of addresses of which some, or all, are no host's to send from or to be sent to.
const UNUSUAL: [u8; 256] = {
    let mut unusual = [0; 256];
    let mut first = 0;
    while first < 256 {
        let address = [first as u8, 0, 0, 1];
        let link_local = [first as u8, 254, 0, 1];
        let usual = address::may_send(address) && address::may_be_forwarded_to(link_local);
        unusual[first] = !usual as u8;
        first += 1;
    }
    unusual
};
