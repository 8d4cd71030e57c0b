//! Ports and VLANs as the packet path sees them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::ids::{InterfaceId, PortId, VrfId};
use crate::config::{Ipv4Options, NatRole, SourceValidation};
use crate::wire::ethernet::MacAddr;

/// A port or an 802.1Q sub-interface of one.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number.
    pub id: InterfaceId,
    /// Its name in the configuration.
    pub name: String,
    /// The port it is, or is on.
    pub port: PortId,
    /// Its 802.1Q identifier, 0 for untagged.
    pub vlan: u16,
    /// Its MAC address.
    pub mac: MacAddr,
    /// The largest IP packet in octets.
    pub mtu: u16,
    /// Its virtual routing table.
    pub vrf: VrfId,
    /// Its side of the NAT.
    pub nat: Option<NatRole>,
    /// What becomes of IPv4 packets with options that enter here.
    pub ipv4_options: Ipv4Options,
    /// Which sources packets that enter here may have.
    pub source_validation: SourceValidation,
    /// The ACL for packets that enter here.
    pub acl_in: Option<usize>,
    /// The ACL for packets that leave here.
    pub acl_out: Option<usize>,
    /// Its addresses and subnets.
    pub addresses: Vec<IpNet>,
    /// The Linux tap that stands for it on the box.
    pub linux: Option<String>,
    /// Those of its IPv6 addresses that are being checked for duplicates, or are some (RFC 4862 5.4).
    pub unusable: Vec<IpAddr>,
}

impl Interface {
    /// The address to speak to an IPv4 host with: the one in the host's subnet, else the first.
    pub fn source_for4(&self, remote: Ipv4Addr) -> Option<Ipv4Addr> {
        let v4 = self.addresses.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some(*net),
            IpNet::V6(_) => None,
        });
        v4.clone().find(|net| net.contains(&remote)).or(v4.clone().next()).map(|net| net.addr())
    }

    /// The address to speak to an IPv6 host with: the one in the host's subnet, else the first.
    pub fn source_for6(&self, remote: Ipv6Addr) -> Option<Ipv6Addr> {
        let v6 = self.addresses.iter().filter_map(|net| match net {
            IpNet::V6(net) => self.may_use(net.addr().into()).then_some(*net),
            IpNet::V4(_) => None,
        });
        v6.clone().find(|net| net.contains(&remote)).or(v6.clone().next()).map(|net| net.addr())
    }

    /// Whether the address is one of its own.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.addr() == address)
    }

    /// Whether an own address may be used: nobody else has it.
    pub fn may_use(&self, address: IpAddr) -> bool {
        !self.unusable.contains(&address)
    }

    /// Whether the address lies in one of its subnets, or is a link-local one where IPv6 is spoken.
    pub fn on_link(&self, address: IpAddr) -> bool {
        let v6 = || self.addresses.iter().any(|net| matches!(net, IpNet::V6(_)));
        let link_local = matches!(address, IpAddr::V6(own) if own.is_unicast_link_local());
        self.addresses.iter().any(|net| net.contains(&address)) || link_local && v6()
    }

    /// Whether the address is the broadcast address of one of its IPv4 subnets.
    pub fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|net| match net {
            IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == address,
            IpNet::V6(_) => false,
        })
    }
}

/// All interfaces, and which one a frame belongs to.
#[derive(Clone, Debug)]
pub struct InterfaceTable {
    interfaces: Vec<Interface>,
    ports: Vec<PortInterfaces>,
    validate_sources: bool,
}

#[derive(Clone, Debug)]
struct PortInterfaces {
    mac: MacAddr,
    /// Sorted by VLAN identifier; 0 is untagged.
    by_vlan: Vec<(u16, InterfaceId)>,
}

impl InterfaceTable {
    /// A table of interfaces, numbered in order, on ports with these MAC addresses.
    pub fn new(interfaces: Vec<Interface>, port_macs: &[MacAddr]) -> Self {
        let mut ports: Vec<PortInterfaces> =
            port_macs.iter().map(|mac| PortInterfaces { mac: *mac, by_vlan: Vec::new() }).collect();
        for interface in &interfaces {
            ports[interface.port.index()].by_vlan.push((interface.vlan, interface.id));
        }
        for port in &mut ports {
            port.by_vlan.sort_unstable();
        }
        let validate_sources =
            interfaces.iter().any(|one| one.source_validation != SourceValidation::Off);
        Self { interfaces, ports, validate_sources }
    }

    /// The interface on which a frame of this VLAN (0: untagged) arrives.
    #[inline]
    pub fn arrival(&self, port: PortId, vlan: u16) -> Option<&Interface> {
        let by_vlan = &self.ports.get(port.index())?.by_vlan;
        let at = by_vlan.binary_search_by_key(&vlan, |entry| entry.0).ok()?;
        self.find(by_vlan[at].1)
    }

    /// The MAC address of a port.
    #[inline]
    pub fn port_mac(&self, port: PortId) -> MacAddr {
        self.ports.get(port.index()).map_or(MacAddr::ZERO, |port| port.mac)
    }

    /// An interface; `None` for the hairpin and for none.
    #[inline]
    pub fn find(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(id.index())
    }

    /// Its VLAN identifier; 0 where it has none.
    #[inline]
    pub fn vlan(&self, id: InterfaceId) -> u16 {
        self.find(id).map_or(0, |interface| interface.vlan)
    }

    /// Its side of the NAT; a hairpinned packet comes in as if from outside.
    #[inline]
    pub fn role(&self, id: InterfaceId) -> Option<NatRole> {
        if id == InterfaceId::HAIRPIN {
            return Some(NatRole::External);
        }
        self.find(id)?.nat
    }

    /// All interfaces, in order, to be changed before the workers have them.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Interface> {
        self.interfaces.iter_mut()
    }

    /// Whether some interface asks where the route to a source leads.
    #[inline]
    pub fn validate_sources(&self) -> bool {
        self.validate_sources
    }

    /// All interfaces, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Interface> {
        self.interfaces.iter()
    }
}
