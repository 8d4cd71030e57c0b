//! How a packet leaves the pipeline: every way has a name, every name is a counter, a metric label and a line of help.

use super::ids::WorkerId;

/// How a packet that is not simply transmitted leaves the pipeline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The VNF answers in place: the frame now is the reply and goes back where it came from.
    Answer,
    /// Dropped and counted.
    Drop(DropReason),
    /// For a service on the box: it leaves through the interface's tap.
    Exception,
    /// Ready to leave, but larger than the next hop takes: it leaves in fragments.
    Fragment,
    /// The flow belongs to another worker; the packet travels, its state does not.
    HandOver(WorkerId),
    /// The worker keeps the packet until its next hop is resolved.
    Hold,
    /// An ARP or ND message: answered in place, or its content told to management.
    Neighbor,
    /// A fragment of something that the VNF itself is asked: put together with the others, then answered.
    Reassemble,
    /// Answered with an ICMP error or a TCP reset, then dropped under the reason.
    Reject(Rejection, DropReason),
    /// A SYN that NAT does not admit: kept for a while, then answered and dropped under the reason (RFC 5382 REQ-4).
    Wait(DropReason),
}

/// What the sender of a rejected packet is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejection {
    /// Destination unreachable, administratively prohibited (RFC 1812 5.2.7.1), or a TCP reset.
    AdministrativelyProhibited,
    /// Fragmentation needed or packet too big, with the MTU of the next hop in octets.
    FragmentationNeeded(u16),
    /// Destination host unreachable: the neighbour does not answer, or nothing can be mapped (RFC 6888 REQ-11b).
    HostUnreachable,
    /// Destination network unreachable: no route.
    NetworkUnreachable,
    /// Parameter problem: its code, and the octet of the IP packet that is at fault.
    ParameterProblem(u8, u32),
    /// Destination port unreachable.
    PortUnreachable,
    /// Destination protocol unreachable.
    ProtocolUnreachable,
    /// Fragment reassembly time exceeded.
    ReassemblyTimeExceeded,
    /// Time to live or hop limit exceeded in transit.
    TimeExceeded,
    /// Destination port unreachable, in ICMP for TCP too (RFC 5382 REQ-4).
    UnsolicitedSyn,
}

macro_rules! reasons {
    ($($variant:ident $name:literal $help:literal)*) => {
        /// Why a packet was dropped. A closed list, in alphabetical order.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum DropReason { $(#[doc = $help] $variant,)* }

        impl DropReason {
            /// Every reason, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason's name in counters, metrics and JSON.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One line on what happened and where to look.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

reasons! {
    AclDenied "acl-denied" "A rule or the default of the port's ACL denied or rejected the packet."
    ArpInvalid "arp-invalid" "An ARP message that RFC 826 does not allow, or that names an impossible address."
    EthernetBadSource "ethernet-bad-source" "The source MAC address is a group address or the VNF's own."
    ExceptionLimit "exception-limit" "For a service on the box, but more than the exception path takes at once or in a second."
    FragmentInvalid "fragment-invalid" "A fragment that overlaps another, is empty, misaligned, too small to be filtered, or ends beyond 65,535 octets."
    FragmentLimit "fragment-limit" "A fragment whose datagram could not be tracked: too many at once, or its first fragment never came."
    HandoverFull "handover-full" "The ring to the worker that owns the flow was full."
    HopLimitExpired "hop-limit-expired" "The IPv6 hop limit ran out here."
    IcmpBadChecksum "icmp-bad-checksum" "The checksum of an ICMP message, or of the IPv4 header it quotes, is wrong (RFC 5508 REQ-3)."
    IcmpErrorUnmatched "icmp-error-unmatched" "An ICMP error about a flow that has no session, or that quotes too little of it."
    IcmpUnsupported "icmp-unsupported" "An ICMP message that NAT does not translate (RFC 5508 REQ-11)."
    Ipv4BadChecksum "ipv4-bad-checksum" "The IPv4 header checksum is wrong."
    Ipv4BadHeader "ipv4-bad-header" "The IPv4 version, header length or total length contradicts the frame."
    Ipv4Options "ipv4-options" "Malformed IPv4 options, a source route (RFC 7126), or any options where the port takes none."
    Ipv6BadHeader "ipv6-bad-header" "The IPv6 version, payload length or extension headers contradict the frame or RFC 8200."
    L2Group "l2-group" "A link-layer broadcast or multicast that carries a unicast IP packet, or a group the VNF did not join."
    Martian "martian" "A source or destination address that cannot be right where the packet came in."
    MtuExceeded "mtu-exceeded" "Larger than the MTU of the next hop and not to be fragmented; the sender was told."
    NatBypass "nat-bypass" "From an external port straight to an internal address."
    NatFiltered "nat-filtered" "The mapping exists, but its filtering does not admit this remote endpoint (RFC 4787 REQ-8)."
    NatHostLimit "nat-host-limit" "The internal host has reached its limit of sessions or of new sessions a second."
    NatNoMapping "nat-no-mapping" "No mapping for this external endpoint."
    NatPortsExhausted "nat-ports-exhausted" "The external address paired with the host has no free port."
    NatSessionLimit "nat-session-limit" "The session, mapping or host table is full; existing sessions go on."
    NatUnsupported "nat-unsupported" "A protocol that shared addresses cannot carry; it needs a static mapping."
    NdInvalid "nd-invalid" "A neighbour discovery message that RFC 4861 does not allow."
    NeighborUnresolved "neighbor-unresolved" "The next hop did not answer ARP or ND in time, or too many packets waited for it."
    NoLocalService "no-local-service" "For one of the VNF's own addresses, where nothing listens."
    NoRoute "no-route" "No route to the destination, or a blackhole."
    NotForUs "not-for-us" "The destination MAC address is not the VNF's."
    SourceValidation "source-validation" "The route to the source does not lead back to where the packet came in (RFC 3704)."
    TcpBadFlags "tcp-bad-flags" "A combination of TCP flags that no connection uses."
    TcpNotSyn "tcp-not-syn" "A TCP segment other than a SYN that belongs to no session."
    TooShort "too-short" "The frame ends before its headers do."
    TransportBadHeader "transport-bad-header" "The TCP data offset or the UDP length contradicts the packet."
    TtlExpired "ttl-expired" "The IPv4 time to live ran out here."
    TxFull "tx-full" "The port's transmit queue was full."
    UnknownEthertype "unknown-ethertype" "Neither IPv4, IPv6 nor ARP, or a VLAN that is not configured."
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_sorted_and_unique() {
        let names: Vec<&str> = DropReason::ALL.iter().map(|r| r.name()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        assert!(
            names.iter().all(|n| n.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')))
        );
    }

    #[test]
    fn every_reason_has_a_sentence_of_help() {
        assert!(DropReason::ALL.iter().all(|r| r.help().ends_with('.')));
    }
}
