//! What a prober makes of an arriving frame.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::Serialize;

use super::Place;
use crate::checksum::Sum;
use crate::frame::{ETHERNET, IPV4, RST};

/// A transport protocol that NAT44 translates.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// ICMP queries (RFC 5508).
    Icmp,
    /// TCP (RFC 5382).
    Tcp,
    /// UDP (RFC 4787).
    Udp,
}

impl Protocol {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Icmp];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A frame that a prober knows.
#[derive(Clone, Debug)]
pub enum Arrived {
    /// An ICMP error, whoever sent it.
    Error(IcmpError),
    /// One of our probes.
    Probe(Packet),
    /// A TCP reset, whoever sent it.
    Reset {
        /// Where.
        place: Place,
        /// Source.
        source: SocketAddrV4,
        /// Destination.
        destination: SocketAddrV4,
    },
}

/// A probe as it arrived.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Where.
    pub place: Place,
    /// When, in nanoseconds.
    pub time: u64,
    /// The number it was sent with.
    pub number: u32,
    /// Source; an echo request's identifier stands in the port's place.
    pub source: SocketAddrV4,
    /// Destination; an echo reply's identifier stands in the port's place.
    pub destination: SocketAddrV4,
    /// TTL.
    pub ttl: u8,
    /// Whether both checksums are right.
    pub intact: bool,
    /// The packet from its IP header on, without Ethernet padding.
    pub octets: Vec<u8>,
}

/// An ICMP error as it arrived.
#[derive(Clone, Debug)]
pub struct IcmpError {
    /// Where.
    pub place: Place,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// ICMP type and code.
    pub kind: (u8, u8),
    /// The four octets after the checksum.
    pub rest: [u8; 4],
    /// Whether the checksums of IP and ICMP are right.
    pub intact: bool,
    /// The quoted packet.
    pub quote: Vec<u8>,
}

impl Arrived {
    /// A probe with this mark, or an ICMP error; `None` for anything else.
    pub(super) fn parse(place: Place, frame: &[u8], mark: u64, time: u64) -> Option<Self> {
        if frame.get(12..14)? != [8, 0] {
            return None;
        }
        let ip = frame.get(ETHERNET..)?;
        let header = ip.first_chunk::<IPV4>()?;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let header_len = usize::from(header[0] & 15) * 4;
        let octets = ip.get(..total)?;
        let body = octets.get(header_len.max(IPV4)..)?;
        let [source, destination] = addresses(header);
        let header_right = Sum::default().bytes(&octets[..header_len.max(IPV4)]).is_intact();
        let l4 = Sum::default().bytes(body);
        let pseudo = l4.pseudo_header_v4(&header[12..20], header[9], body.len() as u16);
        let word = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
        let (ports, payload, right) = match (header[9], *body.first()?) {
            (1, 0) => ((0, word(4)?), body.get(8..)?, l4.is_intact()),
            (1, 8) => ((word(4)?, 0), body.get(8..)?, l4.is_intact()),
            (1, kind) => {
                return Some(Self::Error(IcmpError {
                    place,
                    source,
                    destination,
                    kind: (kind, *body.get(1)?),
                    rest: *body.get(4..)?.first_chunk()?,
                    intact: header_right && l4.is_intact(),
                    quote: body.get(8..)?.to_vec(),
                }));
            }
            (6, _) if *body.get(13)? & RST != 0 => {
                return Some(Self::Reset {
                    place,
                    source: SocketAddrV4::new(source, word(0)?),
                    destination: SocketAddrV4::new(destination, word(2)?),
                });
            }
            (6, _) => {
                let offset = usize::from(*body.get(12)? >> 4) * 4;
                ((word(0)?, word(2)?), body.get(offset..)?, pseudo.is_intact())
            }
            (17, _) => {
                let right = word(6)? != 0 && pseudo.is_intact();
                ((word(0)?, word(2)?), body.get(8..)?, right)
            }
            _ => return None,
        };
        Some(Self::Probe(Packet {
            place,
            time,
            number: number(payload, mark)?,
            source: SocketAddrV4::new(source, ports.0),
            destination: SocketAddrV4::new(destination, ports.1),
            ttl: header[8],
            intact: header_right && right,
            octets: octets.to_vec(),
        }))
    }
}

/// Source and destination of an IPv4 header.
pub(crate) fn addresses(header: &[u8; IPV4]) -> [Ipv4Addr; 2] {
    [12, 16].map(|at| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]))
}

fn number(payload: &[u8], mark: u64) -> Option<u32> {
    let payload = payload.first_chunk::<16>()?;
    let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| payload[at + i]));
    let is_ours = payload[..8] == mark.to_be_bytes() && word(8) == !word(12);
    is_ours.then(|| word(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    #[test]
    fn every_kind_of_probe_is_recognised_and_damage_noticed() {
        let mark = 0x1234_5678_9abc_def0_u64;
        let payload = [&mark.to_be_bytes()[..], &7_u32.to_be_bytes(), &(!7_u32).to_be_bytes()];
        let payload = payload.concat();
        let (a, b): (SocketAddrV4, SocketAddrV4) =
            ("10.0.0.2:5000".parse().unwrap(), "198.51.100.2:7".parse().unwrap());
        for frame in [
            Frame::udp(a.into(), b.into()),
            Frame::tcp(a.into(), b.into(), 2),
            Frame::echo((*a.ip()).into(), (*b.ip()).into(), 5000, 1),
        ] {
            let mut octets = frame.payload(&payload).build();
            let Some(Arrived::Probe(packet)) = Arrived::parse(Place::Inside, &octets, mark, 9)
            else {
                panic!("no probe")
            };
            assert_eq!((packet.number, packet.intact, packet.ttl), (7, true, 64));
            assert_eq!((packet.source, *packet.destination.ip()), (a, *b.ip()));
            assert!(Arrived::parse(Place::Inside, &octets, mark ^ 1, 9).is_none());
            octets[22] = 63;
            let Some(Arrived::Probe(packet)) = Arrived::parse(Place::Inside, &octets, mark, 9)
            else {
                panic!("no probe")
            };
            assert!(!packet.intact, "the header checksum is no longer right");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120)) {
            let mut frame = vec![0; 14];
            frame[12] = 8;
            frame.extend(bytes);
            for protocol in [1, 6, 17] {
                if frame.len() > 23 {
                    frame[23] = protocol;
                }
                let _ = Arrived::parse(Place::Outside, &frame, 0, 0);
            }
        }
    }
}
