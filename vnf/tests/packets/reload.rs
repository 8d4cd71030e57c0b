//! Another configuration under live flows: it holds for the next packet.

use std::net::SocketAddr;

use crate::common::*;

/// NAT44 with a list on the internal port and this rule in it.
fn guarded(rule: &str) -> Config {
    Config::new("nat44.toml").interface("lan", "acl_in = \"guard\"").more(&format!(
        "[[acl]]\nname = \"guard\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \"permit\"\n{rule}"
    ))
}

fn flow(vnf: &mut Harness, packet: &Packet) -> SocketAddr {
    vnf.send("lan", packet);
    let external = vnf.expect_translated("wan", packet);
    vnf.forget_counts();
    external
}

fn pool(addresses: &str) -> Config {
    Config::new("nat44.toml").replace("[\"198.51.100.10\"]", addresses)
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    for_workers(|workers| {
        let mut vnf = Harness::new(guarded("protocol = \"udp\""), workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        let external = flow(&mut vnf, &question);
        for _ in 0..3 {
            vnf.reload(guarded("protocol = \"udp\""));
            vnf.send("wan", &question.reply().to(external));
            vnf.expect("lan", &question.reply());
            vnf.send("lan", &question);
            vnf.expect("wan", &question.from(external));
            vnf.counted(["wan.transmitted", "lan.transmitted"]);
        }
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken()), (1, 1, 1));
    });
}

#[test]
fn a_new_rule_stops_a_live_flow_in_both_directions() {
    for_workers(|workers| {
        let (open, closed) = ("protocol = \"udp\"", "protocol = \"tcp\"");
        let mut vnf = Harness::new(guarded(open), workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        let external = flow(&mut vnf, &question);
        let answer = question.reply().to(external);
        vnf.send("wan", &answer);
        vnf.expect("lan", &question.reply());
        vnf.forget_counts();
        vnf.reload(guarded(closed));
        vnf.send("wan", &answer);
        vnf.counted(["acl-denied", "sessions_closed.reconfigured"]);
        vnf.send("wan", &answer);
        vnf.counted(["nat-no-mapping"]);
        vnf.send("lan", &question);
        vnf.counted(["acl-denied"]);
        assert_eq!((vnf.sessions(), vnf.mappings()), (0, 0));
        vnf.reload(guarded(open));
        let external = flow(&mut vnf, &question);
        vnf.send("wan", &question.reply().to(external));
        vnf.expect("lan", &question.reply());
        vnf.counted(["lan.transmitted"]);
    });
}

#[test]
fn a_new_rule_stops_a_live_flow_through_a_firewall() {
    for_workers(|workers| {
        for (request, old) in [
            (udp("10.1.0.2:5000", "192.0.2.2:53"), "protocol = \"udp\"\ndestination_port = 53"),
            (
                udp("[fd00:a::2]:5000", "[fd00:b::2]:53"),
                "protocol = \"udp\"\ndestination_port = 53",
            ),
            (ping("10.1.0.2:5", "192.0.2.2"), "protocol = \"icmp\"\nicmp_type = 8"),
            (ping("[fd00:a::2]:5", "fd00:b::2"), "protocol = \"icmpv6\"\nicmp_type = 128"),
        ] {
            let mut vnf = Harness::new("firewall.toml", workers);
            vnf.send("left", &request);
            vnf.expect("right", &request);
            vnf.forget_counts();
            vnf.reload(Config::new("firewall.toml"));
            vnf.send("right", &request.reply());
            vnf.expect("left", &request.reply());
            vnf.counted(["left.transmitted"]);
            vnf.reload(Config::new("firewall.toml").replace(old, "protocol = 200"));
            vnf.send("right", &request.reply());
            vnf.counted(["acl-denied", "sessions_closed.reconfigured"]);
            vnf.send("left", &request);
            vnf.counted(["acl-denied"]);
        }
    });
}

#[test]
fn flows_of_an_address_that_left_the_pool_get_another_one() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        let external = flow(&mut vnf, &question);
        let connection = tcp("10.0.0.3:5000", "203.0.113.7:443", "S");
        flow(&mut vnf, &connection);
        vnf.reload(pool("[\"198.51.100.11\"]"));
        vnf.send("lan", &question);
        assert_eq!(vnf.expect_translated("wan", &question).ip(), address("198.51.100.11"));
        vnf.counted(["sessions_closed.reconfigured", "sessions_opened", "wan.transmitted"]);
        vnf.send("lan", &connection.flags("A"));
        vnf.counted(["sessions_closed.reconfigured", "tcp-not-syn"]);
        vnf.send("wan", &question.reply().to(external));
        vnf.send("wan", &udp("203.0.113.7:54", "198.51.100.10:5000"));
        assert_eq!(vnf.discard(), 0, "nothing comes in by the old address");
    });
}

#[test]
fn sessions_of_one_endpoint_share_its_new_mapping() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let remotes = ["203.0.113.7:53", "203.0.113.8:53", "203.0.113.9:53"];
        for remote in remotes {
            flow(&mut vnf, &udp("10.0.0.2:5000", remote));
        }
        vnf.reload(pool("[\"198.51.100.11\"]"));
        let question = udp("10.0.0.2:5000", "192.0.2.7:53");
        let external = flow(&mut vnf, &question);
        for remote in ["192.0.2.8:53", "192.0.2.9:53"].iter().chain(&remotes) {
            vnf.send("lan", &question.to(*remote));
            vnf.expect("wan", &question.to(*remote).from(external));
        }
        assert_eq!((vnf.sessions(), vnf.mappings()), (6, 1));
    });
}

#[test]
fn a_larger_pool_disturbs_nobody() {
    for_workers(|workers| {
        let small = "[\"198.51.100.16-198.51.100.21\"]";
        let mut vnf = Harness::new(pool(small), workers);
        let questions: Vec<Packet> = (2..6)
            .flat_map(|host| (0..4).map(move |n| (host, n)))
            .map(|(host, n)| udp(format!("10.0.0.{host}:{}", 5000 + n), "203.0.113.7:53"))
            .collect();
        let externals: Vec<_> = questions.iter().map(|q| flow(&mut vnf, q)).collect();
        for larger in [
            "[\"198.51.100.16-198.51.100.22\"]",
            "[\"198.51.100.12-198.51.100.22\", \"203.0.113.32/28\"]",
        ] {
            vnf.reload(pool(larger));
            for (question, external) in questions.iter().zip(&externals) {
                vnf.send("wan", &question.reply().to(*external));
                vnf.expect("lan", &question.reply());
                vnf.send("lan", question);
                vnf.expect("wan", &question.from(*external));
            }
            vnf.counted(["16 wan.transmitted", "16 lan.transmitted"]);
        }
    });
}

#[test]
fn no_endpoint_has_two_owners_after_the_pool_changed() {
    for_workers(|workers| {
        let range = "port_range = \"2000-2059\"";
        let mut vnf = Harness::new(pool("[\"198.51.100.16\"]").nat44(range), workers);
        let mut sources = Vec::new();
        for (addresses, base) in [
            ("[\"198.51.100.16\"]", 5000),
            ("[\"198.51.100.16-198.51.100.18\"]", 6000),
            ("[\"198.51.100.15-198.51.100.19\"]", 7000),
            ("[\"198.51.100.15-198.51.100.16\"]", 8000),
        ] {
            vnf.reload(pool(addresses).nat44(range));
            sources.extend((0..24).map(|n| format!("10.0.0.{}:{}", 2 + n % 4, base + n)));
            let mut owners = std::collections::HashMap::new();
            // Once to let every flow see the new pool, once more for what it settles on.
            for round in 0..2 {
                for source in &sources {
                    vnf.send("lan", &udp(&source[..], "203.0.113.7:53"));
                    if let (Some(frame), 1) = (vnf.try_take("wan"), round) {
                        let other = owners.insert(frame.source(), source.clone());
                        assert_eq!(other, None, "{} is of {source} too", frame.source());
                    }
                    vnf.discard();
                }
            }
            // One of three workers may have all hosts, and twenty ports of an address.
            assert!(owners.len() >= 16, "{}", owners.len());
        }
    });
}

#[test]
fn an_address_that_comes_back_to_the_pool_is_still_in_use() {
    for_workers(|workers| {
        let range = "port_range = \"2000-2005\"";
        let with = |addresses: &str| pool(addresses).nat44(range);
        let mut vnf = Harness::new(with("[\"198.51.100.16\"]"), workers);
        let ask = |source: String| udp(&source[..], "203.0.113.7:53");
        let before: Vec<_> = (0..6).map(|n| ask(format!("10.0.0.2:{}", 5000 + n))).collect();
        let mut owners = std::collections::HashSet::new();
        for question in &before {
            vnf.send("lan", question);
            if let Some(frame) = vnf.try_take("wan") {
                assert!(owners.insert(frame.source()));
            }
            vnf.discard();
        }
        vnf.reload(with("[\"198.51.100.17\"]"));
        vnf.reload(with("[\"198.51.100.16\"]"));
        for n in 0..6 {
            vnf.send("lan", &ask(format!("10.0.0.3:{}", 6000 + n)));
            if let Some(frame) = vnf.try_take("wan") {
                assert!(owners.insert(frame.source()), "{} has an owner", frame.source());
            }
            vnf.discard();
        }
        vnf.advance(seconds(301));
        vnf.advance(seconds(121));
        assert_eq!((vnf.mappings(), vnf.ports_taken()), (0, 0));
    });
}

#[test]
fn a_forward_takes_its_port_from_whoever_has_it() {
    let range = "port_range = \"2000-2000\"";
    let mut vnf = Harness::new(Config::new("nat44.toml").nat44(range), 1);
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    let external = flow(&mut vnf, &question);
    assert_eq!(external.port(), 2000);
    vnf.reload(Config::new("nat44.toml").nat44(range).more(
        "[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \"198.51.100.10:2000\"\ninternal = \
         \"10.0.0.5:53\"",
    ));
    let caller = udp("203.0.113.9:1", "198.51.100.10:2000");
    vnf.send("wan", &caller);
    vnf.expect("lan", &caller.to("10.0.0.5:53"));
    vnf.forget_counts();
    vnf.send("lan", &question);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &question));
    vnf.counted([
        "sessions_closed.reconfigured",
        "nat-ports-exhausted",
        "originated",
        "lan.transmitted",
    ]);
}

#[test]
fn a_new_exemption_and_a_new_static_mapping_hold_for_live_flows() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "192.0.2.7:53");
        flow(&mut vnf, &question);
        vnf.reload(
            Config::new("nat44.toml")
                .more("[[nat44.exempt]]\nsource = \"10.0.0.0/24\"\ndestination = \"192.0.2.0/24\""),
        );
        vnf.send("lan", &question);
        vnf.expect("wan", &question);
        vnf.counted(["sessions_closed.reconfigured", "wan.transmitted"]);
        vnf.reload(
            Config::new("nat44.toml")
                .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.2\""),
        );
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from("198.51.100.20:5000"));
        vnf.counted(["sessions_opened", "wan.transmitted"]);
        vnf.reload("nat44.toml");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        assert_eq!(external.ip(), address("198.51.100.10"));
        vnf.counted(["sessions_closed.reconfigured", "sessions_opened", "wan.transmitted"]);
    });
}

#[test]
fn what_the_configuration_fixes_wins_over_live_mappings_at_once() {
    for_workers(|workers| {
        let open = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let fixed = [
            "[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.2\"",
            "[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \"198.51.100.10:5000\"\n\
             internal = \"10.0.0.2:5000\"",
        ];
        for (lines, external) in fixed.into_iter().zip(["198.51.100.20", "198.51.100.10"]) {
            let external = format!("{external}:5000");
            for from_inside in [true, false] {
                let mut vnf = Harness::new(open.clone(), workers);
                let question = udp("10.0.0.2:5000", "203.0.113.7:53");
                let before = flow(&mut vnf, &question);
                vnf.reload(open.clone().more(lines));
                // Nobody comes in by the mapping of before, whoever its session is with.
                vnf.send("wan", &udp("203.0.113.9:53", before));
                vnf.counted(["nat-no-mapping"]);
                let answer = udp("203.0.113.7:53", &external[..]);
                if from_inside {
                    vnf.send("lan", &question);
                    vnf.expect("wan", &question.from(&external[..]));
                } else {
                    vnf.send("wan", &answer);
                    vnf.expect("lan", &answer.to("10.0.0.2:5000"));
                }
                vnf.send("wan", &answer);
                vnf.expect("lan", &answer.to("10.0.0.2:5000"));
                assert_eq!(vnf.count_of("sessions_closed.reconfigured"), 1, "{lines}");
                assert_eq!((vnf.sessions(), vnf.mappings()), (1, 0));
                vnf.forget_counts();
            }
        }
    });
}

#[test]
fn a_mapping_that_ends_within_a_burst_is_nobodys_any_more() {
    for_workers(|workers| {
        let open = || Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(open(), workers);
        let question = udp("10.0.0.2:5000", "192.0.2.7:53");
        let external = flow(&mut vnf, &question);
        vnf.reload(
            open()
                .more("[[nat44.exempt]]\nsource = \"10.0.0.0/24\"\ndestination = \"192.0.2.0/24\""),
        );
        // The answer ends its session and the mapping with it, before the stranger is let in.
        let stranger = udp("203.0.113.9:53", external);
        let answer = question.reply().to(external);
        vnf.send_burst("wan", [&stranger, &answer]);
        vnf.counted(["sessions_closed.reconfigured", "2 nat-no-mapping"]);
        vnf.advance(seconds(500));
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.hosts(), vnf.resting()), (0, 0, 0, 0));
    });
}

#[test]
fn live_flows_follow_a_new_route() {
    for_workers(|workers| {
        let with_route = |gateway: &str| {
            Config::new("nat44.toml")
                .replace(
                    "next_hops = [\"198.51.100.254\"]",
                    &format!("next_hops = [\"{gateway}\"]"),
                )
                .neighbors("wan", ["198.51.100.253".to_owned()])
        };
        let mut vnf = Harness::new(with_route("198.51.100.254"), workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        let external = flow(&mut vnf, &question);
        vnf.reload(with_route("198.51.100.253"));
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(external));
        vnf.send("wan", &question.reply().to(external));
        vnf.expect("lan", &question.reply());
        vnf.counted(["wan.transmitted", "lan.transmitted"]);
    });
}

#[test]
fn hairpinned_flows_live_on() {
    for_workers(|workers| {
        let config = || Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config(), workers);
        let b = flow(&mut vnf, &udp("10.0.0.3:6000", "203.0.113.7:53"));
        let a = flow(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
        vnf.send("lan", &udp("10.0.0.2:5000", b));
        vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
        vnf.send("lan", &udp("10.0.0.3:6000", a));
        vnf.expect("lan", &udp(b, "10.0.0.2:5000"));
        let id = flow(&mut vnf, &ping("10.0.0.3:6", "203.0.113.7")).port();
        let request = ping(format!("10.0.0.2:{id}"), "198.51.100.10");
        vnf.send("lan", &request);
        let seen = vnf.peek("lan").source();
        let request_there = request.from(seen).between("198.51.100.10", "10.0.0.3");
        vnf.expect("lan", &request_there);
        vnf.forget_counts();
        for _ in 0..2 {
            vnf.reload(config());
            vnf.send("lan", &udp("10.0.0.3:6000", a));
            vnf.expect("lan", &udp(b, "10.0.0.2:5000"));
            vnf.send("lan", &udp("10.0.0.2:5000", b));
            vnf.expect("lan", &udp(a, "10.0.0.3:6000"));
            vnf.send("lan", &request_there.reply());
            vnf.expect("lan", &request.reply());
            vnf.send("lan", &request);
            vnf.expect("lan", &request_there);
        }
        vnf.counted(["8 lan.transmitted"]);
    });
}
