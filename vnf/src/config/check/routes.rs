//! Routes and static neighbours: next hops are neighbours of some interface.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::below;
use super::interfaces::Network;
use crate::config::report::{Found, Report};
use crate::config::section::route::{Neighbor, Route};
use crate::config::settings::{NeighborSettings, NextHopSettings, RouteSettings};

/// Checks and resolves the routes.
pub(super) fn routes(
    routes: &[Route],
    network: &Network,
    report: &Report<'_>,
) -> Vec<RouteSettings> {
    let mut resolved = Vec::new();
    let mut lines = HashMap::new();
    for route in routes {
        let vrf = network.vrfs.find(route.vrf.as_ref(), report);
        let other = route.next_hop_vrf.as_ref().map(|found| {
            let other = network.vrfs.find(Some(found), report);
            if other == vrf && network.vrfs.names.name(vrf) == found.value {
                found.reject(report, "another VRF than the route's own");
            }
            other
        });
        if let Some(prefix) = &route.prefix {
            check_prefix(prefix, vrf, &mut lines, network, report);
        }
        match (route.next_hops.as_deref(), route.discard) {
            (Some([]), false) if other.is_none() && !route.unreachable && !report.incomplete() => {
                let place = below(&route.place, "next_hops");
                report.error(&place, "found nothing, expected next hops, or discard = true");
            }
            _ if route.unreachable
                && (route.discard
                    || other.is_some()
                    || route.next_hops.as_ref().is_some_and(|hops| !hops.is_empty())) =>
            {
                let place = below(&route.place, "unreachable");
                report.error(&place, "found true, expected false where there is a way, or discard");
            }
            (_, true) if other.is_some() => {
                let place = below(&route.place, "discard");
                report.error(&place, "found true, expected false where there is a next_hop_vrf");
            }
            (Some([_, ..]), true) => {
                let place = below(&route.place, "discard");
                report.error(&place, "found true, expected false where there are next hops");
            }
            _ => {}
        }
        let Some(prefix) = &route.prefix else { continue };
        let mut next_hops: Vec<NextHopSettings> = Vec::new();
        for found in route.next_hops.iter().flatten() {
            let hop = next_hop(found, &prefix.value, other.unwrap_or(vrf), network, report);
            if let Some(hop) = hop {
                if next_hops.contains(&hop) {
                    found.reject(report, "each next hop once");
                }
                next_hops.push(hop);
            }
        }
        resolved.push(RouteSettings {
            next_hop_vrf: other,
            next_hops,
            prefix: prefix.value,
            unreachable: route.unreachable,
            vrf,
        });
    }
    resolved
}

/// `lines` has the prefixes already routed.
fn check_prefix(
    prefix: &Found<IpNet>,
    vrf: usize,
    lines: &mut HashMap<(usize, IpNet), usize>,
    network: &Network,
    report: &Report<'_>,
) {
    if let Some(line) = lines.insert((vrf, prefix.value), prefix.place.line) {
        prefix.reject(report, format!("each prefix once: line {line} has this one"));
    }
    let connected = |subnet: &IpNet| subnet.trunc() == prefix.value;
    let mut of_vrf = network.interfaces.iter().filter(|port| port.vrf == vrf);
    let owner = of_vrf.find(|port| port.addresses.iter().any(connected));
    if let Some(owner) = owner {
        let name = &owner.name;
        prefix.reject(report, format!("a prefix that is no interface's subnet: \"{name}\" has it"));
    }
}

fn next_hop(
    found: &Found<IpAddr>,
    prefix: &IpNet,
    vrf: usize,
    network: &Network,
    report: &Report<'_>,
) -> Option<NextHopSettings> {
    let address = found.value;
    if address.is_ipv4() != prefix.addr().is_ipv4() {
        let family = if prefix.addr().is_ipv4() { "an IPv4" } else { "an IPv6" };
        found.reject(report, format!("{family} address, as the prefix is"));
        return None;
    }
    if network.owns(vrf, address) {
        found.reject(report, "a neighbour's address, not the own one");
        return None;
    }
    let interface = network.interface_of(vrf, address);
    if interface.is_none() && network.addresses_known && !report.incomplete() {
        let expected = match network.vrfs.names.count() {
            1 => "an address in the subnet of a port or VLAN".to_owned(),
            _ => {
                let name = network.vrfs.names.name(vrf);
                format!("an address in the subnet of a port or VLAN of VRF \"{name}\"")
            }
        };
        found.reject(report, expected);
    }
    Some(NextHopSettings { address, interface: interface? })
}

/// Checks and resolves the static neighbours.
pub(super) fn neighbors(
    neighbors: &[Neighbor],
    network: &Network,
    report: &Report<'_>,
) -> Vec<NeighborSettings> {
    let mut resolved: Vec<NeighborSettings> = Vec::new();
    let mut known = HashSet::new();
    for neighbor in neighbors {
        let what = "the name of a port or VLAN";
        let port = neighbor.port.as_ref().and_then(|name| network.names.find(name, what, report));
        let (Some(interface), Some(found), Some(mac)) = (port, &neighbor.address, neighbor.mac)
        else {
            continue;
        };
        let address = found.value;
        let subnets = &network.interfaces[interface].addresses;
        let within = subnets.iter().any(|subnet| subnet.contains(&address));
        let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        if network.owns(network.interfaces[interface].vrf, address) {
            found.reject(report, "a neighbour's address, not the own one");
        } else if !within && !link_local && network.addresses_known && !report.incomplete() {
            let name = &network.interfaces[interface].name;
            found.reject(report, format!("an address in a subnet of \"{name}\""));
        }
        if !known.insert((interface, address)) {
            found.reject(report, "each neighbour of a port once");
        }
        resolved.push(NeighborSettings { address, interface, mac });
    }
    resolved
}
