//! Random traces of mappings against a set of endpoints: every one has one owner, lies in what its host may have, and
//! everything drains.

use std::collections::HashMap;

use dpdk_bindings::memory::Source;
use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::config;
use crate::nat::leases::Lease;
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
        let id = self.hosts.find_or_open(host.into()).expect("room for all hosts");
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
        let id = self.hosts.find(host.into()).expect("a host with a mapping");
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
        journaled: bool,
        seed: u64,
        steps in proptest::collection::vec((0_u32..14, 0_usize..3, 0_u8..5), 1..600),
    ) {
        let journal = if journaled { "journal = \"/j\"\n" } else { "" };
        let table = table(&format!("{journal}{}", LAYOUTS[layout]), workers);
        let mut asked: Vec<(usize, Lease)> = Vec::new();
        let ownership = Ownership::new(Hasher::random(), workers);
        let mut all = Worker::all(&table, &ownership, seed);
        let mut owners: HashMap<(u8, Endpoint), u32> = HashMap::new();
        let mut blocks: HashMap<(u32, u16), u32> = HashMap::new();
        for (host, protocol, what) in steps {
            let (host, protocol) = (0x0a00_0001 + host, [6, 17, 1][protocol]);
            let owner = ownership.of_host(host.into());
            let worker = &mut all[owner.index()];
            worker.ports.tend(&mut worker.random, Tick(0), |lease| asked.push((owner.index(), lease)));
            if what == 4 {
                for (owner, lease) in asked.drain(..) {
                    all[owner].ports.grant(&lease);
                }
            }
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
                let entry = worker.hosts.host(worker.hosts.find(host.into()).expect("an entry"));
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
                    if change.opened { blocks.insert(block, change.host.address) } else { blocks.remove(&block) };
                prop_assert_eq!(before, (!change.opened).then_some(change.host.address));
            }
        }
        let taken: u32 = all.iter().map(Worker::taken).sum();
        prop_assert_eq!(taken as usize, owners.len());
        for ((protocol, endpoint), host) in owners {
            all[ownership.of_host(host.into()).index()].close(protocol, host, endpoint);
        }
        for worker in &mut all {
            prop_assert_eq!((worker.taken(), worker.hosts.len()), (0, 0));
            for change in worker.hosts.take_block_changes().0 {
                prop_assert!(!change.opened);
                prop_assert_eq!(blocks.remove(&(change.address, change.ports.0)), Some(change.host.address));
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

const JOURNALED: &str = "journal = \"/j\"\n";

/// Asks for ports until there are no more; returns the endpoints.
fn exhaust(worker: &mut Worker, table: &NatTable) -> Vec<Endpoint> {
    std::iter::from_fn(|| worker.open(table, 17, 0x0a00_0001)).collect()
}

/// Lets a journal record at once what the worker asks for; returns it.
fn tend(worker: &mut Worker, now: Tick) -> Vec<Lease> {
    let mut asked = Vec::new();
    for _ in 0..2 * worker.ports.len() {
        worker.ports.tend(&mut worker.random, now, |lease| asked.push(lease));
    }
    asked.iter().for_each(|lease| worker.ports.grant(lease));
    asked
}

fn covers(leases: &[Lease], (address, port): Endpoint) -> bool {
    let of = leases.iter().filter(|lease| lease.address == address);
    of.flat_map(Lease::ranges).any(|ports| ports.contains(&port))
}

#[test]
fn rfc6888_req_8_ports_are_on_record_before_they_are_handed_out() {
    let table = table_of("192.0.2.1", JOURNALED, 1, None);
    let ownership = Ownership::new(Hasher::random(), 1);
    let mut worker = Worker::all(&table, &ownership, 1).remove(0);
    let mut recorded = tend(&mut worker, Tick(0));
    assert!(
        recorded.iter().flat_map(Lease::ranges).map(|ports| ports.len()).sum::<usize>() >= 8064
    );
    for n in 0..64_512_u32 {
        let endpoint = worker.open(&table, 17, 0x0a00_0001).expect("a free port");
        assert!(covers(&recorded, endpoint), "{endpoint:?}");
        if n % 512 == 0 {
            recorded.extend(tend(&mut worker, Tick(0)));
        }
    }
    assert_eq!(worker.open(&table, 17, 0x0a00_0001), None);
    assert_eq!(worker.ports.forced(), 0);
    assert!(
        worker.open(&table, 6, 0x0a00_0001).is_some(),
        "other protocols have ports of their own"
    );
}

#[test]
fn hosts_get_ports_when_the_journal_does_not_keep_up() {
    for layout in ["", "allocation = \"port-blocks\"\nmax_blocks_per_host = 126"] {
        let table = table_of("192.0.2.1", &format!("{JOURNALED}{layout}"), 1, None);
        let ownership = Ownership::new(Hasher::random(), 1);
        let mut worker = Worker::all(&table, &ownership, 2).remove(0);
        assert_eq!(exhaust(&mut worker, &table).len(), 64_512);
        assert!(worker.ports.forced() > 100);
        let told = tend(&mut worker, Tick(0));
        assert!((1024..=65_535).all(|port| covers(&told, (0xc000_0201, port))), "told afterwards");
    }
}

#[test]
fn rfc6888_req_8_ports_from_before_a_crash_rest_and_all_others_are_free_at_once() {
    for layout in ["", "allocation = \"port-blocks\"\nmax_blocks_per_host = 126"] {
        let table = table_of("192.0.2.1", &format!("{JOURNALED}{layout}"), 1, None);
        let ownership = Ownership::new(Hasher::random(), 1);
        let mut before = Worker::all(&table, &ownership, 3).remove(0);
        let recorded = tend(&mut before, Tick(0));
        for _ in 0..3000 {
            before.open(&table, 17, 0x0a00_0001).expect("a free port");
        }
        let mut worker = Worker::all(&table, &ownership, 4).remove(0);
        let ranges =
            recorded.iter().flat_map(|lease| lease.ranges().map(|ports| (lease.address, ports)));
        worker.ports.rest_again(ranges, Tick(120_000));
        tend(&mut worker, Tick(119_999));
        let usage = worker.ports.usage().next().expect("an address");
        assert!(usage.resting > 0 && usage.resting == usage.taken, "{usage:?}");
        let handed_out = exhaust(&mut worker, &table);
        assert!(handed_out.iter().all(|endpoint| !covers(&recorded, *endpoint)));
        assert_eq!(handed_out.len() as u32, (usage.total - usage.resting) / 3);
        tend(&mut worker, Tick(120_000));
        assert_eq!(exhaust(&mut worker, &table).len() as u32, usage.resting / 3, "all have rested");
    }
}

#[test]
fn leases_of_unused_ports_end() {
    let table = table_of("192.0.2.1", JOURNALED, 1, None);
    let ownership = Ownership::new(Hasher::random(), 1);
    let mut worker = Worker::all(&table, &ownership, 5).remove(0);
    let endpoints = exhaust(&mut worker, &table);
    for endpoint in endpoints {
        worker.close(17, 0x0a00_0001, endpoint);
    }
    tend(&mut worker, Tick(0));
    let ended = (0..1000).flat_map(|_| tend(&mut worker, Tick(0))).filter(|lease| lease.ended);
    assert!(ended.count() > 60, "most of 127 units");
    assert_eq!(worker.taken(), 0);
}

#[test]
fn a_changed_port_range_keeps_one_owner_for_every_port() {
    let ownership = Ownership::new(Hasher::random(), 1);
    let ranges = ["2000-2999", "1500-4000", "2100-2200", "1024-65535"];
    let table = |range: &str, before: Option<&NatTable>| {
        table_of("192.0.2.1", &format!("{JOURNALED}port_range = \"{range}\""), 1, before)
    };
    let mut current = table(ranges[0], None);
    let mut worker = Worker::all(&current, &ownership, 6).remove(0);
    let mut owned = std::collections::HashSet::new();
    for range in ranges {
        let next = table(range, Some(&current));
        let mut ports = ExternalPorts::new(&next, &ownership, WorkerId(0));
        ports.take_over(&mut worker.ports, &mut worker.hosts, |_, _| false);
        (worker.ports, current) = (ports, next);
        tend(&mut worker, Tick(0));
        for _ in 0..60 {
            if let Some(endpoint) = worker.open(&current, 17, 0x0a00_0001) {
                assert!(owned.insert(endpoint) && current.ports().contains(&endpoint.1));
            }
        }
    }
    let inside = owned.len();
    owned.extend(exhaust(&mut worker, &current));
    assert!(inside > 200 && owned.len() == 64_512, "{inside} {}", owned.len());
}
