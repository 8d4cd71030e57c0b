//! What every frame of a run looks like: UDP in IPv4 in Ethernet, of one size.

use std::net::SocketAddrV4;
use std::ops::Range;

use super::{Direction, Flow};
use crate::checksum::Sum;
use crate::frame::{ETHERNET, FCS, IPV4, UDP};
use crate::trailer;

/// The size of a frame and what follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    len: usize,
}

impl Shape {
    /// Frames of `size` octets with FCS; `None` below 64 and above 9216.
    pub fn new(size: usize) -> Option<Self> {
        (MIN_SIZE..=MAX_SIZE).contains(&size).then_some(Self { len: size - FCS })
    }

    /// Octets in a buffer, without FCS.
    pub fn buffer_len(self) -> usize {
        self.len
    }

    /// Octets of an L2 frame, with FCS.
    pub fn size(self) -> usize {
        self.len + FCS
    }

    /// IPv4 total length.
    pub fn total_length(self) -> u16 {
        (self.len - ETHERNET) as u16
    }

    /// UDP length.
    pub fn udp_length(self) -> u16 {
        (self.len - ETHERNET - IPV4) as u16
    }

    /// Where in the buffer the pattern lies, between the UDP header and the trailer.
    pub fn pattern(self) -> Range<usize> {
        HEADERS..self.len - trailer::LEN
    }

    /// Works the checksums of one direction out; those of a flow stay the same for every packet.
    pub(super) fn seal(self, flow: &mut Flow, direction: Direction) {
        let Some((source, destination)) = flow.sent(direction) else { return };
        let header = ipv4_header(self, flow, source, destination);
        flow.ip_checksum[direction as usize] = Sum::default().bytes(&header).checksum();
        let mut payload = vec![0; self.pattern().len() + trailer::LEN];
        let (pattern, trailer) = payload.split_at_mut(self.pattern().len());
        fill(flow.pattern, pattern);
        trailer[..2].copy_from_slice(&flow.constant().to_be_bytes());
        let sum = Sum::default()
            .pseudo_header_v4(&header[12..20], PROTOCOL_UDP, self.udp_length())
            .word(source.port())
            .word(destination.port())
            .word(self.udp_length())
            .bytes(&payload);
        flow.udp_checksum[direction as usize] = sum.udp_checksum();
    }
}

/// The IPv4 header of a flow's frames, with a checksum of 0.
pub(crate) fn ipv4_header(
    shape: Shape,
    flow: &Flow,
    source: SocketAddrV4,
    destination: SocketAddrV4,
) -> [u8; IPV4] {
    let mut header = [0; IPV4];
    header[0] = 0x45;
    header[1] = TRAFFIC_CLASS;
    header[2..4].copy_from_slice(&shape.total_length().to_be_bytes());
    header[4..6].copy_from_slice(&flow.identification.to_be_bytes());
    header[6..8].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
    header[8] = TTL;
    header[9] = PROTOCOL_UDP;
    header[12..16].copy_from_slice(&source.ip().octets());
    header[16..20].copy_from_slice(&destination.ip().octets());
    header
}

/// Writes a pattern over and over.
pub(crate) fn fill(pattern: u64, into: &mut [u8]) {
    let octets = pattern.to_be_bytes();
    let (words, rest) = into.as_chunks_mut();
    words.fill(octets);
    rest.copy_from_slice(&octets[..rest.len()]);
}

/// Whether the bytes are what [`fill`] writes.
pub(crate) fn is_filled(pattern: u64, bytes: &[u8]) -> bool {
    let octets = pattern.to_be_bytes();
    let (words, rest) = bytes.as_chunks();
    words.iter().all(|word| *word == octets) && rest == &octets[..rest.len()]
}

/// Octets before the payload.
pub const HEADERS: usize = ETHERNET + IPV4 + UDP;
/// TTL as sent.
pub(crate) const TTL: u8 = 64;
/// DSCP AF11, so that a path that clears it is noticed; not ECN-capable.
pub(crate) const TRAFFIC_CLASS: u8 = 10 << 2;
/// Flags and fragment offset as sent.
pub(crate) const DONT_FRAGMENT: u16 = 0x4000;
pub(crate) const PROTOCOL_UDP: u8 = 17;
const MIN_SIZE: usize = 64;
const MAX_SIZE: usize = 9216;
const _: () =
    assert!(MIN_SIZE - FCS - HEADERS == trailer::LEN, "the smallest frame is all trailer");
