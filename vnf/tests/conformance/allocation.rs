//! Which external endpoint a mapping gets.

use std::collections::HashSet;

use crate::common::*;

fn with(lines: &str) -> Config {
    Config::new("nat44.toml").nat44(lines)
}

#[test]
fn rfc6888_req_3_a_pool_is_made_of_any_addresses() {
    let pool = "pool = [\"198.51.100.10-198.51.100.12\", \"198.51.100.32/30\", \"203.0.113.1\", \"192.0.2.200\"]";
    let config = Config::new("nat44.toml").replace("pool = [\"198.51.100.10\"]", pool);
    for_workers(|workers| {
        let mut vnf = Harness::new(config.clone(), workers);
        let mut used = HashSet::new();
        for host in 0..800 {
            let source = format!("10.0.{}.{}:5000", 1 + host / 250, 1 + host % 250);
            let question = udp(source, "203.0.113.7:53");
            vnf.send("lan", &question);
            used.insert(vnf.expect_translated("wan", &question).ip());
        }
        assert_eq!(used.len(), 9, "every address serves: {used:?}");
    });
}

#[test]
fn rfc7857_4_a_host_whose_address_is_full_is_refused() {
    let config = with("port_range = \"2000-2003\"")
        .replace("pool = [\"198.51.100.10\"]", "pool = [\"198.51.100.10\", \"198.51.100.11\"]");
    let mut vnf = Harness::new(config, 1);
    let question = |host: &str, n: u16| udp(format!("{host}:{}", 5000 + n), "203.0.113.7:53");
    let mut addresses = HashSet::new();
    for n in 0..4 {
        vnf.send("lan", &question("10.0.0.2", n));
        addresses.insert(vnf.expect_translated("wan", &question("10.0.0.2", n)).ip());
    }
    assert_eq!(addresses.len(), 1);
    vnf.forget_counts();
    let refused = question("10.0.0.2", 4);
    vnf.send("lan", &refused);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &refused));
    vnf.counted(["nat-ports-exhausted", "originated", "lan.transmitted"]);
    let other = question("10.0.0.3", 0);
    vnf.send("lan", &other);
    addresses.insert(vnf.expect_translated("wan", &other).ip());
    assert_eq!(addresses.len(), 2, "the other address was free all the time");
}

#[test]
fn rfc7857_8_ports_do_not_keep_their_parity() {
    let mut vnf = Harness::new(with("port_range = \"2001-2001\""), 1);
    let even = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &even);
    assert_eq!(vnf.expect_translated("wan", &even).port(), 2001);
}

#[test]
fn rfc7857_9_ports_are_spread_over_the_whole_range() {
    const BINS: usize = 64;
    const FLOWS: usize = 6_400;
    let config = with("max_sessions_per_host = 20000")
        .replace("max_sessions = 1024", "max_sessions = 16384");
    let mut vnf = Harness::new(config, 1);
    let mut bins = [0i64; BINS];
    for n in 0..FLOWS {
        let question = udp(format!("10.0.0.2:{}", 10_000 + n), "203.0.113.7:53");
        vnf.send("lan", &question);
        let port = usize::from(vnf.take("wan").source().port());
        bins[(port - 1024) * BINS / (65536 - 1024)] += 1;
    }
    // Chi-square: 63 degrees of freedom, 63 on average. A right allocator exceeds 160 once in 10^9 runs.
    let expected = (FLOWS / BINS) as i64;
    let distance: i64 = bins.iter().map(|found| (found - expected).pow(2)).sum();
    assert!(distance / expected < 160, "{bins:?}");
}

#[test]
fn a_dynamic_mapping_never_gets_a_forwarded_port() {
    for _ in 0..8 {
        let config = with("port_range = \"2000-2001\"").more(
            "[[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.10:2000\"\ninternal = \
             \"10.0.0.5:80\"",
        );
        let mut vnf = Harness::new(config, 1);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &syn);
        assert_eq!(vnf.expect_translated("wan", &syn).port(), 2001);
        vnf.forget_counts();
        vnf.send("lan", &syn.from("10.0.0.2:5001"));
        assert_eq!(vnf.count_of("nat-ports-exhausted"), 1);
        vnf.discard();
        // UDP has ports of its own.
        vnf.send("lan", &udp("10.0.0.2:5000", "203.0.113.7:53"));
        vnf.send("lan", &udp("10.0.0.2:5001", "203.0.113.7:53"));
        assert_eq!(vnf.discard(), 2);
    }
}
