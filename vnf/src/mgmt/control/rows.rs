//! The rows that management can make without asking the workers.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Control;
use super::gather::Measurement;
use super::neighbors::{Key, cache};
use super::tap::Tap;
use crate::acl::RuleMatch;
use crate::config::AclAction;
use crate::engine::counters::Counters;
use crate::engine::ids::{InterfaceId, WorkerId};
use crate::engine::message::EXCEPTIONS;
use crate::engine::record::Record;
use crate::forward;
use crate::mgmt::linux::Figures;
use crate::mgmt::metrics::{Handover, LinuxRow};
use crate::mgmt::request::{Filter, Protocol};
use crate::mgmt::statistics::Since;
use crate::mgmt::view::{
    AclRow, AclRuleRow, Link, MappingKind, MappingRow, MemoryRow, NeighborRow, PoolRow, PortRow,
};
use crate::nat::table::FixedMapping;

impl Control {
    pub(super) fn port_rows(&self, since: Since) -> Vec<PortRow> {
        let row = |(at, port): (usize, &dpdk_bindings::Port)| {
            let settings = &self.parts.settings.ports[at];
            let interface = &self.parts.settings.interfaces[at];
            let sum = |what: usize| {
                let count = |counters: &Counters| counters.ports[at][what].read();
                self.parts.workers.iter().map(|worker| count(&worker.counters)).sum()
            };
            let stats = port.stats();
            PortRow {
                name: settings.name.clone(),
                device: settings.device.clone(),
                driver: port.driver(),
                mac: crate::wire::ethernet::MacAddr(port.mac()).to_string(),
                mtu: interface.mtu,
                link: if self.link_up(at) { Link::Up } else { Link::Down },
                addresses: interface.addresses.iter().map(ToString::to_string).collect(),
                rx_packets: sum(0),
                rx_bytes: sum(1),
                tx_packets: sum(2),
                tx_bytes: sum(3),
                rx_missed: stats.rx_missed,
                rx_errors: stats.rx_errors,
                tx_errors: stats.tx_errors,
                vrf: self.vrf(interface.vrf),
            }
        };
        let rows = self.parts.ports.iter().enumerate().map(row).collect();
        match since {
            Since::Clear => self.baseline.ports(rows),
            Since::Start => rows,
        }
    }

    fn vrf(&self, vrf: usize) -> String {
        self.parts.settings.vrfs.name(vrf).to_owned()
    }

    fn link_up(&self, port: usize) -> bool {
        self.parts.ports[port].link_up() || self.taps[port].as_ref().is_some_and(Tap::is_elsewhere)
    }

    pub(super) fn acl_rows(&self, since: Since) -> Vec<AclRow> {
        let table = &self.parts.tables.acl;
        let row = |(at, acl): (usize, &crate::config::AclSettings)| {
            let rule = |(index, rule): (usize, &crate::config::RuleSettings)| {
                let (packets, bytes) = table.hits(at, index);
                let (action, text) = (action(rule.action).to_owned(), rule.text.clone());
                AclRuleRow { index, action, text, packets, bytes }
            };
            AclRow {
                name: acl.name.clone(),
                rules: acl.rules.iter().enumerate().map(rule).collect(),
                default: action(acl.default).to_owned(),
                default_packets: table.hits(at, acl.rules.len()).0,
            }
        };
        let rows = self.parts.settings.acls.iter().enumerate().map(row).collect();
        match since {
            Since::Clear => self.baseline.acl(rows),
            Since::Start => rows,
        }
    }

    /// One line on a packet that a rule with `log` decided.
    pub(super) fn rule_text(&self, matched: &RuleMatch) -> String {
        let settings = &self.parts.settings;
        let acl = settings.acls.get(matched.acl).map_or("?", |acl| &acl.name);
        let interface = settings.interfaces.get(matched.ingress.index());
        let key = &matched.key;
        let endpoint = |words, port| SocketAddr::new(forward::address(key.family, words), port);
        let untold = match matched.untold {
            0 => String::new(),
            count => format!(" (and {count} packets before it that were not told of)"),
        };
        format!(
            "acl {acl} rule {}: {} {} {} -> {} from {}{untold}",
            matched.rule,
            action(matched.action),
            Protocol(key.protocol),
            endpoint(&key.source, key.source_port),
            endpoint(&key.destination, key.destination_port),
            interface.map_or("a hairpin", |interface| &interface.name),
        )
    }

    pub(super) fn neighbor_rows(&self) -> Vec<NeighborRow> {
        let interfaces = &self.parts.tables.interfaces;
        let row = |entry: cache::Entry| {
            let interface = interfaces.find(entry.key.0)?;
            Some(NeighborRow {
                address: entry.key.1.to_string(),
                mac: entry.mac.map(|mac| mac.to_string()),
                port: interface.name.clone(),
                vrf: self.vrf(interface.vrf.index()),
                state: entry.state.to_owned(),
            })
        };
        let mut rows: Vec<NeighborRow> = self.neighbors.cache.entries().filter_map(row).collect();
        rows.sort_by(|a, b| (&a.port, &a.address).cmp(&(&b.port, &b.address)));
        rows
    }

    /// What went through each tap: to the kernel, from it, and what was lost on the way.
    pub(super) fn linux_rows(&self) -> Vec<LinuxRow> {
        let figures = self.parts.linux.iter().flat_map(|linux| linux.figures());
        let row = |figures: &Arc<Figures>| LinuxRow {
            port: figures.port.clone(),
            to_kernel: figures.to_kernel.load(Relaxed),
            from_kernel: figures.from_kernel.load(Relaxed),
            lost: figures.lost.load(Relaxed),
        };
        figures.map(row).collect()
    }

    /// The mappings of the configuration.
    pub(super) fn fixed_mappings(&self, filter: &Filter) -> Vec<MappingRow> {
        let nat = &self.parts.tables.nat;
        let admitted = nat.fixed().filter(|fixed| {
            let internal = fixed.internal.0;
            filter.vrf.as_ref().is_none_or(|vrf| *vrf == self.vrf(internal.vrf.index()))
                && filter.host.is_none_or(|host| host == Ipv4Addr::from(internal.address))
                && filter.protocol.is_none_or(|p| fixed.protocol.is_none_or(|own| own == p.0))
                && filter.port.is_none_or(|p| p == fixed.internal.1 || p == fixed.external.1)
        });
        let row = |fixed: FixedMapping| {
            let endpoint = |(address, port): (u32, u16)| match fixed.protocol {
                Some(_) => SocketAddrV4::new(address.into(), port).to_string(),
                None => Ipv4Addr::from(address).to_string(),
            };
            MappingRow {
                protocol: fixed.protocol.map_or("any".to_owned(), |p| Protocol(p).to_string()),
                internal: endpoint((fixed.internal.0.address, fixed.internal.1)),
                external: endpoint(fixed.external),
                kind: MappingKind::Static,
                sessions: 0,
                expires_s: None,
                worker: self.parts.ownership.of_host(fixed.internal.0).index(),
                vrf: self.vrf(fixed.internal.0.vrf.index()),
            }
        };
        let mut rows: Vec<MappingRow> = admitted.map(row).collect();
        rows.sort_by(|a, b| (&a.external, &a.protocol).cmp(&(&b.external, &b.protocol)));
        rows
    }

    pub(super) fn pool_rows(&self, measurement: &Measurement) -> Vec<PoolRow> {
        let rows = measurement.iter().enumerate().flat_map(|(worker, usage)| {
            usage.ports.iter().map(move |ports| PoolRow {
                address: Ipv4Addr::from(ports.address).to_string(),
                worker,
                ports_used: (ports.taken - ports.resting.min(ports.taken)).into(),
                ports_held: ports.resting.into(),
                ports_total: ports.total.into(),
            })
        });
        rows.collect()
    }

    /// Packets from each worker to each other one.
    pub(super) fn handovers(&self) -> Vec<Handover> {
        let workers = || (0..self.parts.workers.len()).map(|at| WorkerId(at as u8));
        let pairs = workers().flat_map(|from| workers().map(move |to| (from, to)));
        let between = |(from, to): (WorkerId, WorkerId)| {
            let lane = self.parts.lanes.lane(from, to);
            let (sent, refused) = (lane.sent.read(), lane.refused.read());
            Handover { from: from.index(), to: to.index(), sent, refused }
        };
        pairs.filter(|(from, to)| from != to).map(between).collect()
    }

    pub(super) fn memory_rows(&self, measurement: &Measurement) -> Vec<MemoryRow> {
        let mut rows: Vec<MemoryRow> = Vec::new();
        let mut add = |pool: &str, bytes: usize, used: usize, capacity: usize| {
            let (bytes, used, capacity) = (bytes as u64, used as u64, capacity as u64);
            match rows.iter_mut().find(|row| row.pool == pool) {
                Some(row) => {
                    row.bytes += bytes;
                    row.used += used;
                    row.capacity += capacity;
                }
                None => rows.push(MemoryRow { pool: pool.to_owned(), bytes, used, capacity }),
            }
        };
        let pool = &self.parts.pool;
        let buffer = usize::from(pool.data_room()) + BUFFER_OVERHEAD;
        add(pool.name(), pool.capacity() * buffer, pool.in_use(), pool.capacity());
        for table in measurement.iter().flat_map(|usage| &usage.tables) {
            add(table.name, table.bytes, table.used, table.capacity);
        }
        for worker in &self.parts.workers {
            let records = &worker.rings.records;
            let (used, capacity) = (records.len(), records.capacity());
            for ring in [worker.rings.exceptions.len(), worker.rings.injections.len()] {
                let bytes = EXCEPTIONS * size_of::<(dpdk_bindings::Mbuf, InterfaceId)>();
                add("exception path", bytes, ring, EXCEPTIONS);
            }
            add("log records", capacity * size_of::<Record>(), used, capacity);
        }
        let tables = &self.parts.tables;
        let acl_rules = self.parts.settings.acls.iter().map(|acl| acl.rules.len()).sum();
        add("acl rules", tables.acl.bytes(), acl_rules, acl_rules);
        let bytes = tables.routes.iter().map(|table| table.bytes()).sum();
        add("routes", bytes, self.ribs.len(), self.ribs.len());
        add("routes by origin", self.ribs.bytes(), self.ribs.len(), self.ribs.len());
        for table in tables.routes.iter() {
            let (most, used) = (crate::forward::RouteTable::MAX_TARGETS, table.targets().len());
            let bytes = size_of_val(table.targets());
            add("route targets", bytes, used, most);
        }
        let [known, wanted] = self.neighbors.cache.used_entries();
        let next_hop = size_of::<crate::neighbor::NextHop>();
        add("neighbors", cache::CAPACITY * next_hop, known, cache::CAPACITY);
        let bytes = cache::WANTED * size_of::<Key>();
        add("neighbors unresolved", bytes, wanted, cache::WANTED);
        rows
    }
}

fn action(action: AclAction) -> &'static str {
    match action {
        AclAction::Deny => "deny",
        AclAction::Permit => "permit",
        AclAction::Reject => "reject",
    }
}

/// An mbuf's own header, and the headroom before its data.
const BUFFER_OVERHEAD: usize = 128 + 128;
