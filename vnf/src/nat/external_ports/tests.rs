//! Random traces of mappings against a set of endpoints: every one has one owner, lies in what its host may have, and
//! everything drains.

use std::collections::HashMap;

use dpdk_bindings::memory::Source;
use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::config;
use crate::table::Hasher;

fn table(nat44: &str, workers: usize) -> NatTable {
    table_of("192.0.2.1-192.0.2.2", nat44, workers, None)
}

fn table_of(pool: &str, nat44: &str, workers: usize, before: Option<&NatTable>) -> NatTable {
    let text = format!(
        "[[port]]\nname = \"lan\"\ndevice = \"net_ring0\"\naddresses = [\"10.0.0.1/28\"]\nnat = \"internal\"\n\
         [[port]]\nname = \"wan\"\ndevice = \"net_ring1\"\naddresses = [\"203.0.113.1/24\"]\nnat = \"external\"\n\
         [nat44]\npool = [\"{pool}\"]\n{nat44}\n"
    );
    let settings = config::parse("test.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    NatTable::new(settings.nat44.as_ref(), workers, before)
}

/// One worker's share of a configuration, and what is in use of it.
struct Worker {
    ports: ExternalPorts,
    hosts: Hosts,
    random: SmallRng,
}

impl Worker {
    fn all(table: &NatTable, ownership: &Ownership, seed: u64) -> Vec<Self> {
        let worker = |at| Self {
            ports: ExternalPorts::new(table, ownership, WorkerId(at)),
            hosts: Hosts::with_capacity(64, Hasher::random(), Source::Plain).expect("memory"),
            random: SmallRng::seed_from_u64(seed + u64::from(at)),
        };
        (0..ownership.workers() as u8).map(worker).collect()
    }

    fn open(&mut self, table: &NatTable, protocol: u8, host: u32) -> Option<Endpoint> {
        let id = self.hosts.find_or_open(host).expect("room for all hosts");
        let Self { ports, hosts, random } = self;
        let draw = random.next_u64();
        let endpoint = ports.allocate(table, hosts, id, protocol, draw, random);
        if endpoint.is_some() {
            self.hosts.host_mut(id).mappings += 1;
        } else {
            self.hosts.close_if_idle(id);
        }
        endpoint
    }

    fn close(&mut self, protocol: u8, host: u32, endpoint: Endpoint) {
        let id = self.hosts.find(host).expect("a host with a mapping");
        self.hosts.host_mut(id).mappings -= 1;
        self.ports.give(&mut self.hosts, protocol, endpoint);
        self.hosts.close_if_idle(id);
    }

    fn taken(&self) -> u32 {
        self.ports.usage().map(|usage| usage.taken).sum()
    }
}

const LAYOUTS: [&str; 5] = [
    "port_range = \"1000-1095\"",
    "allocation = \"port-blocks\"\nport_range = \"1000-1099\"\nport_block_size = 7\nmax_blocks_per_host = 3",
    "allocation = \"port-blocks\"\nport_range = \"1000-1095\"\nport_block_size = 1\nmax_blocks_per_host = 9",
    "allocation = \"deterministic\"\nport_range = \"1000-1095\"\nport_block_size = 4\nmax_blocks_per_host = 2\n\
     deterministic = { overflow_factor = 3, reserved_ports = [1004, \"1050-1055\"] }",
    "allocation = \"deterministic\"\nport_range = \"1000-1095\"",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_endpoint_has_one_owner_and_everything_drains(
        layout in 0..LAYOUTS.len(),
        workers in 1_usize..=3,
        seed: u64,
        steps in proptest::collection::vec((0_u32..14, 0_usize..3, 0_u8..5), 1..600),
    ) {
        let table = table(LAYOUTS[layout], workers);
        let ownership = Ownership::new(Hasher::random(), workers);
        let mut all = Worker::all(&table, &ownership, seed);
        let mut owners: HashMap<(u8, Endpoint), u32> = HashMap::new();
        let mut blocks: HashMap<(u32, u16), u32> = HashMap::new();
        for (host, protocol, what) in steps {
            let (host, protocol) = (0x0a00_0001 + host, [6, 17, 1][protocol]);
            let owner = ownership.of_host(host);
            let worker = &mut all[owner.index()];
            if what == 0 {
                let own = owners.iter().find(|((p, _), h)| **h == host && *p == protocol);
                if let Some((key, _)) = own {
                    let key = *key;
                    owners.remove(&key);
                    worker.close(protocol, host, key.1);
                }
            } else if let Some(endpoint) = worker.open(&table, protocol, host) {
                prop_assert_eq!(owners.insert((protocol, endpoint), host), None);
                prop_assert!(table.allows_dynamic(protocol, endpoint));
                prop_assert!(worker.ports.owns(endpoint));
                prop_assert_eq!(ownership.of_external(&table, protocol, endpoint), owner);
                let entry = worker.hosts.host(worker.hosts.find(host).expect("an entry"));
                prop_assert_eq!(entry.external, endpoint.0, "paired");
                if !matches!(table.layout(), Layout::Dynamic) {
                    let mut own = worker.ports.blocks_of(&table, entry);
                    prop_assert!(own.any(|ports| ports.contains(&endpoint.1)));
                }
                prop_assert!(entry.blocks <= table.max_blocks_per_host().into());
            }
            for change in worker.hosts.take_block_changes().0 {
                let block = (change.address, change.ports.0);
                let before =
                    if change.opened { blocks.insert(block, change.host) } else { blocks.remove(&block) };
                prop_assert_eq!(before, (!change.opened).then_some(change.host));
            }
        }
        let taken: u32 = all.iter().map(Worker::taken).sum();
        prop_assert_eq!(taken as usize, owners.len());
        for ((protocol, endpoint), host) in owners {
            all[ownership.of_host(host).index()].close(protocol, host, endpoint);
        }
        for worker in &mut all {
            prop_assert_eq!((worker.taken(), worker.hosts.len()), (0, 0));
            for change in worker.hosts.take_block_changes().0 {
                prop_assert!(!change.opened);
                prop_assert_eq!(blocks.remove(&(change.address, change.ports.0)), Some(change.host));
            }
        }
        prop_assert!(blocks.is_empty());
    }
}

#[test]
fn rfc6888_req_14_blocks_of_every_worker_make_up_the_address() {
    for workers in 1..=8 {
        let table = table_of("192.0.2.1", "allocation = \"port-blocks\"", workers, None);
        let (whole, _) = table.layout().blocks().expect("blocks");
        let ownership = Ownership::new(Hasher::random(), workers);
        for port in whole {
            let endpoint = (0xc000_0201, port);
            let owner = ownership.of_external(&table, 6, endpoint);
            let own = |at: &u8| {
                let ports = ownership.ports_of(&table, 0, WorkerId(*at));
                ports.is_some_and(|ports| ports.contains(&port))
            };
            let owners: Vec<u8> = (0..workers as u8).filter(own).collect();
            assert_eq!(owners, [owner.0], "port {port} of {workers} workers");
        }
    }
}

#[test]
fn a_change_that_moves_ports_between_hosts_or_blocks_between_workers_is_told() {
    let ownership = |workers| Ownership::new(Hasher::random(), workers);
    let keeps = |old: usize, new: usize, workers| {
        let new = table(LAYOUTS[new], workers);
        table(LAYOUTS[old], workers).keeps_ports(&new, &ownership(workers))
    };
    assert!((0..5).all(|layout| keeps(layout, layout, 3)));
    assert!(!keeps(0, 1, 1) && !keeps(1, 2, 1) && !keeps(3, 4, 1));
    let moved = |layout: usize, pool: &str, workers| {
        let before = table(LAYOUTS[layout], workers);
        let next = table_of(pool, LAYOUTS[layout], workers, Some(&before));
        !before.keeps_ports(&next, &ownership(workers))
    };
    let (more_after, more_before) = ("192.0.2.1-192.0.2.3", "192.0.2.0-192.0.2.2");
    for workers in 1..=3 {
        assert!(!moved(1, more_after, workers) && !moved(1, more_before, workers));
    }
    assert!(moved(1, "192.0.2.1", 2), "blocks go to other workers");
    assert!(moved(3, more_after, 1), "hosts go to other addresses");
    assert!(!moved(0, more_before, 2), "sessions on addresses that move are opened anew");
}
