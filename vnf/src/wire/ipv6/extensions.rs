//! Walks IPv6 extension headers to the upper-layer header (RFC 8200 4), at most eight of them.

#[cfg(test)]
mod tests;

use crate::wire::{self, icmp, ipv6, ipv6::Ipv6Header, protocol};

/// Where the upper-layer header of a packet lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Upper {
    /// Its protocol: what the last next header field says, ESP, AH and "no next header" included.
    pub protocol: u8,
    /// Its offset from the start of the IPv6 header; in a later fragment that of the fragment's
    /// payload.
    pub offset: usize,
    /// The fragment header, if there is one.
    pub fragment: Option<Fragment>,
}

/// What a fragment header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment {
    /// Offset of the fragment header from the start of the IPv6 header.
    pub header: usize,
    /// The same in all fragments of a packet.
    pub id: u32,
    /// Whether more fragments follow.
    pub more: bool,
    /// Where the payload lies in the whole packet, in octets.
    pub offset: usize,
}

impl Fragment {
    /// Whether this fragment is the whole packet (RFC 6946).
    pub fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Why a chain of headers is refused, with what to tell the sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The code and pointer of the parameter problem that the RFCs ask for; `None`: drop silently.
    pub problem: Option<(u8, u32)>,
}

/// What is wrong with a chain of headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A fragment with an impossible length or offset, or within a fragment.
    BadFragment,
    /// A hop-by-hop option that says that whoever does not know it shall drop the packet.
    BadOption,
    /// A field that contradicts another, or hop-by-hop options out of place.
    Malformed,
    /// A routing header of type 0 with segments left (RFC 5095).
    SourceRoute,
    /// More headers than this VNF looks at.
    TooMany,
    /// The packet ends within a header.
    Truncated,
}

/// Finds the upper-layer header of a packet that starts with its IPv6 header.
///
/// A packet shorter than its header says, as ICMPv6 errors quote them, is walked as far as it goes.
#[inline]
pub fn upper(packet: &[u8]) -> Result<Upper, Refused> {
    let header: &Ipv6Header = wire::at(packet, 0).ok_or(TRUNCATED)?;
    match header.next_header {
        protocol @ (protocol::TCP | protocol::UDP | protocol::ICMPV6) => {
            Ok(Upper { protocol, offset: ipv6::HEADER, fragment: None })
        }
        _ => walk(packet, header),
    }
}

/// Octets of a fragment header.
pub const FRAGMENT_HEADER: usize = 8;
/// Most extension headers that a packet may have.
const MOST: usize = 8;
const TRUNCATED: Refused = Refused { reason: Reason::Truncated, problem: None };

#[cold]
fn walk(packet: &[u8], header: &Ipv6Header) -> Result<Upper, Refused> {
    let multicast = ipv6::address::is_multicast(header.destination);
    let length = ipv6::HEADER + usize::from(header.payload_length.get());
    let mut upper = Upper { protocol: header.next_header, offset: ipv6::HEADER, fragment: None };
    let mut pointer = NEXT_HEADER; // to the next header field that names the header at `offset`
    for _ in 0..=MOST {
        let Upper { protocol, offset, fragment } = upper;
        if !matches!(
            protocol,
            protocol::HOPOPT | protocol::IPV6_ROUTE | protocol::IPV6_FRAG | protocol::IPV6_OPTS
        ) {
            return if fragment.is_some() { complete_fragment(length, upper) } else { Ok(upper) };
        }
        let Some(header) = extension(packet, protocol, offset) else {
            return Err(truncated(fragment));
        };
        match protocol {
            protocol::HOPOPT if offset != ipv6::HEADER => {
                return Err(refused(Reason::Malformed, UNRECOGNISED_HEADER, pointer));
            }
            protocol::HOPOPT => check_options(header, offset, multicast)?,
            protocol::IPV6_ROUTE => check_routing(header, offset)?,
            protocol::IPV6_FRAG => {
                let found = check_fragment(header, offset, length)?;
                if fragment.is_some() {
                    return Err(Refused { reason: Reason::BadFragment, problem: None });
                }
                upper.fragment = Some(found);
            }
            _ => {}
        }
        pointer = offset;
        upper.protocol = header[0];
        upper.offset += header.len();
        if upper.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return Ok(upper);
        }
    }
    Err(Refused { reason: Reason::TooMany, problem: None })
}

/// The extension header at `offset`, at least 8 octets and as long as it says.
fn extension(packet: &[u8], protocol: u8, offset: usize) -> Option<&[u8]> {
    let rest = packet.get(offset..)?;
    let words = if protocol == protocol::IPV6_FRAG { 0 } else { usize::from(*rest.get(1)?) };
    rest.get(..words * 8 + 8)
}

/// Hop-by-hop options: every node on the way decides on those it does not know by their two highest
/// bits.
fn check_options(header: &[u8], offset: usize, multicast: bool) -> Result<(), Refused> {
    let mut at = 2;
    while let Some(&kind) = header.get(at) {
        let pointer = offset + at;
        if kind == PAD_1 {
            at += 1;
            continue;
        }
        let end = header.get(at + 1).map_or(usize::MAX, |length| at + 2 + usize::from(*length));
        if end > header.len() {
            return Err(refused(Reason::Malformed, ERRONEOUS_FIELD, pointer + 1));
        }
        match (kind, kind >> 6) {
            // The payload length is not 0, or there would be no options (RFC 2675 3).
            (JUMBO, _) => return Err(refused(Reason::Malformed, ERRONEOUS_FIELD, pointer)),
            (_, 0b00) => {}
            (_, 0b10) => return Err(refused(Reason::BadOption, UNRECOGNISED_OPTION, pointer)),
            (_, 0b11) if !multicast => {
                return Err(refused(Reason::BadOption, UNRECOGNISED_OPTION, pointer));
            }
            _ => return Err(Refused { reason: Reason::BadOption, problem: None }),
        }
        at = end;
    }
    Ok(())
}

fn check_routing(header: &[u8], offset: usize) -> Result<(), Refused> {
    let &[_, words, kind, segments_left, last_entry, ..] = header else {
        return Err(TRUNCATED);
    };
    let (words, segments_left, last_entry) =
        (u16::from(words), u16::from(segments_left), u16::from(last_entry));
    match kind {
        ROUTING_TYPE_0 if segments_left > 0 => {
            Err(refused(Reason::SourceRoute, ERRONEOUS_FIELD, offset + 2))
        }
        // RFC 8754 2: the segment list has to fit, and the next segment has to be one of them.
        ROUTING_SEGMENTS if (last_entry + 1) * 2 > words || segments_left > last_entry + 1 => {
            Err(Refused { reason: Reason::Malformed, problem: None })
        }
        _ => Ok(()),
    }
}

/// RFC 8200 4.5: all fragments but the last are multiples of 8 octets, and no packet exceeds
/// 65,535.
fn check_fragment(header: &[u8], offset: usize, length: usize) -> Result<Fragment, Refused> {
    let &[_, _, a, b, c, d, e, f] = header else { return Err(TRUNCATED) };
    let id = u32::from_be_bytes([c, d, e, f]);
    let field = u16::from_be_bytes([a, b]);
    let fragment =
        Fragment { header: offset, id, more: field & 1 != 0, offset: usize::from(field & !7) };
    let payload = length.saturating_sub(offset + header.len());
    if fragment.more && (!payload.is_multiple_of(8) || payload == 0) {
        return Err(refused(Reason::BadFragment, ERRONEOUS_FIELD, PAYLOAD_LENGTH));
    }
    // What precedes the fragment header counts too, but not the IPv6 header itself.
    if fragment.offset + payload + (offset - ipv6::HEADER) > usize::from(u16::MAX) {
        return Err(refused(Reason::BadFragment, ERRONEOUS_FIELD, offset + 2));
    }
    Ok(fragment)
}

/// RFC 7112: the first fragment holds all headers, the upper-layer one included.
fn complete_fragment(length: usize, upper: Upper) -> Result<Upper, Refused> {
    let least = match upper.protocol {
        protocol::TCP => wire::tcp::HEADER,
        protocol::UDP => wire::udp::HEADER,
        protocol::ICMPV6 => icmp::HEADER,
        _ => 0,
    };
    let complete = length >= upper.offset + least;
    if complete { Ok(upper) } else { Err(truncated(upper.fragment)) }
}

/// A chain that goes on beyond the packet; of the first of several fragments the sender hears (RFC
/// 7112).
fn truncated(fragment: Option<Fragment>) -> Refused {
    let problem = fragment.filter(|f| f.more).map(|_| (INCOMPLETE_CHAIN, 0));
    Refused { reason: Reason::Truncated, problem }
}

fn refused(reason: Reason, code: u8, pointer: usize) -> Refused {
    Refused { reason, problem: Some((code, pointer as u32)) }
}

// Offsets of fields of the IPv6 header.
const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;

// Codes of the parameter problem (RFC 4443 3.4, RFC 7112 6).
const ERRONEOUS_FIELD: u8 = 0;
const UNRECOGNISED_HEADER: u8 = 1;
const UNRECOGNISED_OPTION: u8 = 2;
const INCOMPLETE_CHAIN: u8 = 3;

// Options and routing types (IANA).
const PAD_1: u8 = 0;
const JUMBO: u8 = 0xc2;
const ROUTING_TYPE_0: u8 = 0;
const ROUTING_SEGMENTS: u8 = 4;
