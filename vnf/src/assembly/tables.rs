//! Builds `Tables` from settings; what the settings did not change is taken over from the tables before.

use std::net::IpAddr;
use std::sync::Arc;

use dpdk_bindings::Eal;
use ipnet::IpNet;
use thiserror::Error;

use crate::acl::{AclTable, CompileError, List, RuleSet};
use crate::config::{AclSettings, InterfaceSettings, NatLog, RouteSettings, Settings};
use crate::engine::ids::{InterfaceId, PortId, VrfId};
use crate::engine::interfaces::{Interface, InterfaceTable};
use crate::engine::tables::Tables;
use crate::forward::rib::{Origin, Ribs};
use crate::forward::route_table::{Gateway, RouteTarget, TooManyTargets};
use crate::nat::NatTable;
use crate::neighbor::{NeighborTable, NextHop};
use crate::session::{Limits, Timeouts};
use crate::wire::ethernet::MacAddr;

/// Why settings cannot be turned into tables.
#[derive(Debug, Error)]
pub enum BuildError {
    /// An ACL does not compile.
    #[error("acl `{0}`: {1}")]
    Acl(String, CompileError),
    /// Too many different next hops.
    #[error("routes: {0}")]
    Routes(#[from] TooManyTargets),
}

/// What tables are built for.
#[derive(Clone)]
pub struct Builder {
    /// DPDK, whose classifier the ACLs use.
    pub eal: Eal,
    /// The MAC address of each port.
    pub port_macs: Vec<MacAddr>,
    /// How many workers there are.
    pub workers: usize,
}

impl Builder {
    /// Tables of these settings.
    ///
    /// # Errors
    /// When an ACL does not compile or there are too many next hops.
    pub fn build(
        &self,
        settings: &Settings,
        generation: u32,
        before: Option<(&Settings, &Tables)>,
    ) -> Result<Tables, BuildError> {
        let interfaces = Arc::new(self.interfaces(settings));
        let acl = match before {
            Some((old, tables)) if old.acls == settings.acls => Arc::clone(&tables.acl),
            _ => Arc::new(self.acl(settings, before)?),
        };
        let routes = match before {
            Some((old, tables))
                if old.routes == settings.routes
                    && same_addresses(&old.interfaces, &settings.interfaces) =>
            {
                Arc::clone(&tables.routes)
            }
            _ => Arc::new(ribs(settings)?.publish()),
        };
        let learned = before.map(|(_, tables)| &*tables.neighbors);
        Ok(Tables {
            generation,
            neighbors: Arc::new(neighbors(settings, &interfaces, learned)),
            interfaces,
            nat: Arc::new(NatTable::new(
                settings.nat44.as_ref(),
                self.workers,
                before.map(|(_, tables)| &*tables.nat),
            )),
            acl,
            routes,
            timeouts: timeouts(settings),
            limits: Limits {
                sessions_per_host: settings.sessions.max_sessions_per_host,
                new_sessions_per_host: settings.sessions.new_sessions_per_host,
            },
            log: settings.nat44.as_ref().map_or(NatLog::None, |nat44| nat44.log),
        })
    }

    fn interfaces(&self, settings: &Settings) -> InterfaceTable {
        let interfaces = settings.interfaces.iter().zip(0..).map(|(interface, id)| Interface {
            id: InterfaceId(id),
            name: interface.name.clone(),
            port: PortId(interface.port as u8),
            vlan: interface.vlan.unwrap_or(0),
            mac: interface.mac.map_or(self.port_macs[interface.port], MacAddr),
            mtu: interface.mtu,
            vrf: VrfId(interface.vrf as u8),
            nat: interface.nat,
            ipv4_options: interface.ipv4_options,
            source_validation: interface.source_validation,
            acl_in: interface.acl_in,
            acl_out: interface.acl_out,
            addresses: interface.addresses.clone(),
            linux: interface.linux.clone(),
            unusable: Vec::new(),
        });
        InterfaceTable::new(interfaces.collect(), &self.port_macs)
    }

    /// Compiles the lists that are new; the others are kept with their counters.
    fn acl(
        &self,
        settings: &Settings,
        before: Option<(&Settings, &Tables)>,
    ) -> Result<AclTable, BuildError> {
        let kept = |acl: &AclSettings| {
            let (old, tables) = before?;
            let place = old.acls.iter().position(|old| old.says_the_same(acl))?;
            Some(tables.acl.list(place))
        };
        let compile = |acl: &AclSettings| match kept(acl) {
            Some(list) => Ok(list),
            None => RuleSet::compile(&self.eal, acl)
                .map(|rules| List::new(rules, acl.rules.len(), self.workers))
                .map_err(|error| BuildError::Acl(acl.name.clone(), error)),
        };
        settings.acls.iter().map(compile).collect::<Result<_, _>>().map(AclTable::new)
    }
}

impl Tables {
    /// Takes over the neighbours that were learned under other tables; configured ones come first.
    pub fn learn_again(&mut self, settings: &Settings, from: &Tables) {
        let learned = neighbors(settings, &self.interfaces, Some(&from.neighbors));
        self.neighbors = Arc::new(learned);
    }
}

fn same_addresses(old: &[InterfaceSettings], new: &[InterfaceSettings]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.addresses == new.addresses)
}

/// The routes of these settings: own addresses, connected subnets, and what is configured.
///
/// # Errors
/// When there are too many different next hops.
pub fn ribs(settings: &Settings) -> Result<Ribs, TooManyTargets> {
    let mut ribs = Ribs::new(settings.vrfs.count());
    let mut set = |vrf: usize, origin, prefix: IpNet, target| match ribs.rib_mut(VrfId(vrf as u8)) {
        Some(rib) => rib.set(origin, prefix, target).map(|_| ()),
        None => Ok(()),
    };
    for (settings, interface) in settings.interfaces.iter().zip(0u8..) {
        for net in &settings.addresses {
            let (own, vrf) = (IpNet::from(net.addr()), settings.vrf);
            set(vrf, Origin::Local, own, RouteTarget::Local { interface })?;
            set(vrf, Origin::Connected, net.trunc(), RouteTarget::Connected { interface })?;
        }
    }
    for route in &settings.routes {
        set(route.vrf, Origin::Static, route.prefix, target(route))?;
    }
    Ok(ribs)
}

fn target(route: &RouteSettings) -> RouteTarget {
    let gateways: Vec<Gateway> = route
        .next_hops
        .iter()
        .map(|hop| Gateway { address: hop.address, interface: hop.interface as u8 })
        .collect();
    match route.next_hop_vrf {
        _ if !gateways.is_empty() => RouteTarget::Gateways(gateways),
        Some(other) => RouteTarget::Vrf(VrfId(other as u8)),
        None if route.unreachable => RouteTarget::Unreachable,
        None => RouteTarget::Discard,
    }
}

/// Configured neighbours, and those learned before that still lie on their link.
fn neighbors(
    settings: &Settings,
    interfaces: &InterfaceTable,
    learned: Option<&NeighborTable>,
) -> NeighborTable {
    let mut table = NeighborTable::default();
    for neighbor in &settings.neighbors {
        let id = InterfaceId(neighbor.interface as u8);
        if let Some(interface) = interfaces.find(id) {
            table.set(next_hop(interface, neighbor.address, MacAddr(neighbor.mac)));
        }
    }
    for (_, known) in learned.into_iter().flat_map(NeighborTable::iter) {
        let Some(interface) = interfaces.find(known.interface) else { continue };
        let configured = table.find(known.interface, known.address).is_some();
        if known.resolved && !configured && interface.on_link(known.address) {
            let stale = known.stale;
            table.set(NextHop { stale, ..next_hop(interface, known.address, known.mac()) });
        }
    }
    table
}

/// A resolved next hop on an interface.
pub fn next_hop(interface: &Interface, address: IpAddr, mac: MacAddr) -> NextHop {
    let mut ethernet = [0; 12];
    ethernet[..6].copy_from_slice(&mac.0);
    ethernet[6..].copy_from_slice(&interface.mac.0);
    NextHop {
        ethernet,
        port: interface.port,
        interface: interface.id,
        vlan: interface.vlan,
        mtu: interface.mtu,
        resolved: true,
        stale: false,
        address,
    }
}

fn timeouts(settings: &Settings) -> Timeouts {
    let ms = |duration: std::time::Duration| duration.as_millis().try_into().unwrap_or(u32::MAX);
    let timeouts = &settings.sessions.timeouts;
    Timeouts {
        udp: ms(timeouts.udp),
        tcp_established: ms(timeouts.tcp_established),
        tcp_transitory: ms(timeouts.tcp_transitory),
        icmp: ms(timeouts.icmp),
    }
}
