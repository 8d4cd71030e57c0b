//! `[[port]]` and `[[vlan]]`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::reader::{Node, Parsed, Reader};
use crate::config::report::{Found, Place};
use crate::config::settings::{Ipv4Options, NatRole, SourceValidation};
use crate::config::values::{self, A_NAME};

/// A port or VLAN as read, names unresolved. A `None` in `name`, `device`, `id` and `parent` was
/// reported, or belongs to the other kind.
pub(in crate::config) struct Interface {
    pub(in crate::config) acl_in: Option<Found<String>>,
    pub(in crate::config) acl_out: Option<Found<String>>,
    pub(in crate::config) addresses: Vec<Found<IpNet>>,
    /// Whether all of them could be read.
    pub(in crate::config) addresses_known: bool,
    pub(in crate::config) device: Option<Found<String>>,
    pub(in crate::config) id: Option<Found<u16>>,
    pub(in crate::config) ipv4_options: Ipv4Options,
    pub(in crate::config) linux: Option<Found<String>>,
    pub(in crate::config) mac: Option<[u8; 6]>,
    pub(in crate::config) mtu: Option<Found<u16>>,
    pub(in crate::config) name: Option<Found<String>>,
    /// `Some(None)`: given, but unreadable.
    pub(in crate::config) nat: Option<Found<Option<NatRole>>>,
    pub(in crate::config) parent: Option<Found<String>>,
    pub(in crate::config) place: Place,
    pub(in crate::config) source_validation: SourceValidation,
    pub(in crate::config) vrf: Option<Found<String>>,
}

/// Reads a `[[port]]`.
pub(in crate::config) fn port(port: Reader<'_>) -> Interface {
    let device = port.required("device", DEVICE).and_then(|node| {
        node.string(DEVICE, |text| {
            let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
            if !text.is_empty() && plain { Ok(text.to_owned()) } else { Err(None) }
        })
    });
    Interface { device, ..common(port) }
}

/// Reads a `[[vlan]]`.
pub(in crate::config) fn vlan(vlan: Reader<'_>) -> Interface {
    let parent = vlan.required("port", "the name of a port");
    let parent =
        parent.and_then(|node| node.string("the name of a port", |text| Ok(text.to_owned())));
    let id = vlan.required("id", "a VLAN identifier from 1 to 4094");
    let id = id.and_then(|node| node.integer(1..=4094));
    Interface { id, parent, ..common(vlan) }
}

fn common(reader: Reader<'_>) -> Interface {
    let name = reader.required("name", A_NAME);
    let acl = |node: Node<'_>| node.string("the name of an ACL", |text| Ok(text.to_owned()));
    let (addresses, addresses_known) = addresses(reader.optional("addresses"));
    let mut interface = Interface {
        acl_in: reader.optional("acl_in").and_then(acl),
        acl_out: reader.optional("acl_out").and_then(acl),
        addresses,
        addresses_known,
        device: None,
        id: None,
        ipv4_options: reader
            .optional("ipv4_options")
            .and_then(|node| {
                node.choice(&[("pass", Ipv4Options::Pass), ("drop", Ipv4Options::Drop)])
            })
            .unwrap_or_default(),
        linux: reader.optional("linux").and_then(|node| node.string(TAP, tap)),
        mac: reader.optional("mac").and_then(|node| {
            Some(node.string("a MAC address such as \"02:00:00:00:00:01\"", values::mac)?.value)
        }),
        mtu: reader.optional("mtu").and_then(|node| node.integer(68..=9216)),
        name: name.and_then(|node| node.string(A_NAME, values::name)),
        nat: reader.optional("nat").map(|node| {
            let roles = [("internal", NatRole::Internal), ("external", NatRole::External)];
            node.found(node.choice(&roles))
        }),
        parent: None,
        place: reader.place().clone(),
        source_validation: reader
            .optional("source_validation")
            .and_then(|node| {
                node.choice(&[
                    ("strict", SourceValidation::Strict),
                    ("loose", SourceValidation::Loose),
                    ("off", SourceValidation::Off),
                ])
            })
            .unwrap_or_default(),
        vrf: super::route::vrf(&reader, "vrf"),
    };
    interface.addresses_known &= !reader.finish().contains(&"addresses");
    interface
}

/// The addresses, and whether all could be read.
fn addresses(node: Option<Node<'_>>) -> (Vec<Found<IpNet>>, bool) {
    let Some(node) = node else { return (Vec::new(), true) };
    let Some(nodes) = node.list("a list of addresses with their prefix lengths") else {
        return (Vec::new(), false);
    };
    let read = nodes.iter().filter_map(|node| node.string(ADDRESS, address)).collect::<Vec<_>>();
    let known = read.len() == nodes.len();
    (read, known)
}

/// An interface's own address with its subnet.
fn address(text: &str) -> Parsed<IpNet> {
    if !text.contains('/') {
        return Err(None);
    }
    let net: IpNet = text.parse().map_err(|_| None)?;
    if net.prefix_len() == 0 || !values::is_host(net.addr()) {
        return Err(Some("an address that a host may have".to_owned()));
    }
    // A subnet of two has no broadcast address (RFC 3021), one of IPv6 none at all.
    if let IpAddr::V4(_) = net.addr()
        && net.prefix_len() < 31
        && [net.network(), net.broadcast()].contains(&net.addr())
    {
        let subnet = net.trunc();
        return Err(Some(format!("a host's address, not the first or the last of {subnet}")));
    }
    Ok(net)
}

/// The name of a network interface, as the kernel takes it.
fn tap(text: &str) -> Parsed<String> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '%');
    let possible = matches!(text.len(), 1..=15) && text.chars().all(plain);
    if possible && !matches!(text, "." | ".." | "lo" | "all" | "default") {
        Ok(text.to_owned())
    } else {
        Err(None)
    }
}

const TAP: &str = "the name of a network interface, at most 15 characters";
const ADDRESS: &str = "an address with its prefix length such as \"10.0.0.1/24\"";
const DEVICE: &str = "a DPDK virtual device such as \"net_tap0,iface=vnf-lan\" or a PCI address";
