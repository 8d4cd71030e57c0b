//! Next hops as the packet path sees them. A number keeps its (interface, address) pair until the generation changes,
//! so that sessions may remember it; what changes in place between tables is whether it is resolved.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::engine::ids::{InterfaceId, NextHopId, PortId};
use crate::table::Hasher;
use crate::wire::ethernet::MacAddr;

/// One next hop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NextHop {
    /// Destination and source MAC address as they stand in the frame.
    pub ethernet: [u8; 12],
    /// The port to leave by.
    pub port: PortId,
    /// The interface to leave by.
    pub interface: InterfaceId,
    /// The 802.1Q identifier, 0 for untagged.
    pub vlan: u16,
    /// The largest IP packet in octets.
    pub mtu: u16,
    /// Whether the MAC address is known.
    pub resolved: bool,
    /// Whether management wants to know when a packet is sent to it: it was not confirmed of late (RFC 4861 7.3.2).
    pub stale: bool,
    /// Its address on the link.
    pub address: IpAddr,
}

/// What a plain packet needs of a next hop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// Destination and source MAC address as they stand in the frame.
    pub ethernet: [u8; 12],
    /// The largest IP packet that leaves just so, untagged and in one frame; zero: none.
    pub most: u16,
    /// The port to leave by.
    pub ports: PortSet,
}

/// Ports, of which one question is asked: are they all the same?
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PortSet {
    /// The ports in the low octet, their complements in the high one: an OR over both shows in which bits two ports differ.
    bits: u16,
}

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self { bits: 0 };

    /// One port.
    pub fn of(port: PortId) -> Self {
        Self { bits: u16::from_le_bytes([port.0, !port.0]) }
    }

    /// Adds ports.
    #[inline]
    pub fn insert(&mut self, other: Self) {
        self.bits |= other.bits;
    }

    /// The port, if it is only one.
    #[inline]
    pub fn single(self) -> Option<PortId> {
        let [any, complements] = self.bits.to_le_bytes();
        (any == !complements).then_some(PortId(any))
    }
}

/// All next hops.
#[derive(Clone, Debug, Default)]
pub struct NeighborTable {
    next_hops: Vec<NextHop>,
    /// In the same order.
    links: Vec<Link>,
    by_address: HashMap<(InterfaceId, IpAddr), NextHopId, Hasher>,
}

impl NeighborTable {
    /// The next hop of this number; `None` for the special ones.
    #[inline]
    pub fn next_hop(&self, id: NextHopId) -> Option<&NextHop> {
        self.next_hops.get(id.index())
    }

    /// The same in short.
    #[inline]
    pub fn link(&self, id: NextHopId) -> Option<&Link> {
        self.links.get(id.index())
    }

    /// The number of a next hop.
    pub fn find(&self, interface: InterfaceId, address: IpAddr) -> Option<NextHopId> {
        self.by_address.get(&(interface, address)).copied()
    }

    /// Adds a next hop, or replaces what is known of it; `None` when no number is left.
    pub fn set(&mut self, next_hop: NextHop) -> Option<NextHopId> {
        let key = (next_hop.interface, next_hop.address);
        if let Some(id) = self.by_address.get(&key) {
            self.next_hops[id.index()] = next_hop;
            self.links[id.index()] = next_hop.link();
            return Some(*id);
        }
        if self.next_hops.len() >= CAPACITY {
            return None;
        }
        let id = NextHopId(self.next_hops.len() as u16);
        self.next_hops.push(next_hop);
        self.links.push(next_hop.link());
        self.by_address.insert(key, id);
        Some(id)
    }

    /// Marks a next hop as unresolved; its number stays.
    pub fn unresolve(&mut self, id: NextHopId) {
        if let Some(next_hop) = self.next_hops.get_mut(id.index()) {
            next_hop.resolved = false;
            self.links[id.index()] = next_hop.link();
        }
    }

    /// All next hops with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (NextHopId, &NextHop)> {
        self.next_hops.iter().enumerate().map(|(at, next_hop)| (NextHopId(at as u16), next_hop))
    }

    /// How many next hops have a number.
    pub fn len(&self) -> usize {
        self.next_hops.len()
    }

    /// Whether no next hop has a number.
    pub fn is_empty(&self) -> bool {
        self.next_hops.is_empty()
    }
}

impl NextHop {
    fn link(&self) -> Link {
        let most = if self.resolved && !self.stale && self.vlan == 0 { self.mtu } else { 0 };
        Link { ethernet: self.ethernet, most, ports: PortSet::of(self.port) }
    }

    /// The neighbour's MAC address.
    pub fn mac(&self) -> MacAddr {
        MacAddr(self.ethernet[..6].try_into().expect("twelve octets hold two MAC addresses"))
    }
}

/// How many next hops there are at most: a scan of a large subnet cannot take more (RFC 6583).
pub const CAPACITY: usize = 60_000;
