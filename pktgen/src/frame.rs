//! Whole frames with right checksums: Ethernet, 802.1Q, IPv4 or IPv6, then UDP, TCP or ICMP echo.
//!
//! For templates, tests and benchmarks; built once, so clarity goes before speed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::checksum::Sum;

/// A hardware address.
pub type Mac = [u8; 6];

/// The frame check sequence that a frame size counts and a buffer does not hold.
pub const FCS: usize = 4;
/// Octets of an untagged Ethernet header.
pub const ETHERNET: usize = 14;
/// Octets of an IPv4 header without options.
pub const IPV4: usize = 20;
/// Octets of a UDP header.
pub const UDP: usize = 8;

/// TCP's FIN flag.
pub const FIN: u8 = 0x01;
/// TCP's SYN flag.
pub const SYN: u8 = 0x02;
/// TCP's RST flag.
pub const RST: u8 = 0x04;
/// TCP's PSH flag.
pub const PSH: u8 = 0x08;
/// TCP's ACK flag.
pub const ACK: u8 = 0x10;

/// What a frame carries above IP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// An echo request or reply, ICMP or ICMPv6 by the addresses' family.
    Echo {
        /// The query identifier.
        identifier: u16,
        /// The sequence number.
        sequence: u16,
        /// Whether this is the reply.
        reply: bool,
    },
    /// A TCP segment without options.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Flag bits, e.g. [`SYN`] | [`ACK`].
        flags: u8,
        /// Sequence number.
        sequence: u32,
        /// Acknowledgment number.
        acknowledgment: u32,
        /// Receive window, unscaled.
        window: u16,
    },
    /// A UDP datagram.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
}

/// A frame described; [`build`](Self::build) makes its octets, without FCS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Sender's hardware address.
    pub source_mac: Mac,
    /// Receiver's hardware address.
    pub destination_mac: Mac,
    /// 802.1Q tag control information: the VLAN id, and the priority in the top bits.
    pub vlan: Option<u16>,
    /// Source address; of the same family as the destination.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// IPv4 identification.
    pub identification: u16,
    /// IPv4 don't-fragment bit.
    pub dont_fragment: bool,
    /// IPv6 flow label.
    pub flow_label: u32,
    /// The header above IP.
    pub transport: Transport,
    /// What follows the transport header.
    pub payload: Vec<u8>,
    /// Octets of the built frame at least; Ethernet padding fills up.
    pub minimum: usize,
}

impl Frame {
    /// An empty UDP datagram between two endpoints of one family.
    pub fn udp(source: SocketAddr, destination: SocketAddr) -> Self {
        let transport = Transport::Udp { source: source.port(), destination: destination.port() };
        Self::new(source.ip(), destination.ip(), transport)
    }

    /// An empty TCP segment between two endpoints of one family.
    pub fn tcp(source: SocketAddr, destination: SocketAddr, flags: u8) -> Self {
        let transport = Transport::Tcp {
            source: source.port(),
            destination: destination.port(),
            flags,
            sequence: 0,
            acknowledgment: 0,
            window: 0xffff,
        };
        Self::new(source.ip(), destination.ip(), transport)
    }

    /// An echo request.
    pub fn echo(source: IpAddr, destination: IpAddr, identifier: u16, sequence: u16) -> Self {
        let transport = Transport::Echo { identifier, sequence, reply: false };
        Self::new(source, destination, transport)
    }

    /// An echo reply.
    pub fn echo_reply(source: IpAddr, destination: IpAddr, identifier: u16, sequence: u16) -> Self {
        let transport = Transport::Echo { identifier, sequence, reply: true };
        Self::new(source, destination, transport)
    }

    fn new(source: IpAddr, destination: IpAddr, transport: Transport) -> Self {
        Self {
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            vlan: None,
            source,
            destination,
            ttl: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            flow_label: 0,
            transport,
            payload: Vec::new(),
            minimum: 60,
        }
    }

    /// Sets the hardware addresses.
    pub fn macs(mut self, source: Mac, destination: Mac) -> Self {
        (self.source_mac, self.destination_mac) = (source, destination);
        self
    }

    /// Adds an 802.1Q tag.
    pub fn vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }

    /// Sets TTL or hop limit.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the payload.
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Fills the payload with zeros so that the frame has `size` octets on the wire, FCS included;
    /// a size too small for the headers leaves the payload empty.
    pub fn sized(mut self, size: usize) -> Self {
        let len = size.saturating_sub(FCS + self.payload_offset());
        self.payload.resize(len, 0);
        self
    }

    /// Octets before the payload.
    pub fn payload_offset(&self) -> usize {
        let network = if self.source.is_ipv4() { IPV4 } else { 40 };
        ETHERNET + if self.vlan.is_some() { 4 } else { 0 } + network + self.transport.header_len()
    }

    /// The octets of the frame, without FCS, padded to [`minimum`](Self::minimum).
    pub fn build(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.payload_offset() + self.payload.len());
        frame.extend_from_slice(&self.destination_mac);
        frame.extend_from_slice(&self.source_mac);
        if let Some(tag) = self.vlan {
            frame.extend_from_slice(&0x8100_u16.to_be_bytes());
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        let segment = self.segment();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend_from_slice(&0x0800_u16.to_be_bytes());
                frame.extend_from_slice(&self.ipv4_header(source, destination, segment.len()));
            }
            (source, destination) => {
                frame.extend_from_slice(&0x86dd_u16.to_be_bytes());
                let first =
                    6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
                frame.extend_from_slice(&first.to_be_bytes());
                frame.extend_from_slice(&(segment.len() as u16).to_be_bytes());
                frame.extend_from_slice(&[self.protocol(), self.ttl]);
                frame.extend_from_slice(&v6_octets(source));
                frame.extend_from_slice(&v6_octets(destination));
            }
        }
        frame.extend_from_slice(&segment);
        if frame.len() < self.minimum {
            frame.resize(self.minimum, 0);
        }
        frame
    }

    fn ipv4_header(&self, source: Ipv4Addr, destination: Ipv4Addr, segment: usize) -> [u8; IPV4] {
        let mut header = [0; IPV4];
        header[0] = 0x45;
        header[1] = self.traffic_class;
        header[2..4].copy_from_slice(&((IPV4 + segment) as u16).to_be_bytes());
        header[4..6].copy_from_slice(&self.identification.to_be_bytes());
        header[6] = if self.dont_fragment { 0x40 } else { 0 };
        header[8] = self.ttl;
        header[9] = self.protocol();
        header[12..16].copy_from_slice(&source.octets());
        header[16..20].copy_from_slice(&destination.octets());
        let checksum = Sum::default().bytes(&header).checksum();
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    /// The transport header with its checksum, and the payload.
    fn segment(&self) -> Vec<u8> {
        let mut segment = self.transport.header(self.source.is_ipv6(), self.payload.len());
        segment.extend_from_slice(&self.payload);
        let sum = Sum::default().bytes(&segment);
        let pseudo =
            sum.pseudo_header(self.source, self.destination, self.protocol(), segment.len());
        let (at, checksum) = match self.transport {
            Transport::Echo { .. } if self.source.is_ipv4() => (2, sum.checksum()),
            Transport::Echo { .. } => (2, pseudo.checksum()),
            Transport::Tcp { .. } => (16, pseudo.checksum()),
            Transport::Udp { .. } => (6, pseudo.udp_checksum()),
        };
        segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        segment
    }

    fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Echo { .. } if self.source.is_ipv4() => 1,
            Transport::Echo { .. } => 58,
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
        }
    }
}

impl Transport {
    fn header_len(&self) -> usize {
        match self {
            Self::Echo { .. } | Self::Udp { .. } => 8,
            Self::Tcp { .. } => 20,
        }
    }

    fn header(&self, ipv6: bool, payload: usize) -> Vec<u8> {
        let mut header = Vec::with_capacity(self.header_len());
        match *self {
            Self::Echo { identifier, sequence, reply } => {
                let kind = match (ipv6, reply) {
                    (false, false) => 8,
                    (false, true) => 0,
                    (true, false) => 128,
                    (true, true) => 129,
                };
                header.extend_from_slice(&[kind, 0, 0, 0]);
                header.extend_from_slice(&identifier.to_be_bytes());
                header.extend_from_slice(&sequence.to_be_bytes());
            }
            Self::Tcp { source, destination, flags, sequence, acknowledgment, window } => {
                header.extend_from_slice(&source.to_be_bytes());
                header.extend_from_slice(&destination.to_be_bytes());
                header.extend_from_slice(&sequence.to_be_bytes());
                header.extend_from_slice(&acknowledgment.to_be_bytes());
                header.extend_from_slice(&[5 << 4, flags]);
                header.extend_from_slice(&window.to_be_bytes());
                header.extend_from_slice(&[0; 4]);
            }
            Self::Udp { source, destination } => {
                header.extend_from_slice(&source.to_be_bytes());
                header.extend_from_slice(&destination.to_be_bytes());
                header.extend_from_slice(&((UDP + payload) as u16).to_be_bytes());
                header.extend_from_slice(&[0; 2]);
            }
        }
        header
    }
}

/// A UDP/IPv4 frame of `size` octets on the wire (FCS included, so the result has 4 fewer).
pub fn udp_template(source: SocketAddrV4, destination: SocketAddrV4, size: usize) -> Vec<u8> {
    Frame::udp(source.into(), destination.into()).sized(size).build()
}

fn v6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests;
