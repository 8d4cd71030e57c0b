//! What rules can ask of a packet beyond addresses and ports.

use crate::common::*;

/// The firewall with more rules at the end of the list of its left port.
fn with_rules(rules: &str) -> Config {
    let next = "[[acl]]\nname = \"from-right\"";
    Config::new("firewall.toml").replace(next, &format!("{rules}\n{next}"))
}

fn passes(config: &Config, workers: usize, packet: &Packet) -> bool {
    let mut vnf = Harness::new(config.clone(), workers);
    vnf.send("left", packet);
    let passed = vnf.discard() == 1;
    if !passed {
        vnf.counted(["acl-denied"]);
    }
    passed
}

#[test]
fn a_rule_asks_for_tcp_flags() {
    let config = with_rules(
        "[[acl.rule]]\naction = \"permit\"\nprotocol = \"tcp\"\ndestination_port = 22\n\
         tcp_flags = [\"syn\", \"!ack\", \"!urg\"]\n",
    );
    for_workers(|workers| {
        for (flags, expected) in [("S", true), ("SP", true), ("SA", false), ("SU", false)] {
            for (host, server) in
                [("10.1.0.2:5000", "192.0.2.2:22"), ("[fd00:a::2]:5000", "[fd00:b::2]:22")]
            {
                let segment = tcp(host, server, flags);
                assert_eq!(passes(&config, workers, &segment), expected, "{flags}");
            }
        }
    });
}

#[test]
fn a_rule_asks_for_an_icmp_code() {
    let config = with_rules(
        "[[acl.rule]]\naction = \"permit\"\nprotocol = \"icmp\"\nicmp_type = 3\nicmp_code = 4\n\
         [[acl.rule]]\naction = \"permit\"\nprotocol = \"icmpv6\"\nicmp_type = 1\nicmp_code = 3\n",
    );
    for_workers(|workers| {
        // About flows that the firewall knows nothing of: asked as any other packet.
        let quoted = udp("192.0.2.2:9", "10.1.0.2:9");
        let quoted6 = udp("[fd00:b::2]:9", "[fd00:a::2]:9");
        for (kind, code, expected) in [(3, 4, true), (3, 3, false), (11, 4, false)] {
            let error = icmp_error("10.1.0.2", kind, code, &quoted);
            assert_eq!(passes(&config, workers, &error), expected, "{kind} {code}");
        }
        for (kind, code, expected) in [(1, 3, true), (1, 4, false), (3, 3, false)] {
            let error = icmp_error("fd00:a::2", kind, code, &quoted6);
            assert_eq!(passes(&config, workers, &error), expected, "{kind} {code}");
        }
    });
}

#[test]
fn a_rule_asks_for_the_vlan_by_which_a_packet_came_in() {
    let config = with_rules(
        "[[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\ndestination_port = 99\nvlan = [100]\n\
         [[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\ndestination_port = 98\nvlan = 0\n",
    )
    .more(
        "[[vlan]]\nname = \"guests\"\nport = \"left\"\nid = 100\nacl_in = \"from-left\"\n\
         addresses = [\"10.9.0.1/24\"]\n[[neighbor]]\nport = \"guests\"\naddress = \"10.9.0.2\"\n\
         mac = \"02:04:0a:09:00:02\"",
    );
    for_workers(|workers| {
        let tagged = |port: u16| udp("10.9.0.2:5000", format!("192.0.2.2:{port}")).vlan(100);
        let untagged = |port: u16| udp("10.1.0.2:5000", format!("192.0.2.2:{port}"));
        assert!(passes(&config, workers, &tagged(99)));
        assert!(!passes(&config, workers, &tagged(98)));
        assert!(!passes(&config, workers, &untagged(99)));
        assert!(passes(&config, workers, &untagged(98)));
        // The reply came in by no VLAN, and needs no rule, after a reload either.
        let mut vnf = Harness::new(config.clone(), workers);
        vnf.send("left", &tagged(99));
        assert_eq!(vnf.discard(), 1);
        vnf.reload(config.clone());
        vnf.forget_counts();
        vnf.send("right", &udp("192.0.2.2:99", "10.9.0.2:5000"));
        vnf.counted(["left.transmitted"]);
        assert_eq!(vnf.discard(), 1);
    });
}
