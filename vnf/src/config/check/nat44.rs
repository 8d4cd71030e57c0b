//! NAT: roles, pool, blocks and fixed translations fit together.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::below;
use super::interfaces::Network;
use crate::config::report::{Found, Place, Report};
use crate::config::section::interface::Interface;
use crate::config::section::nat44::Nat44;
use crate::config::settings::{
    Allocation, DeterministicSettings, Nat44Settings, NatLog, NatRole, StaticSettings,
};

/// Checks `[nat44]` against the interfaces.
pub(super) fn check(
    nat44: Option<Nat44>,
    network: &Network,
    workers: usize,
    report: &Report<'_>,
) -> Option<Nat44Settings> {
    let nat44 = nat44?;
    let internal = internal_subnets(network);
    check_pool(&nat44.pool, &internal, report);
    check_blocks(&nat44, report);
    check_fixed(&nat44, &internal, network, report);
    if let Some(found) =
        nat44.max_sessions.as_ref().filter(|found| (found.value as usize) < workers)
    {
        found.reject(report, format!("at least one session for each of the {workers} workers"));
    }
    let deterministic = deterministic(&nat44, &internal, report);
    if let Some(log) = nat44.log.as_ref()
        && log.value == NatLog::Blocks
        && nat44.allocation == Allocation::Dynamic
    {
        let expected = "\"none\" or \"sessions\" where allocation is \"dynamic\"";
        log.reject(report, expected);
    }
    Some(Nat44Settings {
        allocation: nat44.allocation,
        deterministic,
        exempts: nat44.exempts,
        filtering: nat44.filtering,
        forwards: nat44.forwards.into_iter().map(|found| found.value).collect(),
        hairpinning: nat44.hairpinning,
        log: nat44.log.map_or(NatLog::None, |log| log.value),
        log_file: nat44.log_file,
        mapping: nat44.mapping,
        max_blocks_per_host: nat44.max_blocks_per_host.map_or(DEFAULT_BLOCKS, |found| found.value),
        pool: nat44.pool.into_iter().map(|found| found.value).collect(),
        port_block_size: nat44.port_block_size.map_or(DEFAULT_BLOCK_SIZE, |found| found.value),
        port_range: nat44.port_range,
        reuse_hold: nat44.reuse_hold,
        statics: nat44.statics.into_iter().map(|found| found.value).collect(),
        tcp_mss_clamp: nat44.tcp_mss_clamp,
    })
}

/// Checks that both sides have a port, or none where there is no `[nat44]`.
pub(super) fn check_roles<'a>(
    nat44: Option<&Place>,
    interfaces: impl Iterator<Item = &'a Interface>,
    report: &Report<'_>,
) {
    let roles = interfaces.filter_map(|interface| interface.nat.as_ref()).collect::<Vec<_>>();
    let Some(place) = nat44 else {
        for role in roles.iter().filter(|role| role.value.is_some()) {
            role.reject(report, "no role, or a [nat44] table in the file");
        }
        return;
    };
    for (wanted, word) in [(NatRole::Internal, "internal"), (NatRole::External, "external")] {
        // One that could not be read may be the one that is missing.
        if !roles.iter().any(|role| role.value.is_none_or(|role| role == wanted)) {
            let message = format!("found no port with nat = \"{word}\", expected at least one");
            report.error(place, message);
        }
    }
}

fn internal_subnets(network: &Network) -> Vec<Ipv4Net> {
    let internal = network.interfaces.iter().filter(|port| port.nat == Some(NatRole::Internal));
    let nets = internal.flat_map(|port| &port.addresses).filter_map(|net| match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    });
    nets.collect()
}

fn check_pool(pool: &[Found<RangeInclusive<Ipv4Addr>>], internal: &[Ipv4Net], report: &Report<'_>) {
    let mut total = 0;
    for (index, found) in pool.iter().enumerate() {
        let range = &found.value;
        total += u64::from(range.end().to_bits() - range.start().to_bits()) + 1;
        if total > MAX_POOL {
            found.reject(report, format!("at most {MAX_POOL} addresses in the whole pool"));
            return;
        }
        let overlaps = |other: &RangeInclusive<Ipv4Addr>| {
            range.start() <= other.end() && other.start() <= range.end()
        };
        if let Some(other) = pool[..index].iter().find(|other| overlaps(&other.value)) {
            let (text, line) = (&other.text, other.place.line);
            found.reject(report, format!("addresses apart from {text} on line {line}"));
        }
        if let Some(net) = internal.iter().find(|net| overlaps(&(net.network()..=net.broadcast())))
        {
            found.reject(report, format!("addresses outside the internal subnet {net}"));
        }
    }
}

fn check_blocks(nat44: &Nat44, report: &Report<'_>) {
    let available = nat44.port_range.len();
    if let Some(found) = &nat44.port_block_size
        && usize::from(found.value) > available
    {
        found.reject(report, format!("at most {available}, the ports of port_range"));
        return;
    }
    let size = nat44.port_block_size.as_ref().map_or(DEFAULT_BLOCK_SIZE, |found| found.value);
    if nat44.allocation == Allocation::PortBlocks {
        let blocks = available / usize::from(size);
        if blocks == 0 {
            // The default size is to blame: a given one was checked above.
            let place = below(&nat44.place, "port_block_size");
            let message = format!("found {size} by default, expected at most {available}");
            report.error(&place, message);
        }
        if let Some(found) = &nat44.max_blocks_per_host
            && usize::from(found.value) > blocks
            && blocks > 0
        {
            found.reject(report, format!("at most {blocks}, the blocks of one address"));
        }
        return;
    }
    let given = [
        (&nat44.port_block_size, DEFAULT_BLOCK_SIZE),
        (&nat44.max_blocks_per_host, DEFAULT_BLOCKS),
    ];
    for (found, default) in given {
        if let Some(found) = found.as_ref().filter(|found| found.value != default) {
            let message = format!(
                "found {}, without effect unless allocation is \"port-blocks\"",
                found.text
            );
            report.warn(&found.place, message);
        }
    }
}

fn check_fixed(nat44: &Nat44, internal: &[Ipv4Net], network: &Network, report: &Report<'_>) {
    let inside = |address: Ipv4Addr| internal.iter().find(|net| net.contains(&address));
    let in_pool = |address: Ipv4Addr| nat44.pool.iter().any(|range| range.value.contains(&address));
    for (index, found) in nat44.statics.iter().enumerate() {
        let StaticSettings { external, internal } = found.value;
        let before = &nat44.statics[..index];
        let line = |other: &Found<StaticSettings>| other.place.line;
        if let Some(line) = before.iter().find(|other| other.value.external == external).map(line) {
            found.reject(report, format!("each external address once: line {line} has this one"));
        } else if let Some(net) = inside(external) {
            found.reject(report, format!("an address outside the internal subnet {net}"));
        } else if network.owns(IpAddr::V4(external)) {
            found.reject(report, "an address that is not a port's own");
        }
        let twice = before.iter().find(|other| other.value.internal == internal).map(line);
        if let Some(message) = not_internal(internal, in_pool(internal), twice) {
            let place = Place { key: sibling(&found.place.key), line: found.place.line };
            report.error(&place, message);
        }
    }
    for (index, found) in nat44.forwards.iter().enumerate() {
        let forward = &found.value;
        let whole = nat44.statics.iter().find(|one| one.value.external == forward.external);
        let before = nat44.forwards[..index].iter().find(|other| {
            let other = &other.value;
            let ports = other.external_ports.start() <= forward.external_ports.end()
                && forward.external_ports.start() <= other.external_ports.end();
            ports && (other.protocol, other.external) == (forward.protocol, forward.external)
        });
        if let Some(line) = before.map(|other| other.place.line) {
            found.reject(report, format!("each external port once: line {line} has it"));
        } else if let Some(line) = whole.map(|one| one.place.line) {
            found.reject(report, format!("an address not translated one to one on line {line}"));
        } else if let Some(net) = inside(forward.external) {
            found.reject(report, format!("an address outside the internal subnet {net}"));
        }
        if let Some(message) = not_internal(forward.internal, in_pool(forward.internal), None) {
            let place = Place { key: sibling(&found.place.key), line: found.place.line };
            report.error(&place, message);
        }
    }
}

fn not_internal(address: Ipv4Addr, in_pool: bool, twice: Option<usize>) -> Option<String> {
    match twice {
        Some(line) => Some(format!(
            "found {address}, expected each internal address once: line {line} has it"
        )),
        None if in_pool => {
            Some(format!("found {address}, expected an internal host, not an address of the pool"))
        }
        None => None,
    }
}

fn deterministic(
    nat44: &Nat44,
    subnets: &[Ipv4Net],
    report: &Report<'_>,
) -> Option<DeterministicSettings> {
    let read = &nat44.deterministic;
    for (index, found) in read.internal.iter().enumerate() {
        let overlaps = |other: &&Found<Ipv4Net>| {
            other.value.contains(&found.value) || found.value.contains(&other.value)
        };
        if let Some(other) = read.internal[..index].iter().find(overlaps) {
            let (text, line) = (&other.text, other.place.line);
            found.reject(report, format!("a prefix apart from {text} on line {line}"));
        }
    }
    if nat44.allocation != Allocation::Deterministic {
        return None;
    }
    let given = read.internal.iter().map(|found| found.value).collect::<Vec<_>>();
    let internal = if given.is_empty() { subnets.to_vec() } else { given };
    let size = |net: &Ipv4Net| 1u64 << (32 - net.prefix_len());
    let hosts: u64 = internal.iter().map(size).sum();
    let addresses: u64 = nat44
        .pool
        .iter()
        .map(|found| u64::from(found.value.end().to_bits() - found.value.start().to_bits()) + 1)
        .sum();
    let kept = |port: &u16| !read.reserved_ports.iter().any(|reserved| reserved.contains(port));
    let ports = nat44.port_range.clone().filter(kept).count() as u64;
    // RFC 7422 section 2.2: hosts of one address, and as many shares again for overflow.
    let shares = hosts.div_ceil(addresses.max(1)) + u64::from(read.overflow_factor);
    if addresses > 0 && ports / shares.max(1) == 0 {
        let place = read.place.as_ref().unwrap_or(&nat44.place);
        let message = format!(
            "found {hosts} hosts on {addresses} addresses of {ports} ports, expected at least one port for each"
        );
        report.error(place, message);
    }
    Some(DeterministicSettings {
        internal,
        overflow_factor: read.overflow_factor,
        reserved_ports: read.reserved_ports.clone(),
    })
}

/// `internal` beside the `external` of the same table.
fn sibling(external: &str) -> String {
    external.strip_suffix("external").map_or_else(String::new, |table| format!("{table}internal"))
}

const DEFAULT_BLOCKS: u16 = 4;
const DEFAULT_BLOCK_SIZE: u16 = 512;
const MAX_POOL: u64 = 65_536;
