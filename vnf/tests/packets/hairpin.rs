//! Internal hosts that reach each other by external endpoints (RFC 4787 REQ-9).

use crate::common::*;

/// A host opens a mapping; returns its external endpoint.
fn mapping_of(vnf: &mut Harness, opener: &Packet) -> std::net::SocketAddr {
    vnf.send("lan", opener);
    let external = vnf.expect_translated("wan", opener);
    vnf.forget_counts();
    external
}

fn open() -> Config {
    Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"")
}

#[test]
fn a_datagram_between_internal_hosts_has_external_endpoints() {
    for_workers(|workers| {
        for pool in ["198.51.100.10", "198.51.100.10-198.51.100.15"] {
            let config =
                open().replace("pool = [\"198.51.100.10\"]", &format!("pool = [\"{pool}\"]"));
            let mut vnf = Harness::new(config, workers);
            let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
            let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
            vnf.send("lan", &udp("10.0.0.2:5000", b));
            vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
            vnf.counted(["2 sessions_opened", "lan.transmitted"]);
            vnf.send("lan", &udp("10.0.0.3:6000", a));
            vnf.expect("lan", &udp(b, "10.0.0.2:5000"));
            vnf.send("lan", &udp("10.0.0.2:5000", b));
            vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
            vnf.counted(["2 lan.transmitted"]);
        }
    });
}

#[test]
fn a_connection_between_internal_hosts_has_external_endpoints() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = mapping_of(&mut vnf, &tcp("10.0.0.3:6000", "203.0.113.7:80", "S"));
        let syn = tcp("10.0.0.2:5000", b, "S");
        vnf.send("lan", &syn);
        let a = vnf.peek("lan").source();
        vnf.expect("lan", &syn.from(a).to("10.0.0.3:6000"));
        let answer = syn.from(a).to("10.0.0.3:6000").reply();
        vnf.send("lan", &answer);
        vnf.expect("lan", &answer.from(b).to("10.0.0.2:5000"));
        vnf.send("lan", &syn.flags("A"));
        vnf.expect("lan", &syn.flags("A").from(a).to("10.0.0.3:6000"));
        vnf.counted(["2 sessions_opened", "3 lan.transmitted"]);
    });
}

#[test]
fn hairpinned_packets_keep_their_order() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
        let burst: Vec<Packet> = (0..40u8).map(|n| udp("10.0.0.2:5000", b).payload(&[n])).collect();
        vnf.send_burst("lan", &burst);
        for packet in &burst {
            vnf.expect("lan", &packet.from(a).to("10.0.0.3:6000"));
        }
    });
}

#[test]
fn hosts_reach_static_and_forwarded_servers_from_inside() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").more(
            "[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.4\"\n\
             [[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.10:443\"\ninternal = \
             \"10.0.0.5:8443\"",
        );
        let mut vnf = Harness::new(config, workers);
        for (external, internal) in
            [("198.51.100.20:22", "10.0.0.4:22"), ("198.51.100.10:443", "10.0.0.5:8443")]
        {
            let syn = tcp("10.0.0.2:5000", external, "S");
            vnf.send("lan", &syn);
            let a = vnf.peek("lan").source();
            assert_eq!(a.ip(), address("198.51.100.10"));
            vnf.expect("lan", &syn.from(a).to(internal));
            let answer = syn.from(a).to(internal).reply();
            vnf.send("lan", &answer);
            vnf.expect("lan", &answer.from(external).to("10.0.0.2:5000"));
        }
        let request = ping("10.0.0.2:7", "198.51.100.20");
        vnf.send("lan", &request);
        let a = vnf.peek("lan").source();
        vnf.expect("lan", &request.from(a).between("198.51.100.10", "10.0.0.4"));
        let reply = request.from(a).between("198.51.100.10", "10.0.0.4").reply();
        vnf.send("lan", &reply);
        vnf.expect("lan", &request.reply());
    });
}

#[test]
fn a_host_that_hairpins_to_nobody_is_not_answered() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        vnf.send("lan", &udp("10.0.0.2:5000", "198.51.100.10:6000"));
        vnf.counted(["sessions_opened", "nat-no-mapping", "sessions_closed.refused"]);
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken(), vnf.hosts()), (0, 0, 0, 0));
    });
}

#[test]
fn what_internal_hosts_have_of_theirs_is_kept_when_they_are_refused() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
        vnf.send("lan", &udp("10.0.0.2:5000", "198.51.100.10:1023"));
        vnf.counted(["sessions_opened", "nat-no-mapping", "sessions_closed.refused"]);
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
        // What was admitted once is not taken back, answered or not.
        vnf.advance(seconds(301));
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        assert_eq!((vnf.sessions(), vnf.mappings()), (0, 0));
    });
}

#[test]
fn filtering_holds_for_internal_hosts_too() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        vnf.counted(["sessions_opened", "nat-filtered"]);
        // What it has asked for comes in.
        vnf.send("lan", &udp("10.0.0.3:6000", a));
        vnf.expect("lan", &udp(b, "10.0.0.2:5000"));
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
    });
}

#[test]
fn without_hairpinning_internal_hosts_do_not_reach_each_other_that_way() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open().nat44("hairpinning = false"), workers);
        let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        vnf.forget_counts();
        assert_eq!(vnf.discard(), 0, "nothing reaches the other host");
    });
}

#[test]
fn an_error_about_a_hairpinned_datagram_returns() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
        let sent = udp("10.0.0.2:5000", b);
        vnf.send("lan", &sent);
        let arrived = udp(a, "10.0.0.3:6000");
        vnf.expect("lan", &arrived);
        vnf.forget_counts();
        vnf.send("lan", &icmp_error("10.0.0.3", 3, 3, &arrived));
        vnf.expect("lan", &icmp_error("198.51.100.10", 3, 3, &sent));
        vnf.counted(["lan.transmitted"]);
    });
}

#[test]
fn a_hairpinned_packet_waits_for_its_receiver_like_any_other() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
        vnf.unresolve("lan", "10.0.0.3");
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        vnf.expect_nothing();
        assert_eq!(vnf.unresolved(), [("lan".to_owned(), address("10.0.0.3"))]);
        vnf.resolve("lan", "10.0.0.3");
        vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
        vnf.counted(["2 sessions_opened", "lan.transmitted"]);
    });
}

#[test]
fn a_forward_on_the_own_address_is_reached_from_inside() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .replace("pool = [\"198.51.100.10\"]", "pool = [\"198.51.100.1\"]")
            .more(
                "[[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.1:443\"\n\
                 internal = \"10.0.0.5:8443\"",
            );
        let mut vnf = Harness::new(config, workers);
        let syn = tcp("10.0.0.2:5000", "198.51.100.1:443", "S");
        vnf.send("lan", &syn);
        let a = vnf.peek("lan").source();
        vnf.expect("lan", &syn.from(a).to("10.0.0.5:8443"));
        let answer = syn.from(a).to("10.0.0.5:8443").reply();
        vnf.send("lan", &answer);
        vnf.expect("lan", &answer.from("198.51.100.1:443").to("10.0.0.2:5000"));
    });
}

#[test]
fn lists_stand_between_internal_hosts_too() {
    for_workers(|workers| {
        for (side, rule, passes) in [
            ("acl_in", "source = \"10.0.0.2\"\ndestination = \"198.51.100.10\"", true),
            ("acl_in", "source = \"10.0.0.2\"\ndestination = \"10.0.0.3\"", false),
            ("acl_out", "source = \"198.51.100.10\"\ndestination = \"10.0.0.3\"", true),
            ("acl_out", "source = \"10.0.0.2\"\ndestination = \"10.0.0.3\"", false),
        ] {
            let guard = |config: Config| {
                config.interface("lan", &format!("{side} = \"guard\"")).more(&format!(
                    "[[acl]]\nname = \"guard\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \
                     \"permit\"\n{rule}\n[[acl.rule]]\naction = \"permit\"\nsource = \
                     [\"10.0.0.0/24\", \"203.0.113.0/24\"]\ndestination = [\"10.0.0.0/24\", \
                     \"203.0.113.0/24\"]"
                ))
            };
            let mut vnf = Harness::new(guard(open()), workers);
            let b = mapping_of(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
            let a = mapping_of(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
            vnf.send("lan", &udp("10.0.0.2:5000", b));
            if passes {
                vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
            } else {
                assert_eq!(vnf.count_of("acl-denied"), 1, "{side} {rule}");
                assert_eq!((vnf.sessions(), vnf.mappings()), (2, 2), "{side} {rule}");
            }
        }
    });
}

/// An external host that has a query identifier asks, and is answered.
fn opens_a_query(vnf: &mut Harness, host: &str) -> std::net::SocketAddr {
    mapping_of(vnf, &ping(format!("{host}:9"), "203.0.113.7"))
}

#[test]
fn rfc7857_12_a_query_between_internal_hosts_has_external_endpoints() {
    for_workers(|workers| {
        for pool in ["198.51.100.10", "198.51.100.10-198.51.100.15"] {
            let config =
                open().replace("pool = [\"198.51.100.10\"]", &format!("pool = [\"{pool}\"]"));
            let mut vnf = Harness::new(config, workers);
            let b = opens_a_query(&mut vnf, "10.0.0.3");
            let external = b.ip().to_string();
            let request = ping(format!("10.0.0.2:{}", b.port()), &external);
            vnf.send("lan", &request);
            let a = vnf.peek("lan").source();
            let arrived = request.from(a).between(&a.ip().to_string(), "10.0.0.3");
            vnf.expect("lan", &arrived);
            vnf.counted(["2 sessions_opened", "lan.transmitted"]);
            vnf.send("lan", &arrived.reply());
            vnf.expect("lan", &request.reply());
            vnf.send("lan", &request);
            vnf.expect("lan", &arrived);
            vnf.counted(["2 lan.transmitted"]);
            // Nobody has that identifier.
            let other = ping(format!("10.0.0.2:{}", b.port() ^ 1), &external);
            vnf.send("lan", &other);
            vnf.counted(["sessions_opened", "nat-no-mapping"]);
        }
    });
}

#[test]
fn an_error_about_a_hairpinned_query_returns() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = opens_a_query(&mut vnf, "10.0.0.3");
        let request = ping(format!("10.0.0.2:{}", b.port()), "198.51.100.10");
        vnf.send("lan", &request);
        let a = vnf.peek("lan").source();
        let arrived = request.from(a).between("198.51.100.10", "10.0.0.3");
        vnf.expect("lan", &arrived);
        vnf.forget_counts();
        vnf.send("lan", &icmp_error("10.0.0.3", 3, 1, &arrived));
        vnf.expect("lan", &icmp_error("198.51.100.10", 3, 1, &request));
        vnf.counted(["lan.transmitted"]);
    });
}

#[test]
fn rfc7857_12_the_filtering_of_queries_is_as_configured() {
    for_workers(|workers| {
        for filtering in ["address-and-port-dependent", "address-dependent"] {
            let config = Config::new("nat44.toml").nat44(&format!("filtering = \"{filtering}\""));
            let mut vnf = Harness::new(config, workers);
            let b = opens_a_query(&mut vnf, "10.0.0.3");
            let request = ping(format!("10.0.0.2:{}", b.port()), "198.51.100.10");
            vnf.send("lan", &request);
            vnf.counted(["sessions_opened", "nat-filtered"]);
            // Once the other host has asked this one, it hears of it too.
            vnf.send("lan", &ping("10.0.0.3:9", "198.51.100.10"));
            vnf.forget_counts();
            vnf.send("lan", &request);
            let a = vnf.peek("lan").source();
            vnf.expect("lan", &request.from(a).between("198.51.100.10", "10.0.0.3"));
            vnf.counted(["sessions_opened", "lan.transmitted"]);
        }
    });
}

#[test]
fn a_query_from_outside_reaches_whoever_has_its_identifier_if_filtering_admits_it() {
    for_workers(|workers| {
        let mut vnf = Harness::new(open(), workers);
        let b = opens_a_query(&mut vnf, "10.0.0.3");
        let request = ping(format!("203.0.113.9:{}", b.port()), "198.51.100.10");
        vnf.send("wan", &request);
        let arrived = request.between("203.0.113.9", "10.0.0.3");
        vnf.expect("lan", &arrived);
        vnf.counted(["sessions_opened", "lan.transmitted"]);
        vnf.send("lan", &arrived.reply());
        vnf.expect("wan", &request.reply());
        vnf.counted(["wan.transmitted"]);
        assert_eq!(vnf.mappings(), 1, "it came through the host's own mapping");
        vnf.send("wan", &ping(format!("203.0.113.9:{}", b.port() ^ 1), "198.51.100.10"));
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn queries_to_an_own_address_are_answered_there_whoever_has_the_identifier() {
    for_workers(|workers| {
        let config = open().replace("pool = [\"198.51.100.10\"]", "pool = [\"198.51.100.1\"]");
        let mut vnf = Harness::new(config, workers);
        let b = opens_a_query(&mut vnf, "10.0.0.3");
        for (port, source) in [("lan", "10.0.0.2"), ("wan", "203.0.113.9")] {
            let request = ping(format!("{source}:{}", b.port()), "198.51.100.1");
            vnf.send(port, &request);
            vnf.expect(port, &request.reply().ttl(64));
        }
    });
}
