//! Writes a flow's next frame into a buffer.

use crate::checksum::Sum;
use crate::endpoint::{Endpoint, Family};
use crate::flow::{
    DATA_OFFSET, DONT_FRAGMENT, Direction, ECHO_SEQUENCE, Flow, Flows, INWARD, Kind, Protocol,
    Stream, TRAFFIC_CLASS, TTL, WINDOW, echo_type, fill,
};
use crate::frame::{ETHERNET, FCS, Mac};
use crate::trailer::{Key, LEN, Trailer};

/// How frames of one direction are addressed.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Source hardware address.
    pub source: Mac,
    /// Next hop of IPv4 and of IPv6.
    pub next_hops: [Mac; 2],
    /// The VLAN of the port, where it is tagged.
    pub vlan: Option<u16>,
}

/// The link headers and the key of a phase.
#[derive(Clone, Debug)]
pub struct Composer {
    links: [[Link; 2]; 2], // by direction and family
    key: Key,
}

/// A link header ready to be copied.
#[derive(Clone, Copy, Debug)]
struct Link {
    octets: [u8; ETHERNET + TAG],
    len: usize,
}

impl Composer {
    /// `routes` are by [`Direction`].
    pub fn new(routes: [Route; 2], key: Key) -> Self {
        let links =
            routes.map(|route| [Family::V4, Family::V6].map(|family| Link::new(&route, family)));
        Self { links, key }
    }

    /// FCS less the tag: what makes the octets of a buffer those of an untagged frame with FCS. Never negative:
    /// a tag is as long as an FCS.
    #[inline]
    pub fn overhead(&self, direction: Direction) -> usize {
        FCS + ETHERNET - self.links[direction as usize][0].len
    }

    /// Octets of the next frame of a flow, without FCS.
    #[inline]
    pub fn frame_len(&self, flows: &Flows, index: u32, direction: Direction) -> usize {
        let stream = flows.stream_of(index);
        let seq = flows.flow(index).map_or(0, |flow| flow.made(direction));
        let link = self.links[direction as usize][stream.family as usize].len;
        link + usize::from(stream.length(index, seq))
    }

    /// Writes the next frame of a flow, stamped with `now` (ns); false, and nothing written, when
    /// the external endpoint is not known or `into` has not [`frame_len`](Self::frame_len) octets.
    #[inline]
    pub fn write(
        &self,
        flows: &mut Flows,
        index: u32,
        direction: Direction,
        kind: Kind,
        now: u64,
        into: &mut [u8],
    ) -> bool {
        let Some(endpoints) = flows.sent(index, direction) else { return false };
        if into.len() != self.frame_len(flows, index, direction) {
            return false;
        }
        let checksum = match kind {
            Kind::Data => None,
            _ => Some(flows.l4_checksum(index, direction, kind)),
        };
        let Some(flow) = flows.flow_mut(index) else { return false };
        let seq = flow.take_seq(direction);
        let flow = *flow;
        let checksum = checksum.unwrap_or(flow.l4_checksum[direction as usize]);
        let stream = flows.stream_of(index);
        let link = &self.links[direction as usize][stream.family as usize];
        let (header, packet) = into.split_at_mut(link.len);
        header.copy_from_slice(&link.octets[..link.len]);
        let network = stream.family.header_len();
        let length = packet.len() as u16;
        let (ip, l4) = packet.split_at_mut(network);
        match stream.family {
            Family::V4 => {
                let Some(ip) = ip.first_chunk_mut() else { return false };
                write_v4(&flow, stream.protocol, direction, endpoints, length, ip);
            }
            Family::V6 => {
                let Some(ip) = ip.first_chunk_mut() else { return false };
                write_v6(&flow, stream.protocol, endpoints, length, ip);
            }
        }
        let l4_len = l4.len() as u16;
        let (header, payload) = l4.split_at_mut(stream.protocol.header_len());
        write_transport(&flow, stream, direction, kind, endpoints, (l4_len, checksum), header);
        let Some((pattern, trailer)) = payload.split_last_chunk_mut::<LEN>() else { return false };
        fill(flow.pattern, pattern);
        let flow_word = if direction == Direction::Inward { index | INWARD } else { index };
        let ts = crate::trailer::ticks(now);
        let sum = flow.trailer_sum(stream.protocol, stream.family, pattern.len(), l4_len);
        self.key.write(Trailer { flow: flow_word, seq, ts }, sum, trailer);
        true
    }

    /// Stamps a frame that was written before with a new time.
    pub fn restamp(&self, flows: &Flows, now: u64, frame: &mut [u8]) {
        let Some((rest, octets)) = frame.split_last_chunk_mut::<LEN>() else { return };
        let (_, written) = self.key.read(octets);
        let index = written.flow & !INWARD;
        let Some(flow) = flows.flow(index) else { return };
        let direction =
            if written.flow & INWARD == 0 { Direction::Outward } else { Direction::Inward };
        let stream = flows.stream_of(index);
        let link = self.links[direction as usize][stream.family as usize].len;
        let Some(pattern) = rest.len().checked_sub(link + stream.overhead()) else { return };
        let l4 = (pattern + LEN + stream.protocol.header_len()) as u16;
        let sum = flow.trailer_sum(stream.protocol, stream.family, pattern, l4);
        let trailer = Trailer { ts: crate::trailer::ticks(now), ..written };
        self.key.write(trailer, sum, octets);
    }
}

impl Link {
    fn new(route: &Route, family: Family) -> Self {
        let mut octets = [0; ETHERNET + TAG];
        octets[..6].copy_from_slice(&route.next_hops[family as usize]);
        octets[6..12].copy_from_slice(&route.source);
        let ethertype: u16 = match family {
            Family::V4 => 0x0800,
            Family::V6 => 0x86dd,
        };
        let at = if let Some(vlan) = route.vlan {
            octets[12..14].copy_from_slice(&0x8100_u16.to_be_bytes());
            octets[14..16].copy_from_slice(&vlan.to_be_bytes());
            16
        } else {
            12
        };
        octets[at..at + 2].copy_from_slice(&ethertype.to_be_bytes());
        Self { octets, len: at + 2 }
    }
}

#[inline]
fn write_v4(
    flow: &Flow,
    protocol: Protocol,
    direction: Direction,
    (source, destination): (Endpoint, Endpoint),
    length: u16,
    ip: &mut [u8; 20],
) {
    let sum = Sum::default().word(flow.ip_sum[direction as usize]).word(length);
    ip[0] = 0x45;
    ip[1] = TRAFFIC_CLASS;
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip[4..6].copy_from_slice(&flow.identification.to_be_bytes());
    ip[6..8].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
    ip[8] = TTL;
    ip[9] = protocol.number(Family::V4);
    ip[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
    ip[12..16].copy_from_slice(&source.address.low().to_be_bytes());
    ip[16..20].copy_from_slice(&destination.address.low().to_be_bytes());
}

#[inline]
fn write_v6(
    flow: &Flow,
    protocol: Protocol,
    (source, destination): (Endpoint, Endpoint),
    length: u16,
    ip: &mut [u8; 40],
) {
    let first = 6 << 28 | u32::from(TRAFFIC_CLASS) << 20 | u32::from(flow.identification);
    ip[0..4].copy_from_slice(&first.to_be_bytes());
    ip[4..6].copy_from_slice(&(length - 40).to_be_bytes());
    ip[6] = protocol.number(Family::V6);
    ip[7] = TTL;
    ip[8..24].copy_from_slice(&source.address.octets());
    ip[24..40].copy_from_slice(&destination.address.octets());
}

#[inline]
fn write_transport(
    flow: &Flow,
    stream: &Stream,
    direction: Direction,
    kind: Kind,
    (source, destination): (Endpoint, Endpoint),
    (length, checksum): (u16, u16),
    header: &mut [u8],
) {
    let checksum = checksum.to_be_bytes();
    match stream.protocol {
        Protocol::Icmp => {
            let Some(header) = header.first_chunk_mut::<8>() else { return };
            header[0] = echo_type(stream.family, direction == stream.initiator);
            header[1] = 0;
            header[2..4].copy_from_slice(&checksum);
            header[4..6].copy_from_slice(&source.port.max(destination.port).to_be_bytes());
            header[6..8].copy_from_slice(&ECHO_SEQUENCE.to_be_bytes());
        }
        Protocol::Tcp => {
            let Some(header) = header.first_chunk_mut::<20>() else { return };
            let (flags, seq, ack) = flow.tcp(direction, kind);
            header[0..2].copy_from_slice(&source.port.to_be_bytes());
            header[2..4].copy_from_slice(&destination.port.to_be_bytes());
            header[4..8].copy_from_slice(&seq.to_be_bytes());
            header[8..12].copy_from_slice(&ack.to_be_bytes());
            header[12..14].copy_from_slice(&(DATA_OFFSET | u16::from(flags)).to_be_bytes());
            header[14..16].copy_from_slice(&WINDOW.to_be_bytes());
            header[16..18].copy_from_slice(&checksum);
            header[18..20].fill(0);
        }
        Protocol::Udp => {
            let Some(header) = header.first_chunk_mut::<8>() else { return };
            header[0..2].copy_from_slice(&source.port.to_be_bytes());
            header[2..4].copy_from_slice(&destination.port.to_be_bytes());
            header[4..6].copy_from_slice(&length.to_be_bytes());
            header[6..8].copy_from_slice(&checksum);
        }
    }
}

/// Octets of an 802.1Q tag.
const TAG: usize = 4;

#[cfg(test)]
mod tests;
