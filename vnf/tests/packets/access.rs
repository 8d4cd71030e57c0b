//! Access control lists, on a router and in front of a NAT.

use crate::common::*;
use crate::local::reset_for;

#[test]
fn replies_of_a_permitted_flow_need_no_rule() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        for request in [
            udp("10.1.0.2:5000", "192.0.2.2:53"),
            tcp("10.1.0.2:5000", "192.0.2.2:443", "S"),
            ping("10.1.0.2:5", "192.0.2.2"),
            udp("[fd00:a::2]:5000", "[fd00:b::2]:53"),
            ping("[fd00:a::2]:5", "fd00:b::2"),
        ] {
            vnf.send("left", &request);
            vnf.expect("right", &request);
            vnf.send("right", &request.reply());
            vnf.expect("left", &request.reply());
            vnf.counted(["sessions_opened", "right.transmitted", "left.transmitted"]);
        }
    });
}

#[test]
fn what_is_not_permitted_is_dropped_without_a_session() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        for packet in [
            udp("10.1.0.2:5000", "192.0.2.2:54"),
            tcp("10.1.0.2:5000", "192.0.2.2:22", "S"),
            ip("10.1.0.2", "192.0.2.2", 47, &[0; 8]),
            udp("[fd00:a::2]:5000", "[fd00:b::2]:54"),
        ] {
            vnf.send("left", &packet);
            vnf.counted(["acl-denied"]);
        }
        for packet in [
            udp("192.0.2.2:53", "10.1.0.2:5000"),
            tcp("192.0.2.2:443", "10.1.0.2:5000", "SA"),
            ping("192.0.2.2:5", "10.1.0.2"),
            udp("[fd00:b::2]:53", "[fd00:a::2]:5000"),
        ] {
            vnf.send("right", &packet);
            vnf.counted(["acl-denied"]);
        }
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn what_is_rejected_is_told_so() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        let mail = tcp("10.1.0.2:5000", "192.0.2.2:25", "S");
        vnf.send("left", &mail);
        vnf.expect("left", &reset_for(&mail));
        let mail = udp("10.1.0.2:5000", "192.0.2.2:25");
        vnf.send("left", &mail);
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 3, 13, &mail));
        let mail = udp("[fd00:a::2]:5000", "[fd00:b::2]:25");
        vnf.send("left", &mail);
        vnf.expect("left", &icmp_error_from_vnf("fd00:a::1", 1, 1, &mail));
        let mail = tcp("[fd00:a::2]:5000", "[fd00:b::2]:25", "S");
        vnf.send("left", &mail);
        vnf.expect("left", &reset_for(&mail));
        vnf.counted(["4 acl-denied", "4 originated", "4 left.transmitted"]);
    });
}

#[test]
fn a_permitted_segment_other_than_a_syn_opens_no_session() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        vnf.send("left", &tcp("10.1.0.2:5000", "192.0.2.2:443", "A"));
        vnf.counted(["tcp-not-syn"]);
    });
}

#[test]
fn errors_about_a_permitted_flow_pass() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        for (request, router, kind, code) in [
            (udp("10.1.0.2:5000", "192.0.2.2:53"), "203.0.113.9", 11, 0),
            (udp("[fd00:a::2]:5000", "[fd00:b::2]:53"), "2001:db8::9", 3, 0),
        ] {
            vnf.send("left", &request);
            vnf.expect("right", &request);
            let error = icmp_error(router, kind, code, &request);
            vnf.send("right", &error);
            vnf.expect("left", &error);
            vnf.forget_counts();
            let about = Packet { source: request.destination, ..request.clone() };
            let unknown =
                icmp_error(router, kind, code, &Packet { destination: request.source, ..about });
            vnf.send("right", &Packet { destination: request.source, ..unknown });
            vnf.counted(["acl-denied"]);
        }
    });
}

#[test]
fn an_error_cannot_carry_a_live_flow_to_another_host() {
    for_workers(|workers| {
        let config = Config::new("firewall.toml").neighbors("left", ["10.1.0.3".to_owned()]);
        let mut vnf = Harness::new(config, workers);
        let request = udp("10.1.0.2:5000", "192.0.2.2:53");
        vnf.send("left", &request);
        vnf.expect("right", &request);
        vnf.forget_counts();
        let mut error = icmp_error("203.0.113.9", 3, 3, &request);
        error.destination = address("10.1.0.3");
        vnf.send("right", &error);
        vnf.counted(["acl-denied"]);
    });
}

#[test]
fn without_state_replies_need_a_rule_of_their_own() {
    for_workers(|workers| {
        let config = Config::new("firewall.toml").replace(
            "[[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\ndestination_port = 53",
            "[[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\ndestination_port = 53\nstate = false",
        );
        let mut vnf = Harness::new(config, workers);
        let request = udp("10.1.0.2:5000", "192.0.2.2:53");
        vnf.send("left", &request);
        vnf.expect("right", &request);
        vnf.counted(["right.transmitted"]);
        vnf.send("right", &request.reply());
        vnf.counted(["acl-denied"]);
    });
}

#[test]
fn without_state_replies_through_a_nat_need_a_rule_of_their_own_too() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .interface("lan", "acl_in = \"out\"")
            .interface("wan", "acl_in = \"in\"")
            .more(
                "[[acl]]\nname = \"out\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \"permit\"\n\
                 state = false\n[[acl]]\nname = \"in\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \
                 \"permit\"\nprotocol = \"udp\"\nsource_port = 53",
            );
        let mut vnf = Harness::new(config, workers);
        for (remote, passes) in [("203.0.113.7:53", true), ("203.0.113.7:54", false)] {
            let request = udp("10.0.0.2:5000", remote);
            vnf.send("lan", &request);
            let external = vnf.expect_translated("wan", &request);
            vnf.forget_counts();
            let reply = request.reply().to(external);
            for _ in 0..2 {
                vnf.send("wan", &reply);
                if passes {
                    vnf.expect("lan", &request.reply());
                    vnf.counted(["lan.transmitted"]);
                } else {
                    vnf.counted(["acl-denied"]);
                }
            }
        }
    });
}

/// NAT44 with one list on a port in one direction.
fn guarded(interface: &str, side: &str, rules: &str) -> Config {
    Config::new("nat44.toml")
        .interface(interface, &format!("{side} = \"guard\""))
        .more("[[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.10:443\"\ninternal = \"10.0.0.5:8443\"")
        .more(&format!("[[acl]]\nname = \"guard\"\ndefault = \"deny\"\n{rules}"))
}

#[test]
fn lists_see_real_addresses_wherever_they_stand() {
    let out =
        "[[acl.rule]]\naction = \"permit\"\nsource = \"10.0.0.2\"\ndestination = \"203.0.113.7\"";
    let into = "[[acl.rule]]\naction = \"permit\"\nsource = \"203.0.113.8\"\ndestination = \
                \"10.0.0.5\"\ndestination_port = 8443\nprotocol = \"tcp\"";
    for_workers(|workers| {
        for (interface, side) in [("lan", "acl_in"), ("wan", "acl_out")] {
            let mut vnf = Harness::new(guarded(interface, side, out), workers);
            let permitted = udp("10.0.0.2:5000", "203.0.113.7:53");
            vnf.send("lan", &permitted);
            let external = vnf.expect_translated("wan", &permitted);
            vnf.send("wan", &permitted.reply().to(external));
            vnf.expect("lan", &permitted.reply());
            vnf.forget_counts();
            for denied in
                [udp("10.0.0.3:5000", "203.0.113.7:53"), udp("10.0.0.2:5000", "203.0.113.8:53")]
            {
                vnf.send("lan", &denied);
                vnf.counted(["acl-denied"]);
            }
            assert_eq!(
                (vnf.sessions(), vnf.mappings(), vnf.ports_taken(), vnf.hosts()),
                (1, 1, 1, 1)
            );
        }
        for (interface, side) in [("wan", "acl_in"), ("lan", "acl_out")] {
            let mut vnf = Harness::new(guarded(interface, side, into), workers);
            let permitted = tcp("203.0.113.8:999", "198.51.100.10:443", "S");
            vnf.send("wan", &permitted);
            vnf.expect("lan", &permitted.to("10.0.0.5:8443"));
            vnf.send("lan", &permitted.to("10.0.0.5:8443").reply());
            vnf.expect("wan", &permitted.reply());
            vnf.forget_counts();
            vnf.send("wan", &tcp("203.0.113.9:999", "198.51.100.10:443", "S"));
            vnf.counted(["acl-denied"]);
            assert_eq!(vnf.sessions(), 1);
        }
    });
}

#[test]
fn a_reject_behind_the_nat_quotes_what_its_sender_sent() {
    let rules = "[[acl.rule]]\naction = \"reject\"\nprotocol = \"udp\"";
    for_workers(|workers| {
        let mut vnf = Harness::new(guarded("wan", "acl_out", rules), workers);
        let rejected = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &rejected);
        vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 13, &rejected));
        vnf.counted(["acl-denied", "originated", "lan.transmitted"]);
    });
}

#[test]
fn packets_for_the_router_itself_pass_its_list_too() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        let request = ping("10.1.0.2:5", "10.1.0.1");
        vnf.send("left", &request);
        vnf.expect("left", &request.reply().ttl(64));
        vnf.forget_counts();
        vnf.send("right", &ping("192.0.2.2:5", "192.0.2.1"));
        vnf.counted(["acl-denied"]);
    });
}
