//! SYNs from outside that nobody asked for (RFC 5382 REQ-4).

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::*;

const STRANGER: &str = "192.0.2.9:443";

/// A VNF with a mapping that admits nobody but the remote endpoint spoken to; and its external endpoint.
fn mapped(config: Config, workers: usize) -> (Harness, SocketAddr) {
    let mut vnf = Harness::new(config, workers);
    let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
    vnf.send("lan", &syn);
    let external = vnf.expect_translated("wan", &syn);
    vnf.forget_counts();
    (vnf, external)
}

/// What the VNF tells the sender of a SYN at last.
fn refusal(syn: &Packet) -> Packet {
    icmp_error_from_vnf("198.51.100.1", 3, 3, syn)
}

#[test]
fn rfc5382_req_4_an_unsolicited_syn_is_answered_after_six_seconds() {
    for_workers(|workers| {
        let (mut vnf, external) = mapped(Config::new("nat44.toml"), workers);
        let syn = tcp(STRANGER, external, "S");
        vnf.send("wan", &syn);
        vnf.counted(["held"]);
        vnf.advance(Duration::from_millis(5999));
        vnf.expect_nothing();
        vnf.advance(Duration::from_millis(1));
        vnf.expect("wan", &refusal(&syn));
        vnf.counted(["-1 held", "nat-filtered", "originated", "wan.transmitted"]);
    });
}

#[test]
fn rfc5382_req_4_a_syn_that_another_crosses_is_dropped_silently() {
    for_workers(|workers| {
        let (mut vnf, external) = mapped(Config::new("nat44.toml"), workers);
        let inbound = tcp(STRANGER, external, "S");
        vnf.send("wan", &inbound);
        vnf.advance(seconds(3));
        let outbound = tcp("10.0.0.2:5000", STRANGER, "S");
        vnf.send("lan", &outbound);
        vnf.expect("wan", &outbound.from(external));
        vnf.counted(["held", "sessions_opened", "wan.transmitted"]);
        // Its sender tries again, and both have opened the connection (REQ-2a).
        vnf.send("wan", &inbound);
        vnf.expect("lan", &inbound.to("10.0.0.2:5000"));
        vnf.counted(["lan.transmitted"]);
        vnf.advance(seconds(60));
        vnf.expect_nothing();
        vnf.counted(["-1 held", "nat-filtered"]);
    });
}

#[test]
fn rfc5382_req_4a_a_syn_is_dropped_at_once_where_an_acl_guards_the_port() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .interface("wan", "acl_in = \"from-wan\"")
            .more("[[acl]]\nname = \"from-wan\"\ndefault = \"deny\"");
        let (mut vnf, external) = mapped(config, workers);
        vnf.send("wan", &tcp(STRANGER, external, "S"));
        vnf.counted(["nat-filtered"]);
        vnf.advance(seconds(10));
        vnf.expect_nothing();
    });
}

#[test]
fn a_syn_to_an_endpoint_that_nobody_has_is_dropped_silently() {
    for_workers(|workers| {
        let (mut vnf, external) = mapped(Config::new("nat44.toml"), workers);
        let other = SocketAddr::new(external.ip(), external.port() ^ 1);
        vnf.send("wan", &tcp(STRANGER, other, "S"));
        vnf.counted(["nat-no-mapping"]);
        vnf.advance(seconds(10));
        vnf.expect_nothing();
    });
}

#[test]
fn other_segments_than_a_syn_do_not_wait() {
    for_workers(|workers| {
        let (mut vnf, external) = mapped(Config::new("nat44.toml"), workers);
        for flags in ["SA", "A", "R", "FA"] {
            vnf.send("wan", &tcp(STRANGER, external, flags));
            vnf.counted(["nat-filtered"]);
        }
        vnf.advance(seconds(10));
        vnf.expect_nothing();
    });
}

#[test]
fn a_repeated_syn_is_answered_once() {
    for_workers(|workers| {
        let (mut vnf, external) = mapped(Config::new("nat44.toml"), workers);
        let syn = tcp(STRANGER, external, "S");
        vnf.send("wan", &syn);
        vnf.advance(seconds(1));
        vnf.send("wan", &syn);
        vnf.counted(["held", "nat-filtered"]);
        vnf.advance(seconds(5));
        vnf.expect("wan", &refusal(&syn));
        vnf.advance(seconds(10));
        vnf.expect_nothing();
        vnf.counted(["-1 held", "nat-filtered", "originated", "wan.transmitted"]);
    });
}

#[test]
fn a_flood_of_syns_keeps_a_bounded_number_and_answers_few() {
    let (mut vnf, external) = mapped(Config::new("nat44.toml"), 1);
    let kept = vnf::nat::unsolicited::CAPACITY;
    for n in 0..kept as u16 + 40 {
        vnf.send("wan", &tcp(format!("192.0.2.9:{}", 1000 + n), external, "S"));
    }
    vnf.counted([&format!("{kept} held")[..], "40 nat-filtered"]);
    vnf.advance(seconds(6));
    // At most 100 a second to one destination.
    vnf.counted([
        &format!("-{kept} held")[..],
        &format!("{kept} nat-filtered"),
        "100 originated",
        "100 wan.transmitted",
    ]);
    let first = tcp("192.0.2.9:1040", external, "S");
    vnf.expect("wan", &refusal(&first));
    assert_eq!(vnf.discard(), 99);
}
