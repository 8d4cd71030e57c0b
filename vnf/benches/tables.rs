//! What a decision costs: rule sets and routing tables of growing size, DPDK's own route lookup beside ours.
//!
//! `cargo bench -p vnf --profile fast --bench tables [-- acl | routes]`; cycles are TSC cycles per key, median of 9.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use dpdk_bindings::fib::{Fib4, Fib6};
use dpdk_bindings::{cpu, testing};
use ipnet::IpNet;
use vnf::acl::{AclKey, Decision, RuleSet, Upper};
use vnf::config::{AclAction, AclSettings, RuleSettings};
use vnf::forward::route_table::{RouteId, RouteTable, RouteTarget};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wants = |name| wanted.is_empty() || wanted.iter().any(|wish| wish == name);
    if wants("acl") {
        acl();
    }
    if wants("routes") {
        routes();
    }
}

fn acl() {
    println!("rules    family  compile s     MiB   cycles/key in bursts of 64, 8, 1");
    for count in [1, 8, 100, 1_000, 10_000, 100_000] {
        for ipv6 in [false, true] {
            let mut random = Random(1);
            let rules: Vec<_> = (0..count).map(|_| rule(&mut random, ipv6)).collect();
            let keys: Vec<_> = (0..KEYS)
                .map(|_| {
                    let rule = random.below(rules.len());
                    key(&mut random, &rules[rule], ipv6)
                })
                .collect();
            let settings = AclSettings { default: AclAction::Deny, name: "bench".into(), rules };
            let start = Instant::now();
            let set = match RuleSet::compile(&testing::eal(), &settings) {
                Ok(set) => set,
                Err(error) => {
                    println!("{count:<8} {:<6} {error}", family(ipv6));
                    continue;
                }
            };
            let seconds = start.elapsed().as_secs_f64();
            let mut decisions = [decision(); 64];
            let cycles = [64, 8, 1].map(|burst| {
                cycles(|| {
                    for keys in keys.chunks(burst) {
                        set.classify(keys, &mut decisions);
                        black_box(&mut decisions);
                    }
                })
            });
            let mib = mib(set.bytes());
            println!("{count:<8} {:<6} {seconds:>10.2} {mib:>7.1}   {cycles:.0?}", family(ipv6));
        }
    }
}

fn routes() {
    println!("routes   family    build s     MiB   cycles/address   rte_fib: build s, cycles");
    for (count, ipv6) in [
        (10, false),
        (1_000, false),
        (100_000, false),
        (1_000_000, false),
        (1_000, true),
        (230_000, true),
    ] {
        let mut random = Random(2);
        let prefixes: Vec<_> = (0..count).map(|_| prefix(&mut random, ipv6)).collect();
        let start = Instant::now();
        let routes = prefixes
            .iter()
            .enumerate()
            .map(|(n, prefix)| (*prefix, RouteTarget::Connected { interface: (n % 250) as u8 }));
        let table = RouteTable::build(routes).expect("250 targets");
        let seconds = start.elapsed().as_secs_f64();
        let addresses: Vec<_> = (0..KEYS)
            .map(|_| {
                let prefix = random.below(count);
                inside(&mut random, prefixes[prefix])
            })
            .collect();
        let mut ids = [RouteId::NONE; 64];
        let (ours, theirs) = if ipv6 {
            let addresses: Vec<_> = addresses.iter().map(|a| bits(*a)).collect();
            let ours = cycles(|| {
                for addresses in addresses.chunks(64) {
                    table.lookup6(addresses, &mut ids);
                    black_box(&mut ids);
                }
            });
            (ours, fib6(&prefixes, &addresses))
        } else {
            let addresses: Vec<_> = addresses.iter().map(|a| bits(*a) as u32).collect();
            let ours = cycles(|| {
                for addresses in addresses.chunks(64) {
                    table.lookup4(addresses, &mut ids);
                    black_box(&mut ids);
                }
            });
            (ours, fib4(&prefixes, &addresses))
        };
        let (mib, family) = (mib(table.bytes()), family(ipv6));
        println!("{count:<8} {family:<6} {seconds:>10.3} {mib:>7.2}   {ours:>14.1}   {theirs}");
    }
}

fn fib4(prefixes: &[IpNet], addresses: &[u32]) -> String {
    let routes: Vec<_> = prefixes
        .iter()
        .zip((0u16..250).cycle())
        .map(|(prefix, n)| (bits(prefix.addr()) as u32, prefix.prefix_len(), n + 1))
        .collect();
    let start = Instant::now();
    let table = match Fib4::build(&testing::eal(), &routes, 30_000) {
        Ok(table) => table,
        Err(error) => return error.to_string(),
    };
    let seconds = start.elapsed().as_secs_f64();
    let mut values = [0; 64];
    let cycles = cycles(|| {
        for addresses in addresses.chunks(64) {
            table.lookup(addresses, &mut values);
            black_box(&mut values);
        }
    });
    format!("{seconds:.3}, {cycles:.1}")
}

fn fib6(prefixes: &[IpNet], addresses: &[u128]) -> String {
    let routes: Vec<_> = prefixes
        .iter()
        .zip((0u16..250).cycle())
        .map(|(prefix, n)| (bits(prefix.addr()).to_be_bytes(), prefix.prefix_len(), n + 1))
        .collect();
    let start = Instant::now();
    let table = match Fib6::build(&testing::eal(), &routes, 32_000) {
        Ok(table) => table,
        Err(error) => return error.to_string(),
    };
    let seconds = start.elapsed().as_secs_f64();
    let addresses: Vec<_> = addresses.iter().map(|a| a.to_be_bytes()).collect();
    let mut values = [0; 64];
    let cycles = cycles(|| {
        for addresses in addresses.chunks(64) {
            table.lookup(addresses, &mut values);
            black_box(&mut values);
        }
    });
    format!("{seconds:.3}, {cycles:.1}")
}

/// Cycles for each of [`KEYS`] keys.
fn cycles(mut run: impl FnMut()) -> f64 {
    run();
    let mut samples: Vec<_> = (0..9)
        .map(|_| {
            let start = cpu::tsc();
            run();
            cpu::tsc() - start
        })
        .collect();
    samples.sort_unstable();
    samples[4] as f64 / KEYS as f64
}

/// A rule as people write them: hosts and subnets, a service or a range of ports.
fn rule(random: &mut Random, ipv6: bool) -> RuleSettings {
    let lengths: &[u8] = if ipv6 {
        &[0, 0, 0, 32, 48, 48, 64, 64, 128, 128]
    } else {
        &[0, 0, 0, 16, 16, 24, 24, 24, 32, 32]
    };
    let mut side = |internal, shortest| {
        let base = match (ipv6, internal) {
            (false, true) => 10 << 24 | random.next() as u128 & 0xff_ffff,
            (false, false) => random.next().into(),
            (true, true) => {
                0x2001_0db8 << 96 | u128::from(random.next()) << 56 | u128::from(random.next())
            }
            (true, false) => {
                0x2a00 << 112 | u128::from(random.next()) << 80 | u128::from(random.next())
            }
        };
        let length = lengths[random.below(10)].max(shortest);
        if length == 0 { Vec::new() } else { vec![net(base, length, ipv6)] }
    };
    let destination = side(false, 0);
    // One that matches everything would hide all behind it.
    let source = side(true, if destination.is_empty() { 16 } else { 0 });
    let protocol = [Some(6), Some(6), Some(6), Some(17), Some(17), None][random.below(6)];
    let first = random.next() as u16;
    let destination_ports = match (protocol, random.below(10)) {
        (None, _) | (_, 9) => Vec::new(),
        (_, 6..=7) => vec![1024..=65_535],
        (_, 8) => vec![first..=first.saturating_add(random.next() as u16)],
        _ => vec![SERVICES[random.below(SERVICES.len())]; 1].into_iter().map(|p| p..=p).collect(),
    };
    RuleSettings {
        action: AclAction::Permit,
        destination: destination.into_iter().collect(),
        destination_ports,
        icmp_code: None,
        icmp_type: None,
        line: 1,
        log: false,
        protocol,
        source: source.into_iter().collect(),
        source_ports: Vec::new(),
        state: true,
        tcp_flags: None,
        text: String::new(),
        vlans: Vec::new(),
    }
}

fn key(random: &mut Random, rule: &RuleSettings, ipv6: bool) -> AclKey {
    let any = net(0, 0, ipv6);
    let source = bits(inside(random, *rule.source.nets().next().unwrap_or(&any)));
    let destination = bits(inside(random, *rule.destination.nets().next().unwrap_or(&any)));
    let ports = rule.destination_ports.first().cloned().unwrap_or(0..=u16::MAX);
    let port = ports.start() + random.below(1 + usize::from(ports.end() - ports.start())) as u16;
    let upper = Upper::Ports { source: random.next() as u16, destination: port };
    let protocol = rule.protocol.unwrap_or(6);
    if ipv6 {
        AclKey::ipv6(source, destination, protocol, upper)
    } else {
        AclKey::ipv4(source as u32, destination as u32, protocol, upper)
    }
}

/// A prefix with a length as often as in the Internet's tables of 2025, roughly.
fn prefix(random: &mut Random, ipv6: bool) -> IpNet {
    let pick = random.below(100);
    if ipv6 {
        let length = [48, 32, 44, 40, 36, 46, 29, 64]
            [[50, 65, 77, 85, 90, 95, 99, 100].iter().position(|p| pick < *p).unwrap_or(0)];
        // Some 20,000 allocations of /32, filled unevenly.
        let allocation = 0x2000 + random.below(141 * 141) as u128 * 13;
        let rest = u128::from(random.next()) << 64 >> random.below(12);
        net(allocation << 96 | 0x2a << 120 | rest, length, true)
    } else {
        let length = [24, 23, 22, 21, 20, 19, 18, 16]
            [[60, 70, 81, 86, 91, 94, 97, 100].iter().position(|p| pick < *p).unwrap_or(0)];
        net(u128::from(0x0100_0000 + random.next() % 0xdf00_0000), length, false)
    }
}

fn net(address: u128, length: u8, ipv6: bool) -> IpNet {
    let address: IpAddr = if ipv6 {
        Ipv6Addr::from_bits(address).into()
    } else {
        Ipv4Addr::from_bits(address as u32).into()
    };
    IpNet::new(address, length).expect("length in range").trunc()
}

fn inside(random: &mut Random, prefix: IpNet) -> IpAddr {
    let noise = (0..4).fold(0, |bits, _| bits << 32 | u128::from(random.next()));
    match prefix {
        IpNet::V4(prefix) => {
            (prefix.network() | Ipv4Addr::from_bits(noise as u32) & prefix.hostmask()).into()
        }
        IpNet::V6(prefix) => {
            (prefix.network() | Ipv6Addr::from_bits(noise) & prefix.hostmask()).into()
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn decision() -> Decision {
    Decision { action: AclAction::Deny, log: false, rule: 0, stateful: false }
}

fn family(ipv6: bool) -> &'static str {
    if ipv6 { "IPv6" } else { "IPv4" }
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }
}

const KEYS: usize = 1 << 16;
const SERVICES: [u16; 12] = [22, 25, 53, 80, 123, 143, 161, 389, 443, 993, 3306, 8080];
