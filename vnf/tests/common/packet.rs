//! Packets as tests describe them, put on the wire by etherparse: an oracle that shares no code with the VNF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, SingleVlanHeader,
    TcpHeader, UdpHeader, VlanId,
};

use super::frame::mac_of;

/// One IP packet. What a test does not say has a usual value.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub upper: Upper,
    pub payload: Vec<u8>,
    pub ttl: Option<u8>,
    pub traffic_class: u8,
    pub id: u16,
    pub dont_fragment: bool,
    pub more_fragments: bool,
    /// In units of eight octets.
    pub fragment_offset: u16,
    pub options: Vec<u8>,
    pub checksum: Checksum,
    /// Destination and source.
    pub macs: Option<([u8; 6], [u8; 6])>,
    pub vlan: Option<u16>,
}

/// What follows the IP header.
#[derive(Clone, Debug, PartialEq)]
pub enum Upper {
    Echo { reply: bool, id: u16, sequence: u16 },
    Icmp { kind: u8, code: u8, word: [u8; 4] },
    Other(u8),
    Tcp { ports: (u16, u16), flags: &'static str, sequence: u32, acknowledgment: u32 },
    Udp { ports: (u16, u16) },
}

/// What stands in the checksum field of the transport header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Checksum {
    Right,
    /// The right one plus this, in ones' complement.
    WrongBy(u16),
    /// Zero: a UDP datagram without one.
    Zero,
}

/// A UDP datagram between two endpoints, written `10.0.0.2:5000` or `[fd00::2]:5000`.
pub fn udp(source: impl Endpoint, destination: impl Endpoint) -> Packet {
    let (source, destination) = (source.endpoint(), destination.endpoint());
    let upper = Upper::Udp { ports: (source.port(), destination.port()) };
    Packet::new(source.ip(), destination.ip(), upper, b"a question")
}

/// A TCP segment with these flags, letters of `SAFRPU`.
pub fn tcp(source: impl Endpoint, destination: impl Endpoint, flags: &'static str) -> Packet {
    let (source, destination) = (source.endpoint(), destination.endpoint());
    let ports = (source.port(), destination.port());
    let upper = Upper::Tcp { ports, flags, sequence: 1000, acknowledgment: 2000 };
    Packet::new(source.ip(), destination.ip(), upper, b"")
}

/// An echo request; the query identifier stands in the place of the source's port.
pub fn ping(source: impl Endpoint, destination: &str) -> Packet {
    let source = source.endpoint();
    let upper = Upper::Echo { reply: false, id: source.port(), sequence: 7 };
    Packet::new(source.ip(), address(destination), upper, b"abcdefghijklmnopqrstuvwabcdefghi")
}

/// A packet of another protocol, or a later fragment: octets after an IP header.
pub fn ip(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Packet {
    Packet::new(address(source), address(destination), Upper::Other(protocol), payload)
}

/// An ICMP or ICMPv6 error that quotes the first octets of a packet.
pub fn icmp_error(source: &str, kind: u8, code: u8, about: &Packet) -> Packet {
    let quoted = about.octets(64);
    let upper = Upper::Icmp { kind, code, word: [0; 4] };
    Packet::new(address(source), about.source, upper, &quoted[..quoted.len().min(548)])
}

/// An error that a router makes of the VNF's own accord.
pub fn icmp_error_from_vnf(source: &str, kind: u8, code: u8, about: &Packet) -> Packet {
    Packet {
        ttl: Some(64),
        traffic_class: if about.source.is_ipv4() { 0xc0 } else { 0 },
        dont_fragment: about.source.is_ipv4(),
        id: 0,
        ..icmp_error(source, kind, code, about)
    }
}

impl Packet {
    fn new(source: IpAddr, destination: IpAddr, upper: Upper, payload: &[u8]) -> Self {
        Self {
            source,
            destination,
            upper,
            payload: payload.to_vec(),
            ttl: None,
            traffic_class: 0,
            id: 0x1234,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            options: Vec::new(),
            checksum: Checksum::Right,
            macs: None,
            vlan: None,
        }
    }

    /// With another source; the port is the identifier of an echo request.
    pub fn from(&self, source: impl Endpoint) -> Self {
        let source = source.endpoint();
        let mut packet = Self { source: source.ip(), ..self.clone() };
        match &mut packet.upper {
            Upper::Tcp { ports, .. } | Upper::Udp { ports } => ports.0 = source.port(),
            Upper::Echo { id, .. } => *id = source.port(),
            _ => {}
        }
        packet
    }

    /// With another destination; the port is the identifier of an echo reply.
    pub fn to(&self, destination: impl Endpoint) -> Self {
        let destination = destination.endpoint();
        let mut packet = Self { destination: destination.ip(), ..self.clone() };
        match &mut packet.upper {
            Upper::Tcp { ports, .. } | Upper::Udp { ports } => ports.1 = destination.port(),
            Upper::Echo { id, .. } => *id = destination.port(),
            _ => {}
        }
        packet
    }

    /// The same between two other addresses; ports stay.
    pub fn between(&self, source: &str, destination: &str) -> Self {
        Self { source: address(source), destination: address(destination), ..self.clone() }
    }

    /// The source as an endpoint.
    pub fn source(&self) -> SocketAddr {
        let port = match self.upper {
            Upper::Tcp { ports, .. } | Upper::Udp { ports } => ports.0,
            Upper::Echo { id, .. } => id,
            _ => 0,
        };
        SocketAddr::new(self.source, port)
    }

    /// The destination as an endpoint.
    pub fn destination(&self) -> SocketAddr {
        let port = match self.upper {
            Upper::Tcp { ports, .. } | Upper::Udp { ports } => ports.1,
            Upper::Echo { id, .. } => id,
            _ => 0,
        };
        SocketAddr::new(self.destination, port)
    }

    /// What the receiver answers: an echo reply, a SYN with an ACK, or the like the other way round.
    pub fn reply(&self) -> Self {
        let upper = match self.upper.clone() {
            Upper::Echo { reply, id, sequence } => Upper::Echo { reply: !reply, id, sequence },
            Upper::Tcp { ports, flags, sequence, acknowledgment } => Upper::Tcp {
                ports: (ports.1, ports.0),
                flags: if flags == "S" { "SA" } else { flags },
                sequence: acknowledgment,
                acknowledgment: sequence + 1,
            },
            Upper::Udp { ports } => Upper::Udp { ports: (ports.1, ports.0) },
            other => other,
        };
        Self { source: self.destination, destination: self.source, upper, ..self.clone() }
    }

    /// With other TCP flags.
    pub fn flags(&self, new: &'static str) -> Self {
        let mut packet = self.clone();
        if let Upper::Tcp { flags, .. } = &mut packet.upper {
            *flags = new;
        }
        packet
    }

    pub fn ttl(&self, ttl: u8) -> Self {
        Self { ttl: Some(ttl), ..self.clone() }
    }

    pub fn payload(&self, payload: &[u8]) -> Self {
        Self { payload: payload.to_vec(), ..self.clone() }
    }

    pub fn checksum(&self, checksum: Checksum) -> Self {
        Self { checksum, ..self.clone() }
    }

    pub fn dont_fragment(&self) -> Self {
        Self { dont_fragment: true, ..self.clone() }
    }

    pub fn vlan(&self, vlan: u16) -> Self {
        Self { vlan: Some(vlan), ..self.clone() }
    }

    /// With these MAC addresses: destination, source.
    pub fn macs(&self, destination: [u8; 6], source: [u8; 6]) -> Self {
        Self { macs: Some((destination, source)), ..self.clone() }
    }

    /// With the second word of an ICMP error.
    pub fn word(&self, new: [u8; 4]) -> Self {
        let mut packet = self.clone();
        if let Upper::Icmp { word, .. } = &mut packet.upper {
            *word = new;
        }
        packet
    }

    /// The whole frame; `default_macs` (destination, source) and `default_ttl` where the packet has none of its own.
    pub fn frame(&self, default_macs: ([u8; 6], [u8; 6]), default_ttl: u8) -> Vec<u8> {
        let (destination, source) = self.macs.unwrap_or(default_macs);
        let inner = if self.source.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
        let ether_type = if self.vlan.is_some() { EtherType::VLAN_TAGGED_FRAME } else { inner };
        let mut frame = Ethernet2Header { source, destination, ether_type }.to_bytes().to_vec();
        if let Some(vlan) = self.vlan {
            let tag = SingleVlanHeader {
                vlan_id: VlanId::try_new(vlan).expect("a VLAN identifier"),
                ether_type: inner,
                ..SingleVlanHeader::default()
            };
            frame.extend(tag.to_bytes());
        }
        frame.extend(self.octets(default_ttl));
        frame
    }

    /// The IP packet.
    pub fn octets(&self, default_ttl: u8) -> Vec<u8> {
        let upper = self.upper_octets();
        let ttl = self.ttl.unwrap_or(default_ttl);
        let protocol = IpNumber(self.protocol());
        let mut octets = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header {
                    dscp: (self.traffic_class >> 2).try_into().expect("six bits"),
                    ecn: (self.traffic_class & 3).try_into().expect("two bits"),
                    identification: self.id,
                    dont_fragment: self.dont_fragment,
                    more_fragments: self.more_fragments,
                    fragment_offset: IpFragOffset::try_new(self.fragment_offset)
                        .expect("thirteen bits"),
                    time_to_live: ttl,
                    protocol,
                    source: source.octets(),
                    destination: destination.octets(),
                    options: self.options[..].try_into().expect("options of whole words"),
                    ..Ipv4Header::default()
                };
                header.set_payload_len(upper.len()).expect("a packet of at most 65,535 octets");
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ipv6Header {
                traffic_class: self.traffic_class,
                payload_length: upper.len() as u16,
                next_header: protocol,
                hop_limit: ttl,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            }
            .to_bytes()
            .to_vec(),
            _ => panic!("one packet, one family"),
        };
        octets.extend(upper);
        octets
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        let icmp = if self.source.is_ipv4() { 1 } else { 58 };
        match self.upper {
            Upper::Echo { .. } | Upper::Icmp { .. } => icmp,
            Upper::Other(number) => number,
            Upper::Tcp { .. } => 6,
            Upper::Udp { .. } => 17,
        }
    }

    fn upper_octets(&self) -> Vec<u8> {
        let (mut octets, checksum_at) = match &self.upper {
            Upper::Echo { reply, id, sequence } => {
                let kind = match (self.source.is_ipv4(), reply) {
                    (true, true) => 0,
                    (true, false) => 8,
                    (false, true) => 129,
                    (false, false) => 128,
                };
                let ([a, b], [c, d]) = (id.to_be_bytes(), sequence.to_be_bytes());
                (vec![kind, 0, 0, 0, a, b, c, d], Some(2))
            }
            Upper::Icmp { kind, code, word: [a, b, c, d] } => {
                (vec![*kind, *code, 0, 0, *a, *b, *c, *d], Some(2))
            }
            Upper::Other(_) => (Vec::new(), None),
            Upper::Tcp { ports, flags, sequence, acknowledgment } => {
                let window = if flags.contains('R') { 0 } else { 8192 };
                let mut header = TcpHeader::new(ports.0, ports.1, *sequence, window);
                header.syn = flags.contains('S');
                header.ack = flags.contains('A');
                header.fin = flags.contains('F');
                header.rst = flags.contains('R');
                header.psh = flags.contains('P');
                header.urg = flags.contains('U');
                header.acknowledgment_number = *acknowledgment;
                (header.to_bytes().to_vec(), Some(16))
            }
            Upper::Udp { ports } => {
                let header = UdpHeader {
                    source_port: ports.0,
                    destination_port: ports.1,
                    length: (8 + self.payload.len()) as u16,
                    checksum: 0,
                };
                (header.to_bytes().to_vec(), Some(6))
            }
        };
        octets.extend(&self.payload);
        if let Some(at) = checksum_at {
            let field = self.checksum_over(&octets);
            octets[at..at + 2].copy_from_slice(&field.to_be_bytes());
        }
        octets
    }

    fn checksum_over(&self, upper: &[u8]) -> u16 {
        let pseudo = match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) if self.protocol() == 1 => Sum16BitWords::new(),
            (IpAddr::V4(source), IpAddr::V4(destination)) => Sum16BitWords::new()
                .add_4bytes(source.octets())
                .add_4bytes(destination.octets())
                .add_2bytes([0, self.protocol()])
                .add_2bytes((upper.len() as u16).to_be_bytes()),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Sum16BitWords::new()
                .add_16bytes(source.octets())
                .add_16bytes(destination.octets())
                .add_2bytes([0, self.protocol()])
                .add_4bytes((upper.len() as u32).to_be_bytes()),
            _ => panic!("one packet, one family"),
        };
        // etherparse folds in the machine's byte order.
        let right = pseudo.add_slice(upper).ones_complement().to_be();
        let right = if self.protocol() == 17 && right == 0 { 0xffff } else { right };
        match self.checksum {
            Checksum::Right => right,
            Checksum::WrongBy(delta) => {
                let (sum, carry) = right.overflowing_add(delta);
                sum + u16::from(carry)
            }
            Checksum::Zero => 0,
        }
    }
}

/// Something that names an endpoint.
pub trait Endpoint {
    fn endpoint(&self) -> SocketAddr;
}

impl Endpoint for &str {
    fn endpoint(&self) -> SocketAddr {
        self.parse().unwrap_or_else(|_| SocketAddr::new(address(self), 0))
    }
}

impl Endpoint for String {
    fn endpoint(&self) -> SocketAddr {
        self.as_str().endpoint()
    }
}

impl Endpoint for SocketAddr {
    fn endpoint(&self) -> SocketAddr {
        *self
    }
}

impl Endpoint for (u32, u16) {
    fn endpoint(&self) -> SocketAddr {
        (Ipv4Addr::from(self.0), self.1).into()
    }
}

/// An address in words.
pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no address"))
}

/// An ARP request or reply, in a frame to `destination` from the sender.
pub fn arp(
    operation: u16,
    destination: [u8; 6],
    (sender_mac, sender): ([u8; 6], &str),
    (target_mac, target): ([u8; 6], &str),
) -> Vec<u8> {
    let v4 = |text: &str| text.parse::<Ipv4Addr>().expect("an IPv4 address").octets();
    let header = Ethernet2Header { source: sender_mac, destination, ether_type: EtherType::ARP };
    let mut frame = header.to_bytes().to_vec();
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(sender_mac);
    frame.extend(v4(sender));
    frame.extend(target_mac);
    frame.extend(v4(target));
    frame
}

/// What a host on the link broadcasts to learn who has an address.
pub fn arp_request(sender: &str, target: &str) -> Vec<u8> {
    arp(1, [0xff; 6], (mac_of(address(sender)), sender), ([0; 6], target))
}

/// The IPv6 address of this text.
pub fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no IPv6 address"))
}
