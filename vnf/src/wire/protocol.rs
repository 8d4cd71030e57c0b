//! IP protocol numbers (IPv6: next header values), named as IANA's registry names them.

/// Hop-by-hop options (RFC 8200).
pub const HOPOPT: u8 = 0;
/// Internet Control Message Protocol (RFC 792).
pub const ICMP: u8 = 1;
/// IPv4 encapsulation (RFC 2003).
pub const IPV4: u8 = 4;
/// Transmission Control Protocol (RFC 9293).
pub const TCP: u8 = 6;
/// User Datagram Protocol (RFC 768).
pub const UDP: u8 = 17;
/// Datagram Congestion Control Protocol (RFC 4340).
pub const DCCP: u8 = 33;
/// IPv6 encapsulation (RFC 2473).
pub const IPV6: u8 = 41;
/// IPv6 routing header (RFC 8200).
pub const IPV6_ROUTE: u8 = 43;
/// IPv6 fragment header (RFC 8200).
pub const IPV6_FRAG: u8 = 44;
/// Generic Routing Encapsulation (RFC 2784).
pub const GRE: u8 = 47;
/// Encapsulating Security Payload (RFC 4303).
pub const ESP: u8 = 50;
/// Authentication Header (RFC 4302).
pub const AH: u8 = 51;
/// Internet Control Message Protocol for IPv6 (RFC 4443).
pub const ICMPV6: u8 = 58;
/// No next header (RFC 8200).
pub const IPV6_NO_NEXT: u8 = 59;
/// IPv6 destination options (RFC 8200).
pub const IPV6_OPTS: u8 = 60;
/// Stream Control Transmission Protocol (RFC 9260).
pub const SCTP: u8 = 132;
/// Lightweight User Datagram Protocol (RFC 3828).
pub const UDP_LITE: u8 = 136;
