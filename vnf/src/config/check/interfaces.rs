//! Ports and VLANs: names, devices, subnets and sizes fit together.

use ipnet::IpNet;

use super::vrfs::Vrfs;
use super::{Names, below};
use crate::config::report::{Found, Place, Report};
use crate::config::section::interface::Interface;
use crate::config::settings::{InterfaceSettings, PortSettings};

/// The interfaces, resolved, and what references to them need.
pub(super) struct Network {
    /// Whether every address was readable: else one that is in no subnet may be right.
    pub(super) addresses_known: bool,
    pub(super) interfaces: Vec<InterfaceSettings>,
    pub(super) names: Names,
    pub(super) ports: Vec<PortSettings>,
    pub(super) vrfs: Vrfs,
}

impl Network {
    /// The interface of a VRF in whose subnet an address lies.
    pub(super) fn interface_of(&self, vrf: usize, address: std::net::IpAddr) -> Option<usize> {
        let within = |interface: &InterfaceSettings| {
            interface.vrf == vrf
                && interface.addresses.iter().any(|subnet| subnet.contains(&address))
        };
        self.interfaces.iter().position(within)
    }

    /// Whether an address is an interface's own in a VRF.
    pub(super) fn owns(&self, vrf: usize, address: std::net::IpAddr) -> bool {
        let of_vrf = self.interfaces.iter().filter(|interface| interface.vrf == vrf);
        let mut addresses = of_vrf.flat_map(|interface| &interface.addresses);
        addresses.any(|own| own.addr() == address)
    }
}

/// Checks ports and VLANs against each other.
pub(super) fn check(
    ports: &[Interface],
    vlans: &[Interface],
    acls: &Names,
    unreadable: &[&str],
    report: &Report<'_>,
) -> Network {
    let all = || ports.iter().chain(vlans);
    let complete = !unreadable.contains(&"port") && !unreadable.contains(&"vlan");
    let names = Names::new(all().map(|interface| interface.name.as_ref()), report, complete);
    if ports.is_empty() && complete && !report.incomplete() {
        let place = Place { key: "port".to_owned(), line: 1 };
        report.error(&place, "found nothing, expected at least one [[port]]");
    }
    if let Some(interface) = all().nth(MAX_INTERFACES) {
        let total = ports.len() + vlans.len();
        let message = format!("found {total} ports and VLANs, expected at most {MAX_INTERFACES}");
        report.error(&interface.place, message);
    }
    check_devices(ports, report);
    check_taps(&all().collect::<Vec<_>>(), report);
    let vrfs = Vrfs::named_by(all(), complete, report);
    check_addresses(&all().collect::<Vec<_>>(), &vrfs, report);
    let mut interfaces = Vec::<InterfaceSettings>::new();
    for (index, interface) in ports.iter().enumerate() {
        interfaces.push(resolve(interface, index, DEFAULT_MTU, acls, &vrfs, report));
    }
    for (index, vlan) in vlans.iter().enumerate() {
        let port = parent(vlan, &names, ports, report);
        let mtu = port.map_or(DEFAULT_MTU, |port| interfaces[port].mtu);
        if let Some(found) = vlan.mtu.as_ref().filter(|found| found.value > mtu) {
            found.reject(report, format!("at most {mtu}, the MTU of the port"));
        }
        if let (Some(port), Some(id)) = (port, &vlan.id) {
            let same = |other: &&Interface| {
                let id_of = |vlan: &Interface| vlan.id.as_ref().map(|id| id.value);
                let port_of =
                    |vlan: &Interface| vlan.parent.as_ref().map(|port| port.value.clone());
                id_of(other) == Some(id.value) && port_of(other) == port_of(vlan)
            };
            if let Some(other) = vlans[..index].iter().find(same) {
                let taken = names.known[port].as_deref().unwrap_or_default();
                let line = other.place.line;
                id.reject(
                    report,
                    format!("an id free on port \"{taken}\": line {line} has this one"),
                );
            }
        }
        interfaces.push(resolve(vlan, port.unwrap_or(0), mtu, acls, &vrfs, report));
    }
    let port_settings = ports.iter().zip(&interfaces).map(|(port, interface)| PortSettings {
        device: port.device.as_ref().map_or_else(String::new, |device| device.value.clone()),
        mac: interface.mac,
        mtu: interface.mtu,
        name: interface.name.clone(),
    });
    Network {
        addresses_known: all().all(|interface| interface.addresses_known) && complete,
        ports: port_settings.collect(),
        interfaces,
        names,
        vrfs,
    }
}

fn parent(
    vlan: &Interface,
    names: &Names,
    ports: &[Interface],
    report: &Report<'_>,
) -> Option<usize> {
    let parent = vlan.parent.as_ref()?;
    match names.position(&parent.value) {
        Some(port) if port < ports.len() => return Some(port),
        Some(_) => parent.reject(report, "the name of a port, not of a VLAN"),
        None => names.reject_unknown(parent, "the name of a port", ports.len(), report),
    }
    None
}

fn resolve(
    interface: &Interface,
    port: usize,
    default_mtu: u16,
    acls: &Names,
    vrfs: &Vrfs,
    report: &Report<'_>,
) -> InterfaceSettings {
    let acl =
        |name: &Option<Found<String>>| acls.find(name.as_ref()?, "the name of an ACL", report);
    let mtu = interface.mtu.as_ref().map_or(default_mtu, |mtu| mtu.value);
    let addresses: Vec<IpNet> = interface.addresses.iter().map(|found| found.value).collect();
    if mtu < IPV6_MTU && addresses.iter().any(|net| matches!(net, IpNet::V6(_))) {
        let place = interface.mtu.as_ref().map(|found| found.place.clone());
        let place = place.unwrap_or_else(|| below(&interface.place, "mtu"));
        let message =
            format!("found {mtu}, expected at least {IPV6_MTU} with IPv6 addresses (RFC 8200)");
        report.error(&place, message);
    }
    InterfaceSettings {
        acl_in: acl(&interface.acl_in),
        acl_out: acl(&interface.acl_out),
        addresses,
        ipv4_options: interface.ipv4_options,
        linux: interface.linux.as_ref().map(|found| found.value.clone()),
        mac: interface.mac,
        mtu,
        name: interface.name.as_ref().map_or_else(String::new, |name| name.value.clone()),
        nat: interface.nat.as_ref().and_then(|nat| nat.value),
        port,
        source_validation: interface.source_validation,
        vlan: interface.id.as_ref().map(|id| id.value),
        vrf: vrfs.of(interface),
    }
}

fn check_devices(ports: &[Interface], report: &Report<'_>) {
    // The name alone tells devices apart: what follows the comma are its arguments.
    let name = |device: &Found<String>| device.value.split(',').next().map(str::to_lowercase);
    for (index, port) in ports.iter().enumerate() {
        let Some(device) = &port.device else { continue };
        let same = |other: &&Found<String>| name(other) == name(device);
        if let Some(other) = ports[..index].iter().filter_map(|p| p.device.as_ref()).find(same) {
            let line = other.place.line;
            device.reject(report, format!("a device of its own: line {line} has this one"));
        }
    }
}

fn check_taps(interfaces: &[&Interface], report: &Report<'_>) {
    for (index, interface) in interfaces.iter().enumerate() {
        let Some(tap) = &interface.linux else { continue };
        let same = |other: &&Found<String>| other.value == tap.value;
        let mut others = interfaces[..index].iter().filter_map(|other| other.linux.as_ref());
        if let Some(other) = others.find(same) {
            let line = other.place.line;
            tap.reject(report, format!("a tap of its own: line {line} has this one"));
        }
        let device = |port: &&Interface| {
            let named = format!("iface={}", tap.value);
            let device = port.device.as_ref().map_or("", |device| &device.value);
            device.starts_with("net_tap") && device.split(',').any(|part| part == named)
        };
        if interfaces.iter().copied().any(|port| device(&port)) {
            tap.reject(report, "another name than that of a port's own tap");
        }
    }
}

fn check_addresses(interfaces: &[&Interface], vrfs: &Vrfs, report: &Report<'_>) {
    let link_local = |net: &IpNet| match net {
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.addr().is_unicast_link_local(),
    };
    let mut seen: Vec<(usize, &Found<IpNet>)> = Vec::new();
    for (index, interface) in interfaces.iter().enumerate() {
        let vrf = vrfs.of(interface);
        for found in &interface.addresses {
            let net = found.value;
            let clash = seen.iter().find(|(owner, other)| {
                let other = &other.value;
                let same = other.addr() == net.addr();
                let overlap = other.contains(&net.trunc()) || net.contains(&other.trunc());
                // Link-local addresses mean something on their own link only.
                match *owner == index {
                    true => same,
                    false => overlap && !link_local(&net) && vrf == vrfs.of(interfaces[*owner]),
                }
            });
            if let Some((_, other)) = clash {
                let (line, text) = (other.place.line, &other.text);
                found.reject(report, format!("a subnet apart from {text} on line {line}"));
            }
            seen.push((index, found));
        }
    }
}

const DEFAULT_MTU: u16 = 1500;
const IPV6_MTU: u16 = 1280;
const MAX_INTERFACES: usize = 250;
