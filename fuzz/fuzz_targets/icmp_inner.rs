//! Any bytes as an ICMP error: never a panic, refused errors stay as they are, and checksums that were right before a
//! translation are right after it, by full computation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnf::icmp::inner::{Endpoint, Inner, Rewrite, parse_v4, parse_v6, translate};
use vnf::wire::checksum::Sum;
use vnf::wire::{icmp, ipv4, protocol, transport};

fuzz_target!(|bytes: &[u8]| {
    let Some(([choice, random @ ..], bytes)) = bytes.split_first_chunk::<13>() else { return };
    check_found(parse_v4(bytes).ok(), bytes);
    check_found(parse_v6(bytes).ok(), bytes);

    let mut packet = bytes.to_vec();
    if choice & 0x80 == 0 {
        repair(&mut packet);
    }
    let endpoint = |at: usize| Endpoint {
        address: [random[at], random[at + 1], random[at + 2], random[at + 3]],
        port: u16::from_be_bytes([random[at + 4], random[at + 5]]),
    };
    let chosen = |bit: u8, at: usize| (choice & bit != 0).then(|| endpoint(at));
    let rewrite = Rewrite {
        source: chosen(1, 0).map(|endpoint| endpoint.address),
        destination: chosen(2, 6).map(|endpoint| endpoint.address),
        inner_source: chosen(4, 0),
        inner_destination: chosen(8, 6),
    };
    let before = Checksums::of(&packet);
    let mut after = packet.clone();
    if translate(&mut after, &rewrite).is_err() {
        assert_eq!(after, packet, "refused, and yet written to");
        return;
    }
    let before = before.expect("what was translated can be read");
    let after = Checksums::of(&after).expect("what was translated can be read");
    assert!(before.outer && before.message && before.inner, "translated in spite of a checksum");
    assert!(after.outer && after.message && after.inner, "{after:?}");
    assert_eq!(
        before.quoted, after.quoted,
        "the quoted transport checksum: right before, right after"
    );
});

fn check_found<A>(found: Option<Inner<A>>, message: &[u8]) {
    if let Some(inner) = found {
        assert!(icmp::HEADER < inner.l4 && inner.l4 <= inner.end && inner.end <= message.len());
    }
}

/// Which checksums are right.
#[derive(Debug, Eq, PartialEq)]
struct Checksums {
    outer: bool,
    message: bool,
    inner: bool,
    /// That of the quoted packet's transport header; `None` where it is not all there, or has none.
    quoted: Option<bool>,
}

impl Checksums {
    fn of(packet: &[u8]) -> Option<Self> {
        let outer_len = usize::from(packet.first()? & 15) * 4;
        let total = word(packet, 2)?;
        let message = packet.get(outer_len..total)?;
        let quoted = message.get(icmp::HEADER..)?;
        let inner_len = usize::from(quoted.first()? & 15) * 4;
        Some(Self {
            outer: ipv4::checksum_is_valid(packet.get(..outer_len)?),
            message: Sum::of(message).is_valid(),
            inner: ipv4::checksum_is_valid(quoted.get(..inner_len)?),
            quoted: quoted_checksum(quoted, inner_len).filter(|_| is_whole(message)),
        })
    }
}

/// Whether the quoted packet goes as far as it says, before RFC 4884 extensions.
fn is_whole(message: &[u8]) -> bool {
    let words = usize::from(message[5]);
    words == 0 || word(message, icmp::HEADER + 2).is_some_and(|total| total <= words * 4)
}

/// Whether the transport checksum of a wholly quoted TCP segment, UDP datagram or echo message is right.
fn quoted_checksum(quoted: &[u8], header: usize) -> Option<bool> {
    let more_fragments = quoted.get(6)? & 0x20 != 0;
    let segment = quoted.get(header..word(quoted, 2)?)?;
    let number = *quoted.get(9)?;
    let addresses = quoted.get(12..20)?;
    let checksum = word(segment, transport::checksum_offset(number)?)?;
    let pseudo = match number {
        protocol::ICMP => Sum::default(),
        protocol::TCP => Sum::of(addresses).word(6).word(segment.len() as u16),
        protocol::UDP if checksum != 0 => Sum::of(addresses).word(17).word(segment.len() as u16),
        _ => return None,
    };
    // Of a message of nothing but zeros the other zero would be right; nobody checks that in a quoted packet.
    (!more_fragments).then(|| matches!(pseudo.bytes(segment).fold(), 0 | 0xffff))
}

/// Makes lengths and checksums right as far as the packet goes, so that most inputs get beyond them.
fn repair(packet: &mut [u8]) -> Option<()> {
    let total = packet.len().min(65_535);
    *packet.first_mut()? = 0x45;
    packet.get_mut(2..4)?.copy_from_slice(&(total as u16).to_be_bytes());
    packet.get_mut(6..8)?.fill(0);
    *packet.get_mut(9)? = protocol::ICMP;
    let (outer, message) = packet.get_mut(..total)?.split_at_mut_checked(ipv4::HEADER)?;
    write_checksum(outer, 10)?;
    if let Some(quoted) = message.get_mut(icmp::HEADER..) {
        let header = usize::from(*quoted.first()? & 15) * 4;
        write_checksum(quoted.get_mut(..header)?, 10)?;
        let right = quoted_checksum(quoted, header);
        if right == Some(false) {
            let number = quoted[9];
            let end = word(quoted, 2)?;
            let pseudo = Sum::of(&quoted[12..20]).word(number.into()).word((end - header) as u16);
            let pseudo = if number == protocol::ICMP { Sum::default() } else { pseudo };
            let segment = &mut quoted[header..end];
            let at = transport::checksum_offset(number)?;
            segment[at..at + 2].fill(0);
            let checksum = pseudo.bytes(segment).udp_checksum();
            segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        }
    }
    write_checksum(message, icmp::CHECKSUM)
}

fn write_checksum(bytes: &mut [u8], at: usize) -> Option<()> {
    bytes.get_mut(at..at + 2)?.fill(0);
    let checksum = Sum::of(bytes).checksum();
    bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]).into())
}
