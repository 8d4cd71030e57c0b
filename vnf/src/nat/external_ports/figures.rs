//! What the three ways to allocate ports are worth: use, records and guessing (RFC 6888 REQ-13, 14, 15), on one address.

use dpdk_bindings::memory::Source;
use rand::{Rng, SeedableRng};

use super::*;
use crate::config;
use crate::table::Hasher;

#[derive(Debug)]
struct Figures {
    /// Ports in use when the first host is refused, in per cent of all.
    used: f64,
    /// Lines of the log for every thousand mappings that open and close again.
    records: f64,
    /// Among how many ports, as a power of two, the next one of a host is, when half of what could be used is.
    bits: f64,
}

/// A hundred hosts open UDP mappings until one is refused; the first ones far more than the last (1 / rank).
fn figures(allocation: &str) -> Figures {
    let text = format!(
        "[[port]]\nname = \"lan\"\ndevice = \"net_ring0\"\naddresses = [\"10.0.0.1/24\"]\nnat = \"internal\"\n\
         [[port]]\nname = \"wan\"\ndevice = \"net_ring1\"\naddresses = [\"203.0.113.1/24\"]\nnat = \"external\"\n\
         [nat44]\npool = [\"192.0.2.1\"]\n{allocation}"
    );
    let settings = config::parse("test.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let table = NatTable::new(settings.nat44.as_ref(), 1, None);
    let ownership = Ownership::new(Hasher::random(), 1);
    let mut ports = ExternalPorts::new(&table, &ownership, WorkerId(0));
    let mut hosts = Hosts::with_capacity(256, Hasher::random(), Source::Plain).expect("memory");
    let mut random = SmallRng::seed_from_u64(1);
    let weights: Vec<f64> = (1..=HOSTS).map(|rank| 1.0 / f64::from(rank)).collect();
    let sum: f64 = weights.iter().sum();
    let mut blocks = 0;
    let mut choices = Vec::new();
    loop {
        let mut draw = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * sum;
        let host = weights.iter().position(|weight| {
            draw -= weight;
            draw < 0.0
        });
        let address = 0x0a00_0002 + host.unwrap_or(0) as u32;
        let id = hosts.find_or_open(address.into()).expect("room");
        // What the next port may be: any free one of the address, or of what is the host's.
        let own: Vec<_> = ports.blocks_of(&table, hosts.host(id)).collect();
        let entry = &ports.addresses[0];
        let free = |range: &RangeInclusive<u16>| range.len() - entry.used[1].used(range.clone());
        choices.push(match table.layout() {
            Layout::Dynamic => free(&entry.ports),
            // A host that has no port yet may get any block's.
            _ if own.is_empty() => free(&entry.ports),
            _ => own.iter().map(free).sum(),
        });
        let draw = random.next_u64();
        if ports.allocate(&table, &mut hosts, id, 17, draw, &mut random).is_none() {
            break;
        }
        hosts.host_mut(id).mappings += 1;
        blocks += hosts.take_block_changes().0.count();
    }
    let opened = choices.len() - 1;
    let bits = |choices: &[usize]| {
        let sum: f64 = choices.iter().map(|count| (*count.max(&1) as f64).log2()).sum();
        sum / choices.len() as f64
    };
    let lines = match table.layout() {
        Layout::Dynamic => 2 * opened,
        _ => 2 * blocks,
    };
    Figures {
        used: 100.0 * opened as f64 / table.ports().len() as f64,
        records: 1000.0 * lines as f64 / opened as f64,
        bits: bits(&choices[opened / 4..3 * opened / 4]),
    }
}

const HOSTS: u32 = 100;

#[test]
fn rfc6888_req_13_14_15_use_records_and_guessing_of_every_allocation_mode() {
    let modes = [
        ("dynamic", ""),
        ("port blocks, 512 x 4", "allocation = \"port-blocks\""),
        (
            "port blocks, 64 x 300",
            "allocation = \"port-blocks\"\nport_block_size = 64\nmax_blocks_per_host = 300",
        ),
        (
            "deterministic, D = 0",
            "allocation = \"deterministic\"\ndeterministic = { internal = [\"10.0.0.0/25\"] }",
        ),
        (
            "deterministic, D = 128",
            "allocation = \"deterministic\"\nport_block_size = 64\nmax_blocks_per_host = 300\n\
             deterministic = { internal = [\"10.0.0.0/25\"], overflow_factor = 128 }",
        ),
    ];
    let all: Vec<Figures> = modes.iter().map(|(_, allocation)| figures(allocation)).collect();
    for ((name, _), Figures { used, records, bits }) in modes.iter().zip(&all) {
        println!("{name:<24} {used:>5.1} % used {records:>7.1} records {bits:>5.1} bits");
    }
    let [dynamic, large, small, computed, overflow] = &all[..] else { panic!("five modes") };
    // Each is best at something: the whole range, the fewest lines, or in between.
    assert!(dynamic.used == 100.0 && dynamic.records == 2000.0 && dynamic.bits > 14.0);
    assert!(large.used < small.used && small.used < dynamic.used);
    assert!(large.records < small.records && small.records < dynamic.records / 10.0);
    assert!(computed.records == 0.0 && computed.used < overflow.used);
    assert!(large.bits > small.bits && computed.bits > 5.0);
}
