//! RFC 7422's own example, and the two functions as inverses of each other.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::config::{self, DeterministicSettings};

/// The functions of a configuration with these lines in `[nat44]`, and of these I, D and R.
fn functions(
    nat44: &str,
    internal: &[&str],
    overflow_factor: u16,
    reserved_ports: Vec<RangeInclusive<u16>>,
) -> Deterministic {
    let text = format!(
        "[[port]]\nname = \"lan\"\ndevice = \"net_ring0\"\naddresses = [\"172.16.0.1/24\"]\nnat = \"internal\"\n\
         [[port]]\nname = \"wan\"\ndevice = \"net_ring1\"\naddresses = [\"203.0.113.1/24\"]\nnat = \"external\"\n\
         [nat44]\n{nat44}\n"
    );
    let parsed = config::parse("test.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let internal = internal.iter().map(|net| net.parse().expect("a prefix")).collect();
    let parameters = DeterministicSettings { internal, overflow_factor, reserved_ports };
    let mut settings = parsed.nat44.expect("a configuration with NAT");
    settings.deterministic = Some(parameters);
    Deterministic::new(&settings).expect("a deterministic configuration")
}

fn ip(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().expect("an address").into()
}

/// Every endpoint of the pool has the host whose share it lies in, and every host a share of its own.
fn check_inverse(functions: &Deterministic, hosts: impl Iterator<Item = u32>, pool: &[u32]) {
    let mut owners = HashMap::new();
    for host in hosts {
        let share = functions.forward(host).expect("a share for every host");
        let mut usable = 0;
        for port in share.ports.filter(|port| !functions.is_reserved(*port)) {
            let before = owners.insert((share.address, port), host);
            assert_eq!(before, None, "{}:{port} belongs to two", Ipv4Addr::from(share.address));
            usable += 1;
        }
        assert_eq!(usable, functions.share_length());
    }
    for address in pool {
        for port in 0..=u16::MAX {
            let external = (*address, port);
            assert_eq!(functions.reverse(external), owners.get(&external).copied(), "port {port}");
            let overflow = functions.overflow().is_some_and(|(ports, _)| ports.contains(&port));
            assert!(!overflow || !owners.contains_key(&external), "port {port} is for overflow");
        }
    }
}

#[test]
fn rfc7422_2e_worked_example() {
    let example = functions("pool = [\"192.0.2.1\"]", &["198.51.100.0/28"], 2, Vec::new());
    assert_eq!(example.share_length(), 4032);
    let outside = ip("192.0.2.1");
    let share = |host: &str| example.forward(ip(host)).map(|share| (share.address, share.ports));
    assert_eq!(share("198.51.100.1"), Some((outside, 1024..=5055)));
    assert_eq!(share("198.51.100.2"), Some((outside, 5056..=9087)));
    assert_eq!(share("198.51.100.14"), Some((outside, 53440..=57471)));
    assert_eq!(share("198.51.100.0"), None);
    assert_eq!(share("198.51.100.15"), None);
    assert_eq!(example.overflow(), Some((57472..=65535, 512)));
    for (port, host) in [
        (1023, None),
        (1024, Some("198.51.100.1")),
        (5055, Some("198.51.100.1")),
        (5056, Some("198.51.100.2")),
        (57471, Some("198.51.100.14")),
        (57472, None),
        (65535, None),
    ] {
        assert_eq!(example.reverse((outside, port)), host.map(ip), "port {port}");
    }
    assert_eq!(example.reverse((outside + 1, 1024)), None);
}

#[test]
fn rfc7422_2c_reserved_ports_belong_to_nobody() {
    let functions = functions(
        "pool = [\"192.0.2.1\"]\nport_range = \"1000-1999\"",
        &["10.0.0.0/30", "10.0.9.9/32"],
        0,
        vec![1100..=1100, 1200..=1299],
    );
    // 899 ports for three hosts: 299 each, and two left over.
    assert_eq!(functions.share_length(), 299);
    let ports = |host: &str| functions.forward(ip(host)).expect("a share").ports;
    assert_eq!(ports("10.0.0.1"), 1000..=1399);
    assert_eq!(ports("10.0.0.2"), 1400..=1698);
    assert_eq!(ports("10.0.9.9"), 1699..=1997);
    assert_eq!(functions.overflow(), None);
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.9.9"].map(ip);
    check_inverse(&functions, hosts.into_iter(), &[ip("192.0.2.1")]);
}

#[test]
fn rfc7422_2b_both_functions_are_inverse_over_everything() {
    let functions = functions(
        "pool = [\"198.51.100.7\", \"192.0.2.0/30\"]\n\
         static = [{ external = \"192.0.2.2\", internal = \"10.0.0.200\" }]",
        &["10.0.0.0/26", "10.7.0.0/27"],
        1,
        Vec::new(),
    );
    assert_eq!(functions.forward(ip("10.0.0.1")).map(|s| s.address), Some(ip("192.0.2.0")));
    let hosts = (ip("10.0.0.1")..=ip("10.0.0.62")).chain(ip("10.7.0.1")..=ip("10.7.0.30"));
    let pool = ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7"].map(ip);
    check_inverse(&functions, hosts, &pool);
    assert_eq!(functions.reverse((ip("192.0.2.2"), 1024)), None, "a static mapping's address");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn the_functions_are_inverse_for_any_parameters(
        length in 24_u8..=32,
        addresses in 1_u32..=4,
        overflow in 0_u16..=9,
        first in 1_u16..=30_000,
        reserved in proptest::collection::vec((1_u16..=60_000, 0_u16..=3_000), 0..4),
    ) {
        let internal = format!("10.9.8.0/{length}");
        let functions = functions(
            &format!("pool = [\"192.0.2.1-192.0.2.{addresses}\"]\nport_range = \"{first}-65535\""),
            &[&internal],
            overflow,
            reserved.iter().map(|(at, more)| *at..=at + more).collect(),
        );
        let (from, to) = host_range(&internal.parse().expect("a prefix"));
        let pool: Vec<u32> = (1..=addresses).map(|last| ip("192.0.2.0") + last).collect();
        check_inverse(&functions, from..=to, &pool);
    }
}
