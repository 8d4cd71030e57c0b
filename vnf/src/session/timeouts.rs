//! How long a session lives without a packet.

use super::Session;
use crate::wire::protocol;

/// Timeouts in milliseconds (RFC 4787 REQ-5, RFC 5382 REQ-5, RFC 5508 REQ-2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// UDP and every protocol without a state of its own.
    pub udp: u32,
    /// TCP with SYNs seen in both directions, and not both FINs or a RST.
    pub tcp_established: u32,
    /// TCP otherwise.
    pub tcp_transitory: u32,
    /// ICMP and ICMPv6 queries.
    pub icmp: u32,
}

impl Timeouts {
    /// The timeout that applies to a session now.
    #[inline]
    pub fn of(&self, session: &Session) -> u32 {
        match session.protocol() {
            protocol::TCP if session.tcp_state().transitory() => self.tcp_transitory,
            protocol::TCP => self.tcp_established,
            protocol::ICMP | protocol::ICMPV6 => self.icmp,
            _ => self.udp,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { udp: 300_000, tcp_established: 7_440_000, tcp_transitory: 240_000, icmp: 60_000 }
    }
}
