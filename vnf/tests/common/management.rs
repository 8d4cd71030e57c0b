//! What the management core does to a VNF under test: neighbours, configurations, commands.

use std::net::IpAddr;
use std::sync::Arc;

use vnf::assembly;
use vnf::engine::interfaces::InterfaceTable;
use vnf::engine::message::{Command, Event, Sighting};
use vnf::engine::tables::Tables;
use vnf::forward::rib::Ribs;
use vnf::nat::ExternalPorts;
use vnf::neighbor::{NeighborTable, NextHop};
use vnf::wire::ethernet::MacAddr;

use super::config::Config;
use super::frame::{Frame, mac_of};
use super::harness::{Harness, settings};
use super::packet::address;

impl Harness {
    /// Neighbours that packets wait for, each once.
    pub fn unresolved(&mut self) -> Vec<(String, IpAddr)> {
        let mut found: Vec<_> = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Unresolved(interface, address) => {
                    let name = &self.settings.interfaces[interface.index()].name;
                    found.push((name.clone(), address));
                }
                other => self.events.push_back(other),
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// What neighbours have said of themselves.
    pub fn sightings(&mut self) -> Vec<Sighting> {
        let mut found = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::NeighborSeen(sighting) => found.push(sighting),
                other => self.events.push_back(other),
            }
        }
        found
    }

    /// Publishes that a neighbour is resolved, as the management core does after its answer.
    pub fn resolve(&mut self, interface: &str, text: &str) {
        self.change_neighbors(|interfaces, neighbors| {
            let address = address(text);
            let found = interfaces.iter().find(|candidate| candidate.name == interface);
            let interface = found.expect("the name of an interface");
            let mac = MacAddr(mac_of(address));
            neighbors.set(assembly::tables::next_hop(interface, address, mac));
        });
    }

    /// Publishes that a neighbour does not answer any more.
    pub fn unresolve(&mut self, interface: &str, text: &str) {
        self.change_neighbors(|interfaces, neighbors| {
            let found = interfaces.iter().find(|candidate| candidate.name == interface);
            let interface = found.expect("the name of an interface").id;
            let id = neighbors.find(interface, address(text)).expect("a known neighbour");
            neighbors.unresolve(id);
        });
    }

    /// Publishes that a neighbour has not been confirmed of late.
    pub fn make_stale(&mut self, interface: &str, text: &str) {
        self.change_neighbors(|interfaces, neighbors| {
            let found = interfaces.iter().find(|candidate| candidate.name == interface);
            let interface = found.expect("the name of an interface").id;
            let id = neighbors.find(interface, address(text)).expect("a known neighbour");
            let known = *neighbors.next_hop(id).expect("a numbered neighbour");
            neighbors.set(NextHop { stale: true, ..known });
        });
    }

    /// Publishes that an own address must not be used.
    pub fn suspend(&mut self, text: &str) {
        let mut interfaces = (*self.tables.interfaces).clone();
        let owner = interfaces.iter_mut().find(|interface| interface.owns(address(text)));
        owner.expect("an own address").unusable.push(address(text));
        let interfaces = Arc::new(interfaces);
        self.tables = Arc::new(Tables { interfaces, ..(*self.tables).clone() });
        self.publish(false);
    }

    /// Frames for services on the box, with the interface by whose tap they leave.
    pub fn exceptions(&mut self) -> Vec<(String, Frame)> {
        let mut found = Vec::new();
        for worker in &self.workers {
            while let Some((packet, interface)) = worker.rings.exceptions.pop() {
                let mut octets = vec![0; packet.len()];
                packet.copy_to(&mut octets);
                let name = self.settings.interfaces[interface.index()].name.clone();
                found.push((name, Frame(octets)));
            }
        }
        found
    }

    /// Own addresses that others were heard to have.
    pub fn claims(&mut self) -> Vec<(IpAddr, [u8; 6])> {
        let claim = |event| match event {
            Event::AddressClaimed(claim) => Some((claim.address, claim.mac.0)),
            _ => None,
        };
        std::mem::take(&mut self.events).into_iter().filter_map(claim).collect()
    }

    /// Stale neighbours that were said to be used.
    pub fn used_neighbors(&mut self) -> Vec<IpAddr> {
        let used = |event| match event {
            Event::NeighborUsed(_, address) => Some(address),
            _ => None,
        };
        std::mem::take(&mut self.events).into_iter().filter_map(used).collect()
    }

    /// Publishes changed routes, as the management core does.
    pub fn change_routes(&mut self, ribs: &mut Ribs) {
        let generation = Tables::after_routes(self.tables.generation);
        let routes = Arc::new(ribs.publish());
        self.tables = Arc::new(Tables { generation, routes, ..(*self.tables).clone() });
        self.publish(false);
    }

    fn change_neighbors(&mut self, change: impl FnOnce(&InterfaceTable, &mut NeighborTable)) {
        let mut neighbors = (*self.tables.neighbors).clone();
        change(&self.tables.interfaces, &mut neighbors);
        self.tables = Arc::new(Tables { neighbors: Arc::new(neighbors), ..(*self.tables).clone() });
        self.publish(false);
    }

    /// Publishes another configuration, as `vnf reload` does.
    pub fn reload(&mut self, config: impl Into<Config>) {
        let settings = settings(&config.into(), self.workers.len());
        let generation = Tables::after_reload(self.tables.generation);
        let before = Some((&self.settings, &*self.tables));
        let tables = self.builder.build(&settings, generation, before).expect("tables");
        self.tables = Arc::new(tables);
        self.settings = settings;
        self.publish(true);
    }

    fn publish(&mut self, with_ports: bool) {
        for worker in &self.workers {
            let ports = with_ports.then(|| {
                Box::new(ExternalPorts::new(&self.tables.nat, &self.ownership, worker.id))
            });
            let command = Command::Adopt(Arc::clone(&self.tables), ports);
            assert!(worker.rings.commands.push(command).is_ok(), "the command ring is full");
        }
        self.settle();
    }

    /// Asks every worker for something.
    pub fn command(&mut self, mut command: impl FnMut() -> Command) {
        for worker in &self.workers {
            assert!(worker.rings.commands.push(command()).is_ok(), "the command ring is full");
        }
        self.settle();
    }
}
