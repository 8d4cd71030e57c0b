//! `[[route]]` and `[[neighbor]]`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::reader::{Parsed, Reader};
use crate::config::report::{Found, Place};
use crate::config::values;

/// A route as read. `next_hops` is `None` where something was wrong with the list.
pub(in crate::config) struct Route {
    pub(in crate::config) discard: bool,
    pub(in crate::config) next_hop_vrf: Option<Found<String>>,
    pub(in crate::config) next_hops: Option<Vec<Found<IpAddr>>>,
    pub(in crate::config) place: Place,
    pub(in crate::config) prefix: Option<Found<IpNet>>,
    pub(in crate::config) unreachable: bool,
    pub(in crate::config) vrf: Option<Found<String>>,
}

/// Reads a `[[route]]`.
pub(in crate::config) fn route(route: Reader<'_>) -> Route {
    let prefix = route.required("prefix", PREFIX);
    let prefix = prefix.and_then(|node| node.string(PREFIX, values::net));
    let discard = route.optional("discard").and_then(|node| node.boolean()).unwrap_or(false);
    let unreachable = route.optional("unreachable").and_then(|node| node.boolean());
    let unreachable = unreachable.unwrap_or(false);
    let next_hops = match route.optional("next_hops") {
        None => Some(Vec::new()),
        Some(node) => node.list(NEXT_HOPS).and_then(|nodes| {
            if nodes.len() > MAX_NEXT_HOPS {
                node.reject(NEXT_HOPS);
            }
            let hops = nodes.iter().map(|node| node.string("a neighbour's address", host));
            // Every wrong address is reported, not only the first.
            hops.collect::<Vec<_>>().into_iter().collect()
        }),
    };
    let place = route.place().clone();
    let (next_hop_vrf, vrf) = (vrf(&route, "next_hop_vrf"), vrf(&route, "vrf"));
    let meant = route.finish();
    let next_hops = next_hops.filter(|_| !meant.contains(&"next_hops"));
    let discard = discard || meant.contains(&"discard");
    let unreachable = unreachable || meant.contains(&"unreachable");
    Route { discard, next_hop_vrf, next_hops, place, prefix, unreachable, vrf }
}

/// The name of a VRF.
pub(in crate::config) fn vrf(table: &Reader<'_>, key: &'static str) -> Option<Found<String>> {
    table.optional(key).and_then(|node| node.string(values::A_NAME, values::name))
}

/// A static neighbour as read; a `None` was reported.
pub(in crate::config) struct Neighbor {
    pub(in crate::config) address: Option<Found<IpAddr>>,
    pub(in crate::config) mac: Option<[u8; 6]>,
    pub(in crate::config) port: Option<Found<String>>,
}

/// Reads a `[[neighbor]]`.
pub(in crate::config) fn neighbor(neighbor: Reader<'_>) -> Neighbor {
    let port = neighbor.required("port", "the name of a port or VLAN");
    let address = neighbor.required("address", "a neighbour's address");
    let mac = neighbor.required("mac", MAC);
    let read = Neighbor {
        address: address.and_then(|node| node.string("a neighbour's address", host)),
        mac: mac.and_then(|node| Some(node.string(MAC, values::mac)?.value)),
        port: port.and_then(|node| node.string("the name of a port or VLAN", |t| Ok(t.to_owned()))),
    };
    neighbor.finish();
    read
}

fn host(text: &str) -> Parsed<IpAddr> {
    text.parse().ok().filter(|address| values::is_host(*address)).ok_or(None)
}

const MAC: &str = "a MAC address such as \"02:00:00:00:00:fe\"";
const MAX_NEXT_HOPS: usize = 64;
const NEXT_HOPS: &str = "a list of at most 64 neighbours' addresses";
const PREFIX: &str = "a prefix such as \"10.0.0.0/8\" or \"::/0\"";
