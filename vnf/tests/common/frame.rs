//! Frames as they come out of a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

/// A frame that the VNF transmitted.
#[derive(Clone, Eq, PartialEq)]
pub struct Frame(pub Vec<u8>);

impl Frame {
    /// The source endpoint; of ICMP queries the identifier is the port.
    pub fn source(&self) -> SocketAddr {
        self.endpoints().0
    }

    /// The destination endpoint, likewise.
    pub fn destination(&self) -> SocketAddr {
        self.endpoints().1
    }

    fn endpoints(&self) -> (SocketAddr, SocketAddr) {
        let packet = SlicedPacket::from_ethernet(&self.0).expect("a well-formed packet");
        let (source, destination): (IpAddr, IpAddr) = match packet.net.expect("an IP packet") {
            NetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            NetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            NetSlice::Arp(_) => panic!("an ARP message has no endpoints"),
        };
        let id = |word: [u8; 4]| u16::from_be_bytes([word[0], word[1]]);
        let ports = match packet.transport {
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
            Some(TransportSlice::Icmpv4(icmp)) => (id(icmp.bytes5to8()), id(icmp.bytes5to8())),
            Some(TransportSlice::Icmpv6(icmp)) => (id(icmp.bytes5to8()), id(icmp.bytes5to8())),
            _ => (0, 0),
        };
        (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1))
    }

    /// The frame without the zeros that fill it to the shortest one, if these octets are all it should hold.
    pub fn is(&self, expected: &[u8]) -> bool {
        let padding = self.0.get(expected.len()..);
        self.0.starts_with(expected)
            && padding.is_some_and(|zeros| {
                zeros.is_empty() || self.0.len() == 60 && zeros.iter().all(|octet| *octet == 0)
            })
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.chunks(16).map(|line| {
            line.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" ")
        });
        writeln!(f, "{} octets:\n    {}", self.0.len(), lines.collect::<Vec<_>>().join("\n    "))?;
        match SlicedPacket::from_ethernet(&self.0) {
            Ok(packet) => {
                match packet.net {
                    Some(NetSlice::Ipv4(ip)) => writeln!(f, "    {:?}", ip.header().to_header())?,
                    Some(NetSlice::Ipv6(ip)) => writeln!(f, "    {:?}", ip.header().to_header())?,
                    other => writeln!(f, "    {other:?}")?,
                }
                match packet.transport {
                    Some(TransportSlice::Tcp(tcp)) => write!(f, "    {:?}", tcp.to_header()),
                    Some(TransportSlice::Udp(udp)) => write!(f, "    {:?}", udp.to_header()),
                    Some(TransportSlice::Icmpv4(icmp)) => write!(f, "    {:?}", icmp.header()),
                    Some(TransportSlice::Icmpv6(icmp)) => write!(f, "    {:?}", icmp.header()),
                    _ => Ok(()),
                }
            }
            Err(error) => write!(f, "    {error}"),
        }
    }
}

/// The MAC address of a host in these tests.
pub fn mac_of(address: IpAddr) -> [u8; 6] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [2, 4, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [2, 6, a, b, c, d]
        }
    }
}
