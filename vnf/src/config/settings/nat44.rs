//! `[nat44]` and what hangs on it.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::wire::protocol;

/// `[nat44]`; the limits and timeouts of sessions are in `Settings::sessions`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nat44Settings {
    /// How external ports are chosen.
    pub allocation: Allocation,
    /// `[nat44.deterministic]`, defaults filled in; set where `allocation` is deterministic.
    pub deterministic: Option<DeterministicSettings>,
    /// `[[nat44.exempt]]`.
    pub exempts: Vec<ExemptSettings>,
    /// Which remote endpoints may answer.
    pub filtering: FilteringByProtocol,
    /// `[[nat44.forward]]`.
    pub forwards: Vec<ForwardSettings>,
    /// Whether internal hosts reach each other through external endpoints (RFC 4787 REQ-9).
    pub hairpinning: bool,
    /// Whether packets from outside keep mappings of UDP and ICMP queries alive (RFC 4787 REQ-6a).
    pub inbound_refresh: bool,
    /// Where it is kept which ports may be in use, so that they rest after a crash too (RFC 6888 REQ-8).
    pub journal: Option<PathBuf>,
    /// The VRF of the external side, to which the pool belongs: an index into `Settings::vrfs`.
    pub external_vrf: usize,
    /// The VRF of the internal side, where there is one only.
    pub internal_vrf: usize,
    /// What is logged.
    pub log: NatLog,
    /// Where to.
    pub log_file: PathBuf,
    /// How mappings are reused.
    pub mapping: Mapping,
    /// Blocks of one host, with port blocks.
    pub max_blocks_per_host: u16,
    /// How many freed external endpoints may rest; 0: any number.
    pub max_held_ports: u32,
    /// The external addresses, 1 to 65,536, no address twice.
    pub pool: Vec<RangeInclusive<Ipv4Addr>>,
    /// Ports of one block, with port blocks; at least 1, at most the length of `port_range`.
    pub port_block_size: u16,
    /// The external ports of every pool address; starts at 1 or above.
    pub port_range: RangeInclusive<u16>,
    /// How long a freed external endpoint rests (RFC 6888 REQ-8).
    pub reuse_hold: Duration,
    /// `[[nat44.static]]`.
    pub statics: Vec<StaticSettings>,
    /// The largest TCP MSS let through; 0: unchanged.
    pub tcp_mss_clamp: u16,
}

/// `nat44.allocation`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allocation {
    /// Computed from the internal address (RFC 7422).
    Deterministic,
    /// Unguessable, port by port.
    Dynamic,
    /// In blocks that belong to one host.
    PortBlocks,
}

/// `nat44.mapping` (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mapping {
    /// A new mapping for each remote endpoint.
    AddressAndPortDependent,
    /// One mapping for all remote endpoints.
    EndpointIndependent,
}

/// `nat44.filtering` (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filtering {
    /// From remote endpoints already sent to.
    AddressAndPortDependent,
    /// From remote addresses already sent to, any port.
    AddressDependent,
    /// From anywhere.
    EndpointIndependent,
}

/// `nat44.filtering`, for every protocol that shares addresses (RFC 5382 REQ-3b, RFC 7857 section 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FilteringByProtocol {
    /// Of ICMP queries.
    pub icmp: Filtering,
    /// Of TCP connections.
    pub tcp: Filtering,
    /// Of UDP, and of every other protocol.
    pub udp: Filtering,
}

impl FilteringByProtocol {
    /// The same for all.
    pub fn all(filtering: Filtering) -> Self {
        Self { icmp: filtering, tcp: filtering, udp: filtering }
    }

    /// That of a protocol, by its number.
    pub fn of(&self, number: u8) -> Filtering {
        match number {
            protocol::ICMP => self.icmp,
            protocol::TCP => self.tcp,
            _ => self.udp,
        }
    }

    /// Whether it is this for any protocol.
    pub fn any(&self, filtering: Filtering) -> bool {
        [self.icmp, self.tcp, self.udp].contains(&filtering)
    }
}

/// `nat44.log`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NatLog {
    /// Port blocks given and taken back.
    Blocks,
    /// Nothing.
    None,
    /// Sessions opened and closed.
    Sessions,
}

/// `[nat44.deterministic]`, with RFC 7422's letters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeterministicSettings {
    /// I: internal subnets, in order.
    pub internal: Vec<Ipv4Net>,
    /// D: the share of ports kept for hosts that run out, as a divisor; 0: none.
    pub overflow_factor: u16,
    /// R: external ports never used.
    pub reserved_ports: Vec<RangeInclusive<u16>>,
}

/// `[[nat44.static]]`: one to one, all protocols and ports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StaticSettings {
    /// The external address, of this host alone.
    pub external: Ipv4Addr,
    /// The internal host.
    pub internal: Ipv4Addr,
    /// The host's VRF, an index into `Settings::vrfs`.
    pub vrf: usize,
}

/// `[[nat44.forward]]`: external ports, one by one, to as many internal ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForwardSettings {
    /// The external address.
    pub external: Ipv4Addr,
    /// The external ports.
    pub external_ports: RangeInclusive<u16>,
    /// The internal host.
    pub internal: Ipv4Addr,
    /// As many internal ports.
    pub internal_ports: RangeInclusive<u16>,
    /// The IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// The internal host's VRF, an index into `Settings::vrfs`.
    pub vrf: usize,
}

/// `[[nat44.exempt]]`: internal to external without translation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExemptSettings {
    /// External destinations; empty: any.
    pub destination: Vec<Ipv4Net>,
    /// Internal sources; empty: any.
    pub source: Vec<Ipv4Net>,
    /// The VRF of the sources, an index into `Settings::vrfs`.
    pub vrf: usize,
}
