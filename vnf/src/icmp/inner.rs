//! The packet that an ICMP error quotes: found for its session, and translated with the error (RFC
//! 5508 4.2).

#[cfg(test)]
mod tests;

use zerocopy::IntoBytes;
use zerocopy::network_endian::U16;

use crate::wire;
use crate::wire::checksum::{Delta, Sum};
use crate::wire::icmp::{self, Class, IcmpHeader};
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header, extensions};
use crate::wire::transport::{self, Ports};
use crate::wire::{protocol, tcp};

/// What is known of a quoted packet, `A` being the bytes of its addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Inner<A> {
    /// Who sent the quoted packet.
    pub source: A,
    /// Whom it was for.
    pub destination: A,
    /// Its transport protocol.
    pub protocol: u8,
    /// Its source port; with ICMP queries their id; 0 for protocols without ports.
    pub source_port: u16,
    /// Its destination port; with ICMP queries their id; 0 for protocols without ports.
    pub destination_port: u16,
    /// Offset of its transport header from the start of the ICMP message.
    pub l4: usize,
    /// Offset of its end, where it was cut off or where RFC 4884 extensions begin, from the same
    /// start.
    pub end: usize,
}

/// Why an ICMP error is neither looked up nor translated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The checksum of the ICMP message, or of the IPv4 header that it quotes, is wrong (RFC 5508
    /// REQ-3).
    BadChecksum,
    /// It quotes a later fragment, which has no ports.
    Fragment,
    /// No ICMP error, or a field of the quoted header is impossible or of the other IP version.
    Malformed,
    /// It quotes ICMP that is no echo, such as another error.
    NotQuery,
    /// Fewer than the 8 octets of the quoted transport header that RFC 792 asks for.
    Truncated,
}

/// Finds the packet that an ICMP error quotes.
///
/// `message` is the whole ICMP message, without padding. Options are skipped, the quoted transport
/// checksum is not looked at, extensions are left out (RFC 5508 REQ-3).
pub fn parse_v4(message: &[u8]) -> Result<Inner<[u8; 4]>, Refused> {
    if !icmp::checksum_is_valid(message) {
        return Err(Refused::BadChecksum);
    }
    let outer: &IcmpHeader = wire::at(message, 0).ok_or(Refused::Truncated)?;
    if Class::of_v4(outer.kind) != Class::Error {
        return Err(Refused::Malformed);
    }
    let [_, words] = outer.id.get().to_be_bytes();
    let end = quoted_end(message, usize::from(words) * 4);

    let header: &Ipv4Header = wire::at(message, icmp::HEADER).ok_or(Refused::Truncated)?;
    let (length, total) = (header.header_len(), usize::from(header.total_length.get()));
    let of_other_version = header.protocol == protocol::ICMPV6;
    if header.version() != 4 || length < ipv4::HEADER || total < length || of_other_version {
        return Err(Refused::Malformed);
    }
    let (l4, end) = (icmp::HEADER + length, end.min(icmp::HEADER + total));
    let quoted = message.get(icmp::HEADER..l4).filter(|_| l4 <= end).ok_or(Refused::Truncated)?;
    if !ipv4::checksum_is_valid(quoted) {
        return Err(Refused::BadChecksum);
    }
    if header.fragment_offset() != 0 {
        return Err(Refused::Fragment);
    }
    let ports = ports(message, l4, end, header.protocol)?;
    Ok(Inner {
        source: header.source,
        destination: header.destination,
        protocol: header.protocol,
        source_port: ports.source.get(),
        destination_port: ports.destination.get(),
        l4,
        end,
    })
}

/// Finds the packet that an ICMPv6 error quotes.
///
/// `message` is the whole ICMPv6 message, without padding; its own checksum is for the caller to
/// verify.
pub fn parse_v6(message: &[u8]) -> Result<Inner<[u8; 16]>, Refused> {
    let outer: &IcmpHeader = wire::at(message, 0).ok_or(Refused::Truncated)?;
    let words = match outer.kind {
        icmp::v6::UNREACHABLE | icmp::v6::TIME_EXCEEDED => usize::from(outer.id.as_bytes()[0]),
        icmp::v6::PACKET_TOO_BIG | icmp::v6::PARAMETER_PROBLEM => 0, // an MTU or a pointer is there
        _ => return Err(Refused::Malformed),
    };
    let end = quoted_end(message, words * 8);

    let header: &Ipv6Header = wire::at(message, icmp::HEADER).ok_or(Refused::Truncated)?;
    let length = ipv6::HEADER + usize::from(header.payload_length.get());
    if header.version() != 6 {
        return Err(Refused::Malformed);
    }
    let end = end.min(icmp::HEADER + length);
    let quoted = message.get(icmp::HEADER..end).ok_or(Refused::Truncated)?;
    let upper = extensions::upper(quoted).map_err(|refused| match refused.reason {
        extensions::Reason::Truncated => Refused::Truncated,
        _ => Refused::Malformed,
    })?;
    if upper.protocol == protocol::ICMP {
        return Err(Refused::Malformed);
    }
    if upper.fragment.is_some_and(|fragment| fragment.offset != 0) {
        return Err(Refused::Fragment);
    }
    let l4 = icmp::HEADER + upper.offset;
    let ports = ports(message, l4, end, upper.protocol)?;
    Ok(Inner {
        source: header.source,
        destination: header.destination,
        protocol: upper.protocol,
        source_port: ports.source.get(),
        destination_port: ports.destination.get(),
        l4,
        end,
    })
}

/// One end of a quoted packet; `port` is the query id with ICMP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// The address.
    pub address: [u8; 4],
    /// The port or query id; not written where the protocol has none.
    pub port: u16,
}

/// What to write over an ICMP error and the packet that it quotes; `None` leaves a field as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rewrite {
    /// Who shall have sent the error.
    pub source: Option<[u8; 4]>,
    /// Whom the error is for.
    pub destination: Option<[u8; 4]>,
    /// Who shall have sent the quoted packet; its port is the id of a quoted query.
    pub inner_source: Option<Endpoint>,
    /// Whom the quoted packet shall have been for; its port is the id of a quoted query without
    /// `inner_source`.
    pub inner_destination: Option<Endpoint>,
}

/// Translates an ICMP error and the packet that it quotes, and updates every checksum by what has
/// changed under it.
///
/// `packet` starts with the outer IPv4 header; padding may follow it. The transport checksum of the
/// quoted packet is updated if it is quoted. When the error is refused nothing has been written.
pub fn translate(packet: &mut [u8], rewrite: &Rewrite) -> Result<(), Refused> {
    let (outer, whole) = ipv4::packet(packet).ok_or(Refused::Malformed)?;
    if outer.protocol != protocol::ICMP || outer.is_fragment() {
        return Err(Refused::Malformed);
    }
    let (start, end) = (outer.header_len(), whole.len());
    let message = packet.get_mut(start..end).ok_or(Refused::Malformed)?;
    let inner = parse_v4(message)?;

    // All that changes lies in the quoted headers, which start at an even offset.
    let headers = icmp::HEADER..inner.end.min(inner.l4 + tcp::HEADER);
    let quoted = message.get_mut(headers).ok_or(Refused::Malformed)?;
    let before = Sum::of(quoted).fold();
    rewrite_quoted(quoted, &inner, rewrite);
    let delta = Delta::of_u16(before, Sum::of(quoted).fold());
    update(message, icmp::CHECKSUM, |checksum| delta.apply(checksum));
    if let Some(outer) = wire::at_mut(packet, 0) {
        readdress(outer, rewrite.source, rewrite.destination);
    }
    Ok(())
}

/// Rewrites what is quoted of a packet, its network header first.
fn rewrite_quoted(quoted: &mut [u8], inner: &Inner<[u8; 4]>, rewrite: &Rewrite) {
    let Some(header) = wire::at_mut(quoted, 0) else { return };
    let (source, destination) = (rewrite.inner_source, rewrite.inner_destination);
    let addresses = readdress(header, source.map(|e| e.address), destination.map(|e| e.address));
    let l4 = inner.l4 - icmp::HEADER;
    let delta = if inner.protocol == protocol::ICMP {
        // No pseudo-header: the addresses do not count.
        write_port(quoted, l4 + icmp::ID, source.or(destination))
    } else if transport::has_ports(inner.protocol) {
        addresses + write_port(quoted, l4, source) + write_port(quoted, l4 + 2, destination)
    } else {
        return;
    };
    if let Some(offset) = transport::checksum_offset(inner.protocol) {
        update(quoted, l4 + offset, |checksum| delta.apply_to(inner.protocol, checksum));
    }
}

/// Replaces the addresses of a header and returns what that means to the checksums over them.
fn readdress(
    header: &mut Ipv4Header,
    source: Option<[u8; 4]>,
    destination: Option<[u8; 4]>,
) -> Delta {
    let (source, destination) =
        (source.unwrap_or(header.source), destination.unwrap_or(header.destination));
    let delta = Delta::of_bytes(&header.source, &source)
        + Delta::of_bytes(&header.destination, &destination);
    (header.source, header.destination) = (source, destination);
    header.update_checksum(delta);
    delta
}

/// Writes the port of an endpoint at `offset` and returns the change.
fn write_port(quoted: &mut [u8], offset: usize, endpoint: Option<Endpoint>) -> Delta {
    let mut delta = Delta::default();
    if let Some(Endpoint { port, .. }) = endpoint {
        update(quoted, offset, |old| {
            delta = Delta::of_u16(old, port);
            port
        });
    }
    delta
}

/// Replaces the word at `offset`, if the bytes go that far.
fn update(bytes: &mut [u8], offset: usize, change: impl FnOnce(u16) -> u16) {
    if let Some(word) = wire::at_mut::<U16>(bytes, offset) {
        *word = change(word.get()).into();
    }
}

/// Where the quoted packet ends in a message whose header gives it `length` octets (RFC 4884); 0 is
/// all of it.
fn quoted_end(message: &[u8], length: usize) -> usize {
    let end = if length == 0 { message.len() } else { icmp::HEADER + length };
    end.min(message.len())
}

/// The ports, or twice the query id, at the start of a quoted transport header.
fn ports(message: &[u8], l4: usize, end: usize, protocol: u8) -> Result<Ports, Refused> {
    let header = message.get(l4..end).ok_or(Refused::Truncated)?;
    let query: &IcmpHeader = wire::at(header, 0).ok_or(Refused::Truncated)?;
    let class = match protocol {
        protocol::ICMP => Class::of_v4(query.kind),
        protocol::ICMPV6 => Class::of_v6(query.kind),
        _ if transport::has_ports(protocol) => {
            return wire::at(header, 0).copied().ok_or(Refused::Truncated);
        }
        _ => return Ok(Ports { source: 0.into(), destination: 0.into() }),
    };
    match class {
        Class::EchoReply | Class::EchoRequest => {
            Ok(Ports { source: query.id, destination: query.id })
        }
        Class::Error | Class::Other => Err(Refused::NotQuery),
    }
}
