//! IPv4 packets in Ethernet frames, read and rewritten in place; checksums are worked out anew, never adjusted.

use std::net::{Ipv4Addr, SocketAddrV4};

/// The parts that a translator looks at; a query's identifier stands in the port's place.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    pub protocol: u8,
    pub source: SocketAddrV4,
    pub destination: SocketAddrV4,
    pub flags: u8,
    pub is_error: bool,
}

impl Headers {
    pub fn read(frame: &[u8]) -> Option<Self> {
        let is_plain = frame.get(12..15)? == [8, 0, 0x45] && frame.len() >= 42;
        if !is_plain {
            return None;
        }
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&frame[at..at + 4]).unwrap());
        let ports = port_places(frame);
        let port = |place: Option<usize>| place.map_or(0, |at| word(frame, at));
        Some(Self {
            protocol: frame[23],
            source: SocketAddrV4::new(address(26), port(ports.0)),
            destination: SocketAddrV4::new(address(30), port(ports.1)),
            flags: if frame[23] == 6 && frame.len() > 47 { frame[47] } else { 0 },
            is_error: frame[23] == 1 && !matches!(frame[34], 0 | 8),
        })
    }

    /// The packet that an ICMP error quotes.
    pub fn read_quote(frame: &[u8]) -> Option<Self> {
        Self::read(&[&frame[..14], frame.get(42..)?].concat())
    }
}

pub fn set_source(frame: &mut [u8], to: SocketAddrV4) {
    set_source_address(frame, *to.ip());
    if let Some(at) = port_places(frame).0 {
        frame[at..at + 2].copy_from_slice(&to.port().to_be_bytes());
    }
}

pub fn set_destination(frame: &mut [u8], to: SocketAddrV4) {
    set_destination_address(frame, *to.ip());
    if let Some(at) = port_places(frame).1 {
        frame[at..at + 2].copy_from_slice(&to.port().to_be_bytes());
    }
}

pub fn set_source_address(frame: &mut [u8], to: Ipv4Addr) {
    frame[26..30].copy_from_slice(&to.octets());
}

pub fn set_destination_address(frame: &mut [u8], to: Ipv4Addr) {
    frame[30..34].copy_from_slice(&to.octets());
}

/// Makes both checksums right for whatever the frame says.
pub fn seal(frame: &mut [u8]) {
    seal_header(frame);
    let end = 14 + usize::from(word(frame, 16));
    let Some(at) = checksum_place(frame) else { return };
    if frame.len() < end {
        return;
    }
    frame[at..at + 2].fill(0);
    let mut total = sum(&frame[34..end]);
    if frame[23] != 1 {
        total += sum(&frame[26..34]) + u64::from(frame[23]) + (end - 34) as u64;
    }
    let checksum = match !fold(total) {
        0 if frame[23] == 17 => 0xffff,
        checksum => checksum,
    };
    frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn seal_header(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let checksum = !fold(sum(&frame[14..34]));
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

/// Checksums of the ICMP message and of the quoted header.
pub fn error_is_intact(frame: &[u8]) -> bool {
    let end = 14 + usize::from(word(frame, 16));
    fold(sum(&frame[34..end])) == 0xffff && fold(sum(&frame[42..62])) == 0xffff
}

/// Both checksums of an ICMP error.
pub fn seal_error(frame: &mut [u8]) {
    seal_header(frame);
    let end = 14 + usize::from(word(frame, 16));
    frame[36..38].fill(0);
    let checksum = !fold(sum(&frame[34..end]));
    frame[36..38].copy_from_slice(&checksum.to_be_bytes());
}

/// Changes the quoted packet of an ICMP error as if it lay in a frame of its own.
pub fn change_quote(frame: &mut [u8], change: impl Fn(&mut [u8])) {
    let end = 14 + usize::from(word(frame, 16));
    let mut quote = [&frame[..14], &frame[42..end]].concat();
    change(&mut quote);
    frame[42..end].copy_from_slice(&quote[14..]);
}

/// Rewrites a quoted packet, cut or not, and brings its checksums along: by the difference, as a cut one has no other.
pub fn adjusted(quote: &mut [u8], rewrite: impl Fn(&mut [u8])) {
    let before = covered(quote);
    let (ip, transport) = checksums(quote);
    rewrite(quote);
    seal_header(quote);
    let Some(old) = transport else { return };
    let (addresses, ports) = covered(quote);
    let change = |new: u64, old: u64| new + u64::from(!fold(old));
    let mut total = u64::from(!old) + change(ports, before.1);
    if quote[23] != 1 {
        total += change(addresses, before.0);
    }
    set_checksums(quote, (ip, Some(!fold(total))));
    seal_header(quote);
}

fn covered(frame: &[u8]) -> (u64, u64) {
    let places = port_places(frame);
    let port = |place: Option<usize>| place.map_or(0, |at| u64::from(word(frame, at)));
    (sum(&frame[26..34]), port(places.0) + port(places.1))
}

/// The checksum fields of IP and transport; the latter may be cut off.
pub fn checksums(frame: &[u8]) -> (u16, Option<u16>) {
    let transport = checksum_place(frame).filter(|at| frame.len() >= at + 2);
    (word(frame, 24), transport.map(|at| word(frame, at)))
}

pub fn set_checksums(frame: &mut [u8], (ip, transport): (u16, Option<u16>)) {
    frame[24..26].copy_from_slice(&ip.to_be_bytes());
    if let Some((at, sum)) = checksum_place(frame).zip(transport) {
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The answer to an ARP request, whoever it is for.
pub fn arp_answer(question: &[u8]) -> Option<Vec<u8>> {
    if question[21] != 1 {
        return None;
    }
    let mut answer = question.to_vec();
    answer[..6].copy_from_slice(&question[6..12]);
    answer[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x99]);
    answer[21] = 2;
    answer[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 0x99]);
    answer[28..32].copy_from_slice(&question[38..42]);
    answer[32..42].copy_from_slice(&question[22..32]);
    Some(answer)
}

/// Where the source's and the destination's port lie.
fn port_places(frame: &[u8]) -> (Option<usize>, Option<usize>) {
    match (frame[23], frame[34]) {
        (1, 8) => (Some(38), None),
        (1, 0) => (None, Some(38)),
        (1, _) => (None, None),
        _ => (Some(34), Some(36)),
    }
}

fn checksum_place(frame: &[u8]) -> Option<usize> {
    match frame[23] {
        1 => Some(36),
        6 => Some(50),
        17 => Some(40),
        _ => None,
    }
}

fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

fn sum(octets: &[u8]) -> u64 {
    let words = octets
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)));
    words.sum()
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
