//! `[nat44]` and what hangs on it.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::config::reader::{Node, Parsed, Reader};
use crate::config::report::{Found, Place};
use crate::config::section::route::vrf;
use crate::config::settings::{
    Allocation, ExemptSettings, Filtering, FilteringByProtocol, ForwardSettings, Mapping, NatLog,
    SessionSettings, StaticSettings, Timeouts,
};
use crate::config::values::{self, show_duration};

/// `[nat44]` as read, what depends on the rest of the file not yet checked.
pub(in crate::config) struct Nat44 {
    pub(in crate::config) allocation: Allocation,
    pub(in crate::config) deterministic: Deterministic,
    pub(in crate::config) exempts: Vec<InVrf<ExemptSettings>>,
    pub(in crate::config) filtering: FilteringByProtocol,
    pub(in crate::config) forwards: Vec<Fixed<ForwardSettings>>,
    pub(in crate::config) hairpinning: bool,
    pub(in crate::config) inbound_refresh: bool,
    pub(in crate::config) journal: Option<PathBuf>,
    pub(in crate::config) log: Option<Found<NatLog>>,
    pub(in crate::config) log_file: PathBuf,
    pub(in crate::config) mapping: Mapping,
    pub(in crate::config) max_blocks_per_host: Option<Found<u16>>,
    pub(in crate::config) max_held_ports: u32,
    pub(in crate::config) max_sessions: Option<Found<u32>>,
    pub(in crate::config) place: Place,
    pub(in crate::config) pool: Vec<Found<RangeInclusive<Ipv4Addr>>>,
    pub(in crate::config) port_block_size: Option<Found<u16>>,
    pub(in crate::config) port_range: RangeInclusive<u16>,
    pub(in crate::config) reuse_hold: Duration,
    pub(in crate::config) sessions: SessionSettings,
    pub(in crate::config) statics: Vec<Fixed<StaticSettings>>,
    pub(in crate::config) tcp_mss_clamp: u16,
}

/// A fixed translation, with where its two sides stand.
pub(in crate::config) struct Fixed<T> {
    pub(in crate::config) external: Found<()>,
    pub(in crate::config) internal: Found<()>,
    pub(in crate::config) settings: T,
    pub(in crate::config) vrf: Option<Found<String>>,
}

/// What belongs to the internal side of a VRF.
pub(in crate::config) struct InVrf<T> {
    pub(in crate::config) settings: T,
    pub(in crate::config) vrf: Option<Found<String>>,
}

/// `[nat44.deterministic]` as read; no `place`: the table is not there.
pub(in crate::config) struct Deterministic {
    pub(in crate::config) internal: Vec<Found<Ipv4Net>>,
    pub(in crate::config) overflow_factor: u16,
    pub(in crate::config) place: Option<Place>,
    pub(in crate::config) reserved_ports: Vec<RangeInclusive<u16>>,
}

/// Reads `[nat44]`.
pub(in crate::config) fn nat44(nat44: Reader<'_>) -> Nat44 {
    let mapping = nat44.optional("mapping").and_then(|node| {
        node.choice(&[
            ("endpoint-independent", Mapping::EndpointIndependent),
            ("address-and-port-dependent", Mapping::AddressAndPortDependent),
        ])
    });
    let allocation = nat44.optional("allocation").and_then(|node| {
        node.choice(&[
            ("dynamic", Allocation::Dynamic),
            ("port-blocks", Allocation::PortBlocks),
            ("deterministic", Allocation::Deterministic),
        ])
    });
    let log = nat44.optional("log").and_then(|node| {
        let logs =
            [("none", NatLog::None), ("sessions", NatLog::Sessions), ("blocks", NatLog::Blocks)];
        node.choice(&logs).map(|log| node.found(log))
    });
    let path = |key, expected| {
        nat44.optional(key).and_then(|node| {
            node.string(expected, |text| {
                let path = !text.is_empty() && !text.contains('\0');
                if path { Ok(PathBuf::from(text)) } else { Err(None) }
            })
        })
    };
    let log_file = path("log_file", "the path of a file");
    let journal = path("journal", "\"none\" or the path of a file");
    let max_sessions = nat44.optional("max_sessions");
    let max_sessions = max_sessions.and_then(|node| node.integer(1..=200_000_000));
    let number = |key, bounds| {
        nat44.optional(key).and_then(|node| node.integer::<u32>(bounds)).map(|found| found.value)
    };
    let sessions = SessionSettings {
        max_sessions: max_sessions.as_ref().map_or(1_000_000, |found| found.value),
        max_sessions_per_host: number("max_sessions_per_host", 1..=200_000_000).unwrap_or(4096),
        new_sessions_per_host: number("new_sessions_per_host", 0..=10_000_000).unwrap_or(0),
        timeouts: timeouts(nat44.table("timeouts")),
    };
    let read = Nat44 {
        allocation: allocation.unwrap_or(Allocation::Dynamic),
        deterministic: deterministic(nat44.optional_table("deterministic")),
        exempts: nat44.tables("exempt", None).into_iter().map(exempt).collect(),
        filtering: filtering(&nat44),
        forwards: nat44.tables("forward", None).into_iter().filter_map(forward).collect(),
        hairpinning: nat44.optional("hairpinning").and_then(|node| node.boolean()).unwrap_or(true),
        inbound_refresh: nat44
            .optional("inbound_refresh")
            .and_then(|node| node.boolean())
            .unwrap_or(false),
        journal: journal.map(|found| found.value).filter(|path| path.as_os_str() != "none"),
        log,
        log_file: log_file.map_or_else(|| PathBuf::from("/var/log/vnf/nat.jsonl"), |log| log.value),
        mapping: mapping.unwrap_or(Mapping::EndpointIndependent),
        max_blocks_per_host: nat44
            .optional("max_blocks_per_host")
            .and_then(|n| n.integer(1..=65535)),
        max_held_ports: number("max_held_ports", 0..=200_000_000).unwrap_or(0),
        max_sessions,
        place: nat44.place().clone(),
        pool: pool(&nat44),
        port_block_size: nat44.optional("port_block_size").and_then(|n| n.integer(1..=65535)),
        port_range: nat44
            .optional("port_range")
            .and_then(|node| node.string(PORT_RANGE, usable_ports))
            .map_or(1024..=65535, |range| range.value),
        reuse_hold: rest(&nat44),
        sessions,
        statics: nat44
            .tables("static", Some("external"))
            .into_iter()
            .filter_map(one_to_one)
            .collect(),
        tcp_mss_clamp: nat44.optional("tcp_mss_clamp").and_then(mss).unwrap_or(0),
    };
    nat44.finish();
    read
}

/// What holds without `[nat44]`.
pub(in crate::config) fn default_sessions() -> SessionSettings {
    SessionSettings {
        max_sessions: 1_000_000,
        max_sessions_per_host: 4096,
        new_sessions_per_host: 0,
        timeouts: Timeouts {
            icmp: Duration::from_secs(60),
            tcp_established: Duration::from_secs(7440),
            tcp_transitory: Duration::from_secs(240),
            udp: Duration::from_secs(300),
        },
    }
}

/// One word for all protocols, or a table with one for each.
fn filtering(nat44: &Reader<'_>) -> FilteringByProtocol {
    let strictest = Filtering::AddressAndPortDependent;
    let word = |node: Node<'_>| {
        node.choice(&[
            ("address-and-port-dependent", strictest),
            ("address-dependent", Filtering::AddressDependent),
            ("endpoint-independent", Filtering::EndpointIndependent),
        ])
    };
    let Some(node) = nat44.optional("filtering") else {
        return FilteringByProtocol::all(strictest);
    };
    let Some(table) = node.table() else {
        return FilteringByProtocol::all(word(node).unwrap_or(strictest));
    };
    let of = |protocol| table.optional(protocol).and_then(word).unwrap_or(strictest);
    let read = FilteringByProtocol { icmp: of("icmp"), tcp: of("tcp"), udp: of("udp") };
    table.finish();
    read
}

fn timeouts(timeouts: Reader<'_>) -> Timeouts {
    let default = default_sessions().timeouts;
    let timeout = |key, least: u64, requirement: &str, default| {
        let found = timeouts.optional(key).and_then(|node| node.duration(SECOND..=WEEK));
        if let Some(found) = &found {
            warn_below(&timeouts, found, Duration::from_secs(least), requirement);
        }
        found.map_or(default, |found| found.value)
    };
    let read = Timeouts {
        icmp: timeout("icmp", 60, "RFC 5508 REQ-2", default.icmp),
        tcp_established: timeout(
            "tcp_established",
            7440,
            "RFC 5382 REQ-5",
            default.tcp_established,
        ),
        tcp_transitory: timeout("tcp_transitory", 240, "RFC 5382 REQ-5", default.tcp_transitory),
        udp: timeout("udp", 120, "RFC 4787 REQ-5", default.udp),
    };
    timeouts.finish();
    read
}

fn warn_below(reader: &Reader<'_>, found: &Found<Duration>, least: Duration, requirement: &str) {
    if found.value < least {
        let least = show_duration(least);
        let message = format!("found {}, below the {least} of {requirement}", found.text);
        reader.report().warn(&found.place, message);
    }
}

fn rest(nat44: &Reader<'_>) -> Duration {
    let recommended = Duration::from_secs(120);
    let node = nat44.optional("reuse_hold");
    let found = node.and_then(|node| node.duration(Duration::ZERO..=DAY));
    if let Some(found) = &found {
        warn_below(nat44, found, recommended, "RFC 6888 REQ-8");
    }
    found.map_or(recommended, |found| found.value)
}

fn pool(nat44: &Reader<'_>) -> Vec<Found<RangeInclusive<Ipv4Addr>>> {
    let Some(node) = nat44.required("pool", POOL) else { return Vec::new() };
    let Some(nodes) = node.list(POOL) else { return Vec::new() };
    if nodes.is_empty() {
        node.reject(POOL);
    }
    let ranges = nodes.iter().filter_map(|node| {
        node.string(A_RANGE, |text| {
            let range = values::ipv4_range(text)?;
            let usable = [range.start(), range.end()].map(|end| values::is_host((*end).into()));
            match usable {
                [true, true] => Ok(range),
                _ => Err(Some("addresses that a host may have".to_owned())),
            }
        })
    });
    ranges.collect()
}

fn deterministic(table: Option<Reader<'_>>) -> Deterministic {
    let mut read = Deterministic {
        internal: Vec::new(),
        overflow_factor: 0,
        place: None,
        reserved_ports: Vec::new(),
    };
    let Some(table) = table else { return read };
    read.place = Some(table.place().clone());
    if let Some(nodes) = table.optional("internal").and_then(|node| node.list("a list of prefixes"))
    {
        let net = |node: &Node<'_>| node.string("an IPv4 prefix", values::ipv4_net);
        read.internal = nodes.iter().filter_map(net).collect();
    }
    let overflow = table.optional("overflow_factor").and_then(|node| node.integer(0..=65535));
    read.overflow_factor = overflow.map_or(0, |found| found.value);
    let expected = "a list of ports and ranges such as \"5000-5010\"";
    if let Some(nodes) = table.optional("reserved_ports").and_then(|node| node.list(expected)) {
        let ports = nodes.iter().filter_map(|node| node.ports("a port or a range of ports"));
        read.reserved_ports = ports.map(|found| found.value).collect();
    }
    table.finish();
    read
}

fn one_to_one(table: Reader<'_>) -> Option<Fixed<StaticSettings>> {
    let external = table.required("external", AN_ADDRESS);
    let external = external.and_then(|node| node.string(AN_ADDRESS, host));
    let internal = table.required("internal", AN_ADDRESS);
    let internal = internal.and_then(|node| node.string(AN_ADDRESS, host));
    let vrf = vrf(&table, "vrf");
    table.finish();
    let (external, internal) = (external?, internal?);
    let settings = StaticSettings { external: external.value, internal: internal.value, vrf: 0 };
    Some(Fixed { external: external.bare(), internal: internal.bare(), settings, vrf })
}

fn forward(table: Reader<'_>) -> Option<Fixed<ForwardSettings>> {
    let protocol = table.required("protocol", "\"tcp\" or \"udp\"");
    let protocol = protocol.and_then(|node| node.choice(&[("tcp", 6), ("udp", 17)]));
    let external = table.required("external", AN_ENDPOINT);
    let external = external.and_then(|node| node.string(AN_ENDPOINT, endpoint));
    let internal = table.required("internal", AN_ENDPOINT);
    let internal = internal.and_then(|node| node.string(AN_ENDPOINT, endpoint));
    let vrf = vrf(&table, "vrf");
    let report = table.report();
    table.finish();
    let (protocol, external, internal) = (protocol?, external?, internal?);
    let (external_address, external_ports) = external.value.clone();
    let (internal_address, internal_ports) = internal.value.clone();
    if external_ports.len() != internal_ports.len() {
        let ports = external_ports.len();
        internal.reject(report, format!("as many ports as in external: {ports}"));
        return None;
    }
    let settings = ForwardSettings {
        external: external_address,
        external_ports,
        internal: internal_address,
        internal_ports,
        protocol,
        vrf: 0,
    };
    Some(Fixed { external: external.bare(), internal: internal.bare(), settings, vrf })
}

fn exempt(table: Reader<'_>) -> InVrf<ExemptSettings> {
    let nets = |key| -> Vec<Ipv4Net> {
        let node = table.optional(key).filter(|node| node.as_str() != Some("any"));
        let Some(node) = node else { return Vec::new() };
        let (report, whole) = (node.report(), node.found(()));
        let nodes = node.one_or_many();
        if nodes.is_empty() {
            whole.reject(report, EXEMPT);
        }
        let nets = nodes.iter().filter_map(|node| node.string(EXEMPT, values::ipv4_net));
        nets.map(|net| net.value).collect()
    };
    let settings =
        ExemptSettings { destination: nets("destination"), source: nets("source"), vrf: 0 };
    let read = InVrf { settings, vrf: vrf(&table, "vrf") };
    table.finish();
    read
}

fn mss(node: Node<'_>) -> Option<u16> {
    match node.as_integer() {
        Some(number @ (0 | 536..=9176)) => u16::try_from(number).ok(),
        _ => {
            node.reject("0 for none, or a whole number from 536 to 9176");
            None
        }
    }
}

/// Ports to translate to; 0 is none (RFC 6335 section 6).
fn usable_ports(text: &str) -> Parsed<RangeInclusive<u16>> {
    values::ports(text).and_then(|ports| if *ports.start() == 0 { Err(None) } else { Ok(ports) })
}

fn host(text: &str) -> Parsed<Ipv4Addr> {
    let address = text.parse::<Ipv4Addr>().ok();
    address.filter(|address| values::is_host((*address).into())).ok_or(None)
}

fn endpoint(text: &str) -> Parsed<(Ipv4Addr, RangeInclusive<u16>)> {
    let (address, ports) = text.split_once(':').ok_or(None)?;
    Ok((host(address)?, usable_ports(ports)?))
}

const AN_ADDRESS: &str = "an IPv4 address that a host may have";
const AN_ENDPOINT: &str =
    "an IPv4 address with a port or a range, such as \"198.51.100.10:8000-8009\"";
const A_RANGE: &str =
    "an IPv4 range such as \"198.51.100.10-198.51.100.13\", a prefix or an address";
const DAY: Duration = Duration::from_secs(86_400);
const EXEMPT: &str = "\"any\", an IPv4 prefix or address, or a list of these";
const POOL: &str = "a list of IPv4 ranges, prefixes or addresses, at least one";
const PORT_RANGE: &str = "a range of ports from 1 to 65535 such as \"1024-65535\"";
const SECOND: Duration = Duration::from_secs(1);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
