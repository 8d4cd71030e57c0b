//! Mappings that the configuration fixes, and flows it exempts.

use crate::common::*;

fn static_host() -> Config {
    Config::new("nat44.toml")
        .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.2\"")
}

fn forwarded() -> Config {
    Config::new("nat44.toml").more(
        "[[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.10:443\"\ninternal = \
         \"10.0.0.5:8443\"\n[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \
         \"198.51.100.10:6000-6003\"\ninternal = \"10.0.0.4:7000-7003\"",
    )
}

#[test]
fn a_static_host_speaks_and_is_spoken_to_by_its_own_external_address() {
    for_workers(|workers| {
        let mut vnf = Harness::new(static_host(), workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from("198.51.100.20:5000"));
        let answer = udp("203.0.113.7:53", "198.51.100.20:5000");
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
        let caller = tcp("203.0.113.8:1234", "198.51.100.20:22", "S");
        vnf.send("wan", &caller);
        vnf.expect("lan", &caller.to("10.0.0.2:22"));
        vnf.send("lan", &caller.to("10.0.0.2:22").reply());
        vnf.expect("wan", &caller.reply());
        assert_eq!((vnf.mappings(), vnf.ports_taken()), (0, 0));
    });
}

#[test]
fn a_static_host_is_pinged_and_pings() {
    for_workers(|workers| {
        let mut vnf = Harness::new(static_host(), workers);
        let request = ping("203.0.113.7:77", "198.51.100.20");
        vnf.send("wan", &request);
        let inside = request.between("203.0.113.7", "10.0.0.2");
        vnf.expect("lan", &inside);
        vnf.send("lan", &inside.reply());
        vnf.expect("wan", &request.reply());
        let request = ping("10.0.0.2:78", "203.0.113.7");
        vnf.send("lan", &request);
        vnf.expect("wan", &request.between("198.51.100.20", "203.0.113.7"));
        vnf.send("wan", &request.between("198.51.100.20", "203.0.113.7").reply());
        vnf.expect("lan", &request.reply());
    });
}

#[test]
fn a_static_host_may_use_any_protocol() {
    for_workers(|workers| {
        let mut vnf = Harness::new(static_host(), workers);
        let payload: Vec<u8> = (1..=24).collect();
        for protocol in [4, 33, 47, 50, 132] {
            // DCCP's checksum covers the addresses: it is adjusted, so that only its place differs.
            let packet = ip("10.0.0.2", "203.0.113.7", protocol, &payload);
            vnf.send("lan", &packet);
            let left = vnf.take("wan");
            let expected = packet.between("198.51.100.20", "203.0.113.7").octets(63);
            let same = if protocol == 33 { 26 } else { expected.len() };
            assert_eq!(left.0[14..14 + same], expected[..same], "protocol {protocol}");
            assert_eq!(left.0[14 + 28..], expected[28..], "protocol {protocol}");
            let back = ip("203.0.113.7", "198.51.100.20", protocol, &payload[..20]);
            if protocol != 33 {
                vnf.send("wan", &back);
                vnf.expect("lan", &back.between("203.0.113.7", "10.0.0.2"));
            }
        }
        let mut timestamp = ping("10.0.0.2:5", "203.0.113.7");
        timestamp.upper = Upper::Icmp { kind: 13, code: 0, word: [1, 2, 3, 4] };
        vnf.send("lan", &timestamp);
        vnf.expect("wan", &timestamp.between("198.51.100.20", "203.0.113.7"));
    });
}

#[test]
fn errors_about_a_ping_to_a_static_host_find_their_way() {
    for_workers(|workers| {
        let mut vnf = Harness::new(static_host(), workers);
        let request = ping("203.0.113.7:77", "198.51.100.20");
        vnf.send("wan", &request);
        let inside = request.between("203.0.113.7", "10.0.0.2");
        vnf.expect("lan", &inside);
        let error = icmp_error("10.0.0.2", 3, 2, &inside);
        vnf.send("lan", &error);
        vnf.expect("wan", &icmp_error("198.51.100.20", 3, 2, &request));
        let reply = request.reply();
        let error = icmp_error("192.0.2.9", 11, 0, &reply);
        vnf.send("lan", &inside.reply());
        vnf.expect("wan", &reply);
        vnf.send("wan", &error);
        vnf.expect("lan", &icmp_error("192.0.2.9", 11, 0, &inside.reply()));
    });
}

#[test]
fn a_forwarded_port_leads_to_its_server() {
    for_workers(|workers| {
        let mut vnf = Harness::new(forwarded(), workers);
        let caller = tcp("203.0.113.8:1234", "198.51.100.10:443", "S");
        vnf.send("wan", &caller);
        vnf.expect("lan", &caller.to("10.0.0.5:8443"));
        vnf.counted(["sessions_opened", "lan.transmitted"]);
        vnf.send("lan", &caller.to("10.0.0.5:8443").reply());
        vnf.expect("wan", &caller.reply());
        vnf.counted(["wan.transmitted"]);
        vnf.send("wan", &tcp("203.0.113.8:1234", "198.51.100.10:444", "S"));
        vnf.counted(["nat-no-mapping"]);
        vnf.send("wan", &udp("203.0.113.8:1234", "198.51.100.10:443"));
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn a_forwarded_range_is_mapped_port_by_port() {
    for_workers(|workers| {
        let mut vnf = Harness::new(forwarded(), workers);
        for (external, internal) in [(6000, 7000), (6001, 7001), (6003, 7003)] {
            let packet = udp("203.0.113.8:1234", format!("198.51.100.10:{external}"));
            vnf.send("wan", &packet);
            vnf.expect("lan", &packet.to(format!("10.0.0.4:{internal}")));
        }
        vnf.forget_counts();
        vnf.send("wan", &udp("203.0.113.8:1234", "198.51.100.10:6004"));
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn a_server_behind_a_forward_speaks_through_it() {
    for_workers(|workers| {
        let mut vnf = Harness::new(forwarded(), workers);
        let out = tcp("10.0.0.5:8443", "203.0.113.7:99", "S");
        vnf.send("lan", &out);
        vnf.expect("wan", &out.from("198.51.100.10:443"));
        let other = tcp("10.0.0.5:8444", "203.0.113.7:99", "S");
        vnf.send("lan", &other);
        let external = vnf.expect_translated("wan", &other);
        assert_ne!(external.port(), 443);
    });
}

#[test]
fn a_remote_endpoint_reaches_a_server_through_one_forward_at_a_time() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").more(
            "[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \"198.51.100.10:443\"\ninternal = \
             \"10.0.0.5:8443\"\n[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \
             \"198.51.100.10:444\"\ninternal = \"10.0.0.5:8443\"",
        );
        let mut vnf = Harness::new(config, workers);
        let first = udp("203.0.113.8:1234", "198.51.100.10:444");
        vnf.send("wan", &first);
        vnf.expect("lan", &first.to("10.0.0.5:8443"));
        vnf.forget_counts();
        vnf.send("wan", &udp("203.0.113.8:1234", "198.51.100.10:443"));
        vnf.counted(["nat-filtered"]);
        let answer = udp("10.0.0.5:8443", "203.0.113.8:1234");
        vnf.send("lan", &answer);
        vnf.expect("wan", &answer.from("198.51.100.10:444"));
    });
}

#[test]
fn exempt_flows_pass_untranslated_both_ways() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .more("[[nat44.exempt]]\nsource = \"10.0.0.0/30\"\ndestination = \"192.0.2.0/24\"");
        let mut vnf = Harness::new(config, workers);
        let out = udp("10.0.0.2:5000", "192.0.2.7:53");
        vnf.send("lan", &out);
        vnf.expect("wan", &out);
        vnf.send("wan", &out.reply());
        vnf.expect("lan", &out.reply());
        let caller = tcp("192.0.2.9:1234", "10.0.0.3:22", "S");
        vnf.send("wan", &caller);
        vnf.expect("lan", &caller);
        vnf.send("lan", &caller.reply());
        vnf.expect("wan", &caller.reply());
        vnf.counted(["2 lan.transmitted", "2 wan.transmitted"]);
        let translated = udp("10.0.0.4:5000", "192.0.2.7:53");
        vnf.send("lan", &translated);
        vnf.expect_translated("wan", &translated);
        let translated = udp("10.0.0.2:5000", "192.0.3.7:53");
        vnf.send("lan", &translated);
        vnf.expect_translated("wan", &translated);
        vnf.forget_counts();
        vnf.send("wan", &tcp("192.0.2.9:1234", "10.0.0.4:22", "S"));
        vnf.counted(["nat-bypass"]);
    });
}

#[test]
fn errors_about_exempt_flows_pass_both_ways() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .more("[[nat44.exempt]]\nsource = \"10.0.0.0/24\"\ndestination = \"192.0.2.0/24\"");
        let mut vnf = Harness::new(config, workers);
        let out = udp("10.0.0.2:5000", "192.0.2.7:53");
        for (from, to, error) in [
            ("wan", "lan", icmp_error("192.0.2.7", 3, 3, &out)),
            ("lan", "wan", icmp_error("10.0.0.2", 3, 3, &out.reply())),
        ] {
            vnf.send(from, &error);
            vnf.expect(to, &error);
        }
        vnf.counted(["lan.transmitted", "wan.transmitted"]);
    });
}
