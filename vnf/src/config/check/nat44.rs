//! NAT: roles, pool, blocks and fixed translations fit together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::below;
use super::interfaces::Network;
use crate::config::report::{Found, Place, Report};
use crate::config::section::interface::Interface;
use crate::config::section::nat44::Nat44;
use crate::config::settings::{
    Allocation, DeterministicSettings, ForwardSettings, Nat44Settings, NatLog, NatRole,
    StaticSettings,
};

/// Checks `[nat44]` against the interfaces.
pub(super) fn check(
    nat44: Option<Nat44>,
    network: &Network,
    workers: usize,
    report: &Report<'_>,
) -> Option<Nat44Settings> {
    let mut nat44 = nat44?;
    name_vrfs(&mut nat44, network, report);
    let [external_vrf, internal_vrf] = [NatRole::External, NatRole::Internal]
        .map(|role| network.interfaces.iter().find(|port| port.nat == Some(role)))
        .map(|port| port.map_or(0, |port| port.vrf));
    // Another VRF may have the same addresses as the pool.
    let beside = internal_subnets(network, Some(external_vrf));
    check_pool(&nat44.pool, &beside, report);
    check_blocks(&nat44, workers, report);
    check_fixed(&nat44, &beside, external_vrf, network, report);
    if let Some(found) =
        nat44.max_sessions.as_ref().filter(|found| (found.value as usize) < workers)
    {
        found.reject(report, format!("at least one session for each of the {workers} workers"));
    }
    let deterministic = deterministic(&nat44, &internal_subnets(network, None), report);
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
        exempts: nat44.exempts.into_iter().map(|exempt| exempt.settings).collect(),
        external_vrf,
        internal_vrf,
        filtering: nat44.filtering,
        forwards: nat44.forwards.into_iter().map(|fixed| fixed.settings).collect(),
        hairpinning: nat44.hairpinning,
        inbound_refresh: nat44.inbound_refresh,
        journal: nat44.journal,
        log: nat44.log.map_or(NatLog::None, |log| log.value),
        log_file: nat44.log_file,
        mapping: nat44.mapping,
        max_blocks_per_host: nat44.max_blocks_per_host.map_or(DEFAULT_BLOCKS, |found| found.value),
        max_held_ports: nat44.max_held_ports,
        pool: nat44.pool.into_iter().map(|found| found.value).collect(),
        port_block_size: nat44.port_block_size.map_or(DEFAULT_BLOCK_SIZE, |found| found.value),
        port_range: nat44.port_range,
        reuse_hold: nat44.reuse_hold,
        statics: nat44.statics.into_iter().map(|fixed| fixed.settings).collect(),
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

/// Turns the names of VRFs into indexes.
fn name_vrfs(nat44: &mut Nat44, network: &Network, report: &Report<'_>) {
    let find = |name: &Option<Found<String>>| network.vrfs.find(name.as_ref(), report);
    nat44.statics.iter_mut().for_each(|fixed| fixed.settings.vrf = find(&fixed.vrf));
    nat44.forwards.iter_mut().for_each(|fixed| fixed.settings.vrf = find(&fixed.vrf));
    nat44.exempts.iter_mut().for_each(|exempt| exempt.settings.vrf = find(&exempt.vrf));
}

/// Checks that the external ports are in one VRF, to which the pool belongs; with deterministic allocation the internal
/// ones too: it computes ports from an address alone.
pub(super) fn check_vrfs<'a>(
    nat44: &Nat44,
    interfaces: impl Iterator<Item = &'a Interface>,
    network: &Network,
    report: &Report<'_>,
) {
    let mut first = [None; 2];
    for interface in interfaces {
        let Some(role) = &interface.nat else { continue };
        let (at, words) = match role.value {
            Some(NatRole::External) => (0, "external ports"),
            Some(NatRole::Internal) if nat44.allocation == Allocation::Deterministic => {
                (1, "internal ports, as allocation is deterministic,")
            }
            _ => continue,
        };
        let vrf = network.vrfs.of(interface);
        let wanted = *first[at].get_or_insert(vrf);
        if vrf != wanted {
            let name = network.vrfs.names.name(wanted);
            role.reject(report, format!("all {words} in one VRF, as in \"{name}\" before"));
        }
    }
}

fn internal_subnets(network: &Network, vrf: Option<usize>) -> Vec<Ipv4Net> {
    let internal = network.interfaces.iter().filter(|port| {
        port.nat == Some(NatRole::Internal) && vrf.is_none_or(|vrf| vrf == port.vrf)
    });
    let nets = internal.flat_map(|port| &port.addresses).filter_map(|net| match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    });
    nets.collect()
}

fn check_pool(pool: &[Found<RangeInclusive<Ipv4Addr>>], internal: &[Ipv4Net], report: &Report<'_>) {
    let mut total = 0;
    let mut taken = Taken::new();
    for found in pool {
        let range = &found.value;
        total += u64::from(range.end().to_bits() - range.start().to_bits()) + 1;
        if total > MAX_POOL {
            found.reject(report, format!("at most {MAX_POOL} addresses in the whole pool"));
            return;
        }
        if let Err(other) = taken.take(range, found) {
            let (text, line) = (&other.text, other.place.line);
            found.reject(report, format!("addresses apart from {text} on line {line}"));
        }
        let overlaps =
            |net: &&Ipv4Net| *range.start() <= net.broadcast() && net.network() <= *range.end();
        if let Some(net) = internal.iter().find(overlaps) {
            found.reject(report, format!("addresses outside the internal subnet {net}"));
        }
    }
}

/// Ranges that do not overlap, by their start, each with its end and what it belongs to.
struct Taken<K, V>(BTreeMap<K, (K, V)>);

impl<K: Copy + Ord, V: Copy> Taken<K, V> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a range; else answers what has a part of it.
    fn take(&mut self, range: &RangeInclusive<K>, owner: V) -> Result<(), V> {
        // The ranges are apart, so only the last that starts early enough can reach into this one.
        if let Some((_, (end, other))) = self.0.range(..=*range.end()).next_back()
            && end >= range.start()
        {
            return Err(*other);
        }
        self.0.insert(*range.start(), (*range.end(), owner));
        Ok(())
    }
}

fn check_blocks(nat44: &Nat44, workers: usize, report: &Report<'_>) {
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
        let addresses: u64 = nat44.pool.iter().map(|found| length(&found.value)).sum();
        if addresses > 0 && addresses < workers as u64 && 0 < blocks && blocks < workers {
            // Workers divide addresses only where there are enough of them.
            let place = below(&nat44.place, "port_block_size");
            let message = format!(
                "found {blocks} blocks of {size} ports, expected at least one for each of the {workers} workers"
            );
            report.error(&place, message);
        }
        return;
    }
    if nat44.allocation == Allocation::Deterministic && nat44.deterministic.overflow_factor > 0 {
        return; // a host gets blocks beyond its share
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

fn check_fixed(
    nat44: &Nat44,
    subnets: &[Ipv4Net],
    external_vrf: usize,
    network: &Network,
    report: &Report<'_>,
) {
    let subnet = |address: Ipv4Addr| subnets.iter().find(|net| net.contains(&address));
    let in_pool = |vrf: usize, address: Ipv4Addr| {
        vrf == external_vrf && nat44.pool.iter().any(|range| range.value.contains(&address))
    };
    let mut externals = HashMap::new();
    let mut internals = HashMap::new();
    for fixed in &nat44.statics {
        let StaticSettings { external, internal, vrf } = fixed.settings;
        if let Some(line) = externals.insert(external, fixed.external.place.line) {
            let expected = format!("each external address once: line {line} has this one");
            fixed.external.reject(report, expected);
        } else if let Some(net) = subnet(external) {
            fixed.external.reject(report, format!("an address outside the internal subnet {net}"));
        } else if network.owns(external_vrf, IpAddr::V4(external)) {
            fixed.external.reject(report, "an address that is not a port's own");
        }
        if let Some(line) = internals.insert((vrf, internal), fixed.internal.place.line) {
            let expected = format!("each internal address once: line {line} has this one");
            fixed.internal.reject(report, expected);
        } else if in_pool(vrf, internal) {
            fixed.internal.reject(report, INTERNAL_HOST);
        }
    }
    let mut taken = Taken::new();
    for fixed in &nat44.forwards {
        let ForwardSettings { external, external_ports, protocol, .. } = &fixed.settings;
        let ports = (*protocol, *external, *external_ports.start())
            ..=(*protocol, *external, *external_ports.end());
        if let Err(line) = taken.take(&ports, fixed.external.place.line) {
            let expected = format!("each external port once: line {line} has this one");
            fixed.external.reject(report, expected);
        } else if let Some(line) = externals.get(external) {
            let expected = format!("an address not translated one to one on line {line}");
            fixed.external.reject(report, expected);
        } else if let Some(net) = subnet(*external) {
            fixed.external.reject(report, format!("an address outside the internal subnet {net}"));
        }
        if in_pool(fixed.settings.vrf, fixed.settings.internal) {
            fixed.internal.reject(report, INTERNAL_HOST);
        }
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
    // A prefix's own address and its broadcast address are no hosts (RFC 7422 section 2 counts so in its example).
    let size = |net: &Ipv4Net| match net.prefix_len() {
        32 => 1,
        31 => 2,
        length => (1u64 << (32 - length)) - 2,
    };
    let hosts: u64 = internal.iter().map(size).sum();
    let in_pool = |address: Ipv4Addr| nat44.pool.iter().any(|range| range.value.contains(&address));
    let given_away: HashSet<Ipv4Addr> =
        nat44.statics.iter().map(|fixed| fixed.settings.external).filter(|a| in_pool(*a)).collect();
    let addresses: u64 = nat44
        .pool
        .iter()
        .map(|found| length(&found.value))
        .sum::<u64>()
        .saturating_sub(given_away.len() as u64);
    let kept = |port: &u16| !read.reserved_ports.iter().any(|reserved| reserved.contains(port));
    let ports = nat44.port_range.clone().filter(kept).count() as u64;
    // RFC 7422 section 2.2: hosts of one address, and as many shares again for overflow.
    let shares = hosts.div_ceil(addresses.max(1)) + u64::from(read.overflow_factor);
    if !nat44.pool.is_empty() && (addresses == 0 || ports / shares.max(1) == 0) {
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

fn length(range: &RangeInclusive<Ipv4Addr>) -> u64 {
    u64::from(range.end().to_bits() - range.start().to_bits()) + 1
}

const DEFAULT_BLOCKS: u16 = 4;
const DEFAULT_BLOCK_SIZE: u16 = 512;
const INTERNAL_HOST: &str = "an internal host, not an address of the pool";
const MAX_POOL: u64 = 65_536;
