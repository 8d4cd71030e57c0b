//! The record of one flow, and what its packets say above IP.

use super::{Direction, Protocol};
use crate::checksum::Sum;
use crate::endpoint::{Address, Endpoint, Family};
use crate::frame::{ACK, FIN, PSH, RST, SYN};

/// One flow: its endpoints, its checksums and its sequence numbers; arrays are by [`Direction`].
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Flow {
    /// Fills the payload before the trailer.
    pub pattern: u64,
    pub(super) inside: u32, // addresses: see `Book`
    pub(super) outside: u32,
    pub(super) external: u32,
    pub(super) inside_port: u16,
    pub(super) outside_port: u16,
    pub(super) external_port: u16,
    pub(super) stream: u16,
    /// IPv4 identification; the flow label's last bits in IPv6.
    pub identification: u16,
    /// The ones'-complement sum of lengths, pattern and trailer of each packet.
    pub constant: u16,
    /// Sums of the IPv4 header without total length and checksum.
    pub ip_sum: [u16; 2],
    /// Checksums of TCP, UDP or ICMP in packets that carry data.
    pub l4_checksum: [u16; 2],
    pub(super) next_seq: [u32; 2],
    pub(super) state: u8,
}
const _: () = assert!(size_of::<Flow>() == 64, "one cache line per flow");

/// What a packet is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// The last step of TCP's handshake.
    Ack,
    /// Load.
    #[default]
    Data,
    /// The end of one direction of a TCP connection.
    Fin,
    /// The end of a TCP connection.
    Reset,
    /// The first step of TCP's handshake.
    Syn,
    /// The second step.
    SynAck,
}

impl Flow {
    /// Takes the next sequence number of a direction.
    #[inline]
    pub fn take_seq(&mut self, direction: Direction) -> u32 {
        let seq = &mut self.next_seq[direction as usize];
        *seq = seq.wrapping_add(1);
        seq.wrapping_sub(1)
    }

    /// How many packets were made of a direction in this phase.
    pub fn made(&self, direction: Direction) -> u32 {
        self.next_seq[direction as usize]
    }

    /// Its stream's number.
    #[inline]
    pub fn stream(&self) -> usize {
        self.stream.into()
    }

    /// Whether its external endpoint is known.
    #[inline]
    pub fn is_learned(&self) -> bool {
        self.state & LEARNED != 0
    }

    /// Flags, sequence and acknowledgment number of its TCP segments.
    ///
    /// All data lies at the start of the window, as if nothing had been acknowledged yet: right for whoever follows
    /// the connection, and the same in each packet.
    #[inline]
    pub fn tcp(&self, direction: Direction, kind: Kind) -> (u8, u32, u32) {
        let (own, peer) = match direction {
            Direction::Inward => ((self.pattern >> 32) as u32, self.pattern as u32),
            Direction::Outward => (self.pattern as u32, (self.pattern >> 32) as u32),
        };
        let (next, expected) = (own.wrapping_add(1), peer.wrapping_add(1));
        match kind {
            Kind::Ack => (ACK, next, expected),
            Kind::Data => (PSH | ACK, next, expected),
            Kind::Fin => (FIN | ACK, next, expected),
            Kind::Reset => (RST, next, 0),
            Kind::Syn => (SYN, own, 0),
            Kind::SynAck => (SYN | ACK, own, expected),
        }
    }

    /// The sum of the pseudo-header and the transport header, without lengths and checksum.
    pub(super) fn header_sum(
        &self,
        protocol: Protocol,
        family: Family,
        (source, destination): (Endpoint, Endpoint),
        direction: Direction,
        initiator: Direction,
        kind: Kind,
    ) -> Sum {
        let mut sum = Sum::default();
        if (protocol, family) != (Protocol::Icmp, Family::V4) {
            sum = sum
                .bytes(octets(&source.address, &source.address.octets()))
                .bytes(octets(&destination.address, &destination.address.octets()))
                .word(u16::from(protocol.number(family)));
        }
        match protocol {
            Protocol::Icmp => {
                let kind = echo_type(family, direction == initiator);
                let identifier = source.port.max(destination.port);
                sum.word(u16::from(kind) << 8).word(identifier).word(ECHO_SEQUENCE)
            }
            Protocol::Tcp => {
                let (flags, seq, ack) = self.tcp(direction, kind);
                sum.word(source.port)
                    .word(destination.port)
                    .bytes(&seq.to_be_bytes())
                    .bytes(&ack.to_be_bytes())
                    .word(DATA_OFFSET | u16::from(flags))
                    .word(WINDOW)
            }
            Protocol::Udp => sum.word(source.port).word(destination.port),
        }
    }

    /// The sum that the trailer of a packet has, with so many octets of pattern before it, and from the
    /// transport header to its end `l4` octets.
    #[inline]
    pub fn trailer_sum(&self, protocol: Protocol, family: Family, pattern: usize, l4: u16) -> u16 {
        let lengths = match (protocol, family) {
            (Protocol::Icmp, Family::V4) => 0,
            (Protocol::Icmp, Family::V6) | (Protocol::Tcp, _) => u32::from(l4),
            (Protocol::Udp, _) => 2 * u32::from(l4),
        };
        let mut before = Sum::default().bytes(&lengths.to_be_bytes());
        if pattern > 0 {
            let octets = self.pattern.to_be_bytes();
            let rest = &octets[..pattern % 8];
            before = before.times(Sum::default().bytes(&octets), pattern / 8).bytes(rest);
        }
        let sum = Sum::default().word(self.constant).word(!before.folded()).folded();
        // At an odd offset the trailer's octets count the other way round.
        if pattern % 2 == 1 { sum.swap_bytes() } else { sum }
    }
}

impl Kind {
    /// The kind of segment that has these flags.
    pub(crate) fn of_flags(flags: u8) -> Option<Self> {
        const PSH_ACK: u8 = PSH | ACK;
        const FIN_ACK: u8 = FIN | ACK;
        const SYN_ACK: u8 = SYN | ACK;
        Some(match flags {
            ACK => Self::Ack,
            PSH_ACK => Self::Data,
            FIN_ACK => Self::Fin,
            RST => Self::Reset,
            SYN => Self::Syn,
            SYN_ACK => Self::SynAck,
            _ => return None,
        })
    }
}

/// The octets of an address as they lie in a header.
#[inline]
fn octets<'a>(address: &Address, all: &'a [u8; 16]) -> &'a [u8] {
    match address.family() {
        Family::V4 => &all[12..],
        Family::V6 => all,
    }
}

/// ICMP's type of an echo message.
#[inline]
pub(crate) fn echo_type(family: Family, request: bool) -> u8 {
    match (family, request) {
        (Family::V4, true) => 8,
        (Family::V4, false) => 0,
        (Family::V6, true) => 128,
        (Family::V6, false) => 129,
    }
}

/// Writes a pattern over and over.
#[inline]
pub(crate) fn fill(pattern: u64, into: &mut [u8]) {
    let octets = pattern.to_be_bytes();
    let (words, rest) = into.as_chunks_mut();
    words.fill(octets);
    rest.copy_from_slice(&octets[..rest.len()]);
}

/// Whether the bytes are what [`fill`] writes.
#[inline]
pub(crate) fn is_filled(pattern: u64, bytes: &[u8]) -> bool {
    let octets = pattern.to_be_bytes();
    let (words, rest) = bytes.as_chunks();
    words.iter().all(|word| *word == octets) && rest == &octets[..rest.len()]
}

/// The flow has an external endpoint.
pub(super) const LEARNED: u8 = 1;
/// TTL or hop limit as sent.
pub(crate) const TTL: u8 = 64;
/// DSCP AF11, so that a path that clears it is noticed; not ECN-capable.
pub(crate) const TRAFFIC_CLASS: u8 = 10 << 2;
/// Flags and fragment offset as sent.
pub(crate) const DONT_FRAGMENT: u16 = 0x4000;
/// The sequence number of all echo messages.
pub(crate) const ECHO_SEQUENCE: u16 = 1;
/// TCP's header length as its header says it.
pub(crate) const DATA_OFFSET: u16 = 5 << 12;
/// TCP's window, unscaled.
pub(crate) const WINDOW: u16 = 0xffff;
