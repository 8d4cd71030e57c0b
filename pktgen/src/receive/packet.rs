//! What the checks look at in an arriving packet.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::checksum::Sum;
use crate::flow::PROTOCOL_UDP;
use crate::frame::IPV4;

/// The parts of a UDP/IPv4 frame that checks look at.
pub(super) struct Packet<'a> {
    pub(super) ip: &'a [u8],
    pub(super) options: bool,
    pub(super) datagram: &'a [u8],
    pub(super) source: SocketAddrV4,
    pub(super) destination: SocketAddrV4,
}

impl<'a> Packet<'a> {
    /// A first or only fragment of a UDP/IPv4 packet whose headers are all there.
    pub(super) fn parse(ip: &'a [u8]) -> Option<Self> {
        let header = ip.first_chunk::<IPV4>()?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 4 != 4 || header_len < IPV4 || header[9] != PROTOCOL_UDP {
            return None;
        }
        if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
            return None;
        }
        let (ip, datagram) = ip.split_at_checked(header_len)?;
        let ports = datagram.first_chunk::<8>()?;
        let endpoint = |at: usize, port: usize| {
            let address = Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
            SocketAddrV4::new(address, u16::from_be_bytes([ports[port], ports[port + 1]]))
        };
        let (source, destination) = (endpoint(12, 0), endpoint(16, 2));
        Some(Self { ip, options: header_len > IPV4, datagram, source, destination })
    }

    pub(super) fn header_is_intact(&self) -> bool {
        Sum::default().bytes(self.ip).is_intact()
    }

    /// Whether octets are missing that the UDP length promises.
    pub(super) fn is_cut(&self) -> bool {
        self.datagram.len() < usize::from(self.lengths().1)
    }

    /// Whether the UDP checksum is there and right.
    pub(super) fn is_intact(&self) -> bool {
        let (_, len) = self.lengths();
        let Some(covered) = self.datagram.get(..usize::from(len)) else { return false };
        let sum = Sum::default().pseudo_header_v4(&self.ip[12..20], PROTOCOL_UDP, len);
        covered.get(6..8).is_some_and(|field| field != [0, 0]) && sum.bytes(covered).is_intact()
    }

    /// IPv4 total length, less what options add, and UDP length.
    pub(super) fn lengths(&self) -> (u16, u16) {
        let options = (self.ip.len() - IPV4) as u16;
        let total = u16::from_be_bytes([self.ip[2], self.ip[3]]).wrapping_sub(options);
        (total, u16::from_be_bytes([self.datagram[4], self.datagram[5]]))
    }
}

/// Whether this is a ping to one of our own addresses.
pub(super) fn is_echo_request(ip: &[u8], own: impl Fn(Ipv4Addr) -> bool) -> bool {
    match ip {
        [0x45, _, _, _, _, _, _, _, _, 1, _, _, _, _, _, _, a, b, c, d, 8, ..] => {
            own(Ipv4Addr::new(*a, *b, *c, *d))
        }
        _ => false,
    }
}
