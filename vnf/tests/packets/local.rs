//! Packets for the VNF itself.

use crate::common::*;

const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

#[test]
fn echo_requests_to_own_addresses_are_answered() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        for (port, host, own) in [
            ("left", "10.1.0.2:9", "10.1.0.1"),
            ("left", "10.1.0.2:9", "192.0.2.1"),
            ("right", "192.0.2.2:9", "10.1.0.1"),
            ("left", "[fd00:a::2]:9", "fd00:a::1"),
            ("left", "[fd00:a::2]:9", "fd00:b::1"),
        ] {
            let request = ping(host, own);
            vnf.send(port, &request);
            vnf.expect(port, &request.reply().ttl(64));
        }
        vnf.counted(["4 left.transmitted", "right.transmitted"]);
    });
}

#[test]
fn an_echo_request_with_the_last_hop_left_is_answered() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        for host in ["10.1.0.2:9", "[fd00:a::2]:9"] {
            let own = if host.starts_with('[') { "fd00:a::1" } else { "10.1.0.1" };
            let request = ping(host, own).ttl(1);
            vnf.send("left", &request);
            vnf.expect("left", &request.reply().ttl(64));
        }
    });
}

#[test]
fn a_nat_answers_pings_to_its_own_addresses_from_both_sides() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for (port, host, own) in [
            ("lan", "10.0.0.2:9", "10.0.0.1"),
            ("lan", "10.0.0.2:9", "198.51.100.1"),
            ("wan", "203.0.113.7:9", "198.51.100.1"),
        ] {
            let request = ping(host, own);
            vnf.send(port, &request);
            vnf.expect(port, &request.reply().ttl(64));
        }
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn where_nothing_listens_the_sender_is_told() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let question = udp("10.1.0.2:5000", "10.1.0.1:53");
        vnf.send("left", &question);
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 3, 3, &question));
        let other = ip("10.1.0.2", "10.1.0.1", 47, &[1; 16]);
        vnf.send("left", &other);
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 3, 2, &other));
        let syn = tcp("10.1.0.2:5000", "10.1.0.1:22", "S");
        vnf.send("left", &syn);
        vnf.expect("left", &reset_for(&syn));
        let question = udp("[fd00:a::2]:5000", "[fd00:a::1]:53");
        vnf.send("left", &question);
        vnf.expect("left", &icmp_error_from_vnf("fd00:a::1", 1, 4, &question));
        vnf.counted(["4 no-local-service", "4 originated", "4 left.transmitted"]);
        vnf.send("left", &tcp("10.1.0.2:5000", "10.1.0.1:22", "R"));
        vnf.counted(["no-local-service"]);
    });
}

/// The reset that answers a SYN without data.
pub(crate) fn reset_for(syn: &Packet) -> Packet {
    let mut reset = syn.reply().flags("RA").ttl(64).dont_fragment();
    reset.id = 0;
    if let Upper::Tcp { sequence, acknowledgment, .. } = &mut reset.upper {
        (*sequence, *acknowledgment) = (0, 1001);
    }
    reset
}

#[test]
fn a_pool_address_that_is_the_ports_own_serves_both() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .replace("pool = [\"198.51.100.10\"]", "pool = [\"198.51.100.1\"]");
        let mut vnf = Harness::new(config, workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let answer = udp("203.0.113.7:53", external);
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
        let out = ping("10.0.0.2:5", "203.0.113.7");
        vnf.send("lan", &out);
        let external = vnf.expect_translated("wan", &out);
        vnf.send("wan", &out.from(external).reply());
        vnf.expect("lan", &out.reply());

        let request = ping("203.0.113.7:9", "198.51.100.1");
        vnf.send("wan", &request);
        vnf.expect("wan", &request.reply().ttl(64));
        vnf.forget_counts();
        let unknown = udp("203.0.113.7:53", "198.51.100.1:1");
        vnf.send("wan", &unknown);
        vnf.expect("wan", &icmp_error_from_vnf("198.51.100.1", 3, 3, &unknown));
        vnf.counted(["no-local-service", "originated", "wan.transmitted"]);
    });
}

#[test]
fn answers_to_one_destination_are_limited() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let late = udp("10.1.0.2:5000", "192.0.2.2:53").ttl(1);
        for _ in 0..300 {
            vnf.send("left", &late);
        }
        assert_eq!(vnf.discard(), 100);
        vnf.counted(["300 ttl-expired", "100 originated", "100 left.transmitted"]);
        let other = udp("192.0.2.2:53", "10.1.0.2:5000").ttl(1);
        vnf.send("right", &other);
        vnf.expect("right", &icmp_error_from_vnf("192.0.2.1", 11, 0, &other));
        vnf.advance(seconds(1));
        vnf.send("left", &late);
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 11, 0, &late));
    });
}

#[test]
fn no_error_answers_what_must_not_be_answered() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let late = udp("10.1.0.2:5000", "192.0.2.2:53").ttl(1);
        vnf.send("left", &icmp_error("10.1.0.2", 3, 3, &late.reply()).ttl(1));
        vnf.counted(["ttl-expired"]);
        let mut fragment = ip("10.1.0.2", "192.0.2.2", 17, &[0; 64]).ttl(1);
        fragment.fragment_offset = 100;
        vnf.send("left", &fragment);
        vnf.forget_counts();
        assert_eq!(vnf.discard(), 0);
    });
}

#[test]
fn frames_for_other_stations_are_dropped() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let packet = udp("10.1.0.2:5000", "192.0.2.2:53");
        let sender = mac_of(address("10.1.0.2"));
        for (destination, reason) in [
            ([2, 0, 0, 0, 0, 2], "not-for-us"),
            ([0xff; 6], "l2-group"),
            ([1, 0, 0x5e, 0, 0, 1], "l2-group"),
            ([0; 6], "not-for-us"),
        ] {
            vnf.send("left", &packet.macs(destination, sender));
            vnf.counted([reason]);
        }
        for source in [[0xff; 6], [3, 0, 0, 0, 0, 1], ROUTER_MAC] {
            vnf.send("left", &packet.macs(ROUTER_MAC, source));
            vnf.counted(["ethernet-bad-source"]);
        }
    });
}
