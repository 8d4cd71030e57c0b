//! What the checks look at in an arriving packet.

use crate::checksum::Sum;
use crate::endpoint::{Address, Endpoint, Family};
use crate::flow::{Direction, Protocol};
use crate::trailer;

/// The parts of a UDP, TCP or ICMP echo packet that checks look at.
pub(super) struct Packet<'a> {
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    /// The IP header, options included.
    pub(super) ip: &'a [u8],
    /// Whether there are IPv4 options.
    pub(super) options: bool,
    /// Everything behind the IP header, padding included.
    pub(super) l4: &'a [u8],
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    ip_len: usize, // octets behind the IP header, as the header says it
}

impl<'a> Packet<'a> {
    /// A first or only fragment of a packet of ours whose headers are all there; the identifier of an echo message
    /// stands for the inside's port in `direction`.
    #[inline]
    pub(super) fn parse(family: Family, ip: &'a [u8], direction: Direction) -> Option<Self> {
        let (header_len, number, ip_len) = match family {
            Family::V4 => {
                let header = ip.first_chunk::<20>()?;
                let header_len = usize::from(header[0] & 0x0f) * 4;
                let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
                if header[0] >> 4 != 4 || header_len < 20 || offset != 0 {
                    return None;
                }
                let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
                (header_len, header[9], total.saturating_sub(header_len))
            }
            Family::V6 => {
                let header = ip.first_chunk::<40>()?;
                if header[0] >> 4 != 6 {
                    return None;
                }
                (40, header[6], usize::from(u16::from_be_bytes([header[4], header[5]])))
            }
        };
        let (ip, l4) = ip.split_at_checked(header_len)?;
        let words = l4.first_chunk::<8>()?;
        let word = |at: usize| u16::from_be_bytes([words[at], words[at + 1]]);
        let (protocol, ports) = match (number, family) {
            (17, _) => (Protocol::Udp, (word(0), word(2))),
            (6, _) if l4.len() >= 20 => (Protocol::Tcp, (word(0), word(2))),
            (1, Family::V4) if matches!(words[0], 0 | 8) => {
                (Protocol::Icmp, identifier(word(4), direction))
            }
            (58, Family::V6) if matches!(words[0], 128 | 129) => {
                (Protocol::Icmp, identifier(word(4), direction))
            }
            _ => return None,
        };
        let (source, destination) = match family {
            Family::V4 => {
                let addresses = ip.get(12..)?.first_chunk::<8>()?;
                let [a, b, c, d, e, f, g, h] = *addresses;
                (
                    Address::v4(u32::from_be_bytes([a, b, c, d])),
                    Address::v4(u32::from_be_bytes([e, f, g, h])),
                )
            }
            Family::V6 => (
                Address::v6(*ip.get(8..)?.first_chunk()?),
                Address::v6(*ip.get(24..)?.first_chunk()?),
            ),
        };
        Some(Self {
            family,
            protocol,
            ip,
            options: header_len > family.header_len(),
            l4,
            source: Endpoint::new(source, ports.0),
            destination: Endpoint::new(destination, ports.1),
            ip_len,
        })
    }

    #[inline]
    pub(super) fn header_is_intact(&self) -> bool {
        self.family == Family::V6 || Sum::default().bytes(self.ip).is_intact()
    }

    /// Whether octets are missing that a header promises.
    pub(super) fn is_cut(&self) -> bool {
        self.l4.len() < self.ip_len.max(self.datagram_len())
    }

    /// What the L4 checksum covers; `None` where octets are missing.
    #[inline]
    pub(super) fn datagram(&self) -> Option<&'a [u8]> {
        self.l4.get(..self.datagram_len())
    }

    /// The last octets of the payload, if it can hold a trailer, and where the pattern before them lies.
    #[inline]
    pub(super) fn payload(&self) -> Option<(&'a [u8], &'a [u8; trailer::LEN])> {
        self.datagram()?.get(self.protocol.header_len()..)?.split_last_chunk()
    }

    /// Whether the L4 checksum is there and right.
    #[inline]
    pub(super) fn is_intact(&self) -> bool {
        let Some(covered) = self.datagram() else { return false };
        let sum = Sum::default().bytes(covered);
        let pseudo = |sum: Sum| {
            let addresses = match self.family {
                Family::V4 => &self.ip[12..20],
                Family::V6 => &self.ip[8..40],
            };
            let number = self.protocol.number(self.family);
            sum.bytes(addresses).word(covered.len() as u16).word(u16::from(number))
        };
        match (self.protocol, self.family) {
            (Protocol::Icmp, Family::V4) => sum.is_intact(),
            (Protocol::Icmp, Family::V6) | (Protocol::Tcp, _) => pseudo(sum).is_intact(),
            (Protocol::Udp, _) => {
                covered.get(6..8).is_some_and(|field| field != [0, 0]) && pseudo(sum).is_intact()
            }
        }
    }

    /// Octets of the packet without IPv4 options, header included, when all headers agree about them.
    #[inline]
    pub(super) fn length(&self) -> Option<usize> {
        (self.datagram_len() == self.ip_len).then_some(self.family.header_len() + self.ip_len)
    }

    /// TTL or hop limit.
    #[inline]
    pub(super) fn ttl(&self) -> u8 {
        match self.family {
            Family::V4 => self.ip[8],
            Family::V6 => self.ip[7],
        }
    }

    #[inline]
    fn datagram_len(&self) -> usize {
        match self.protocol {
            Protocol::Udp => usize::from(u16::from_be_bytes([self.l4[4], self.l4[5]])),
            Protocol::Icmp | Protocol::Tcp => self.ip_len,
        }
    }
}

fn identifier(identifier: u16, direction: Direction) -> (u16, u16) {
    match direction {
        Direction::Inward => (0, identifier),
        Direction::Outward => (identifier, 0),
    }
}
