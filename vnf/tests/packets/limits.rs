//! What there is only so much of: ports, sessions, and each host's share of them.

use crate::common::*;

fn with(lines: &str) -> Config {
    Config::new("nat44.toml").nat44(lines)
}

#[test]
fn a_full_address_refuses_new_mappings_and_keeps_the_old() {
    let mut vnf = Harness::new(with("port_range = \"2000-2003\""), 1);
    let questions: Vec<Packet> =
        (0..4).map(|n| udp(format!("10.0.0.2:{}", 5000 + n), "203.0.113.7:53")).collect();
    let mut externals = Vec::new();
    for question in &questions {
        vnf.send("lan", question);
        externals.push(vnf.expect_translated("wan", question));
    }
    externals.sort();
    externals.dedup();
    assert_eq!(externals.len(), 4, "no endpoint has two owners");
    vnf.forget_counts();

    let refused = udp("10.0.0.2:6000", "203.0.113.7:53");
    vnf.send("lan", &refused);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &refused));
    vnf.counted(["nat-ports-exhausted", "originated", "lan.transmitted"]);
    // TCP and ICMP have ports of their own, and another remote endpoint needs no new mapping.
    let other = tcp("10.0.0.2:6000", "203.0.113.7:53", "S");
    vnf.send("lan", &other);
    vnf.expect_translated("wan", &other);
    for question in &questions {
        vnf.send("lan", &question.to("203.0.113.8:53"));
        vnf.take("wan");
    }
    vnf.counted(["5 sessions_opened", "5 wan.transmitted"]);
}

#[test]
fn a_freed_port_serves_the_next_host() {
    let mut vnf = Harness::new(with("port_range = \"2000-2000\"\nreuse_hold = \"0s\""), 1);
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &question);
    vnf.expect_translated("wan", &question);
    let other = udp("10.0.0.3:5000", "203.0.113.7:53");
    vnf.send("lan", &other);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &other));
    vnf.advance(seconds(301));
    vnf.send("lan", &other);
    vnf.expect_translated("wan", &other);
}

#[test]
fn a_full_session_table_refuses_new_sessions_and_keeps_the_old() {
    let mut vnf = Harness::new(with("").replace("max_sessions = 1024", "max_sessions = 8"), 1);
    let question = |n: u16| udp(format!("10.0.0.2:{}", 5000 + n), "203.0.113.7:53");
    for n in 0..8 {
        vnf.send("lan", &question(n));
        vnf.expect_translated("wan", &question(n));
    }
    vnf.forget_counts();
    for refused in [question(8), question(0).to("203.0.113.8:53")] {
        vnf.send("lan", &refused);
        vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &refused));
        vnf.counted(["nat-session-limit", "originated", "lan.transmitted"]);
    }
    for n in 0..8 {
        vnf.send("lan", &question(n));
        vnf.expect_translated("wan", &question(n));
    }
    assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken(), vnf.hosts()), (8, 8, 8, 1));
}

#[test]
fn a_host_at_its_limit_is_refused_and_its_neighbour_is_not() {
    for_workers(|workers| {
        let mut vnf = Harness::new(with("max_sessions_per_host = 3"), workers);
        for n in 0..3 {
            vnf.send("lan", &udp(format!("10.0.0.2:{}", 5000 + n), "203.0.113.7:53"));
            vnf.take("wan");
        }
        vnf.forget_counts();
        let refused = udp("10.0.0.2:6000", "203.0.113.7:53");
        vnf.send("lan", &refused);
        vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &refused));
        vnf.counted(["nat-host-limit", "originated", "lan.transmitted"]);
        let neighbour = udp("10.0.0.3:5000", "203.0.113.7:53");
        vnf.send("lan", &neighbour);
        vnf.expect_translated("wan", &neighbour);
        assert_eq!(vnf.ports_taken(), 4, "nothing is spent on what is refused");
    });
}

#[test]
fn a_host_opens_so_many_sessions_a_second() {
    for_workers(|workers| {
        let mut vnf = Harness::new(with("new_sessions_per_host = 10"), workers);
        let mut port = 5000;
        let mut opened_of = |vnf: &mut Harness, attempts: u16| {
            for _ in 0..attempts {
                port += 1;
                vnf.send("lan", &udp(format!("10.0.0.2:{port}"), "203.0.113.7:53"));
            }
            vnf.discard();
            let opened = vnf.count_of("sessions_opened");
            vnf.forget_counts();
            opened
        };
        assert_eq!(opened_of(&mut vnf, 30), 10);
        vnf.advance(std::time::Duration::from_millis(500));
        assert_eq!(opened_of(&mut vnf, 30), 5);
        vnf.advance(seconds(60));
        assert_eq!(opened_of(&mut vnf, 30), 10);
        let question = udp("10.0.0.3:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        vnf.expect_translated("wan", &question);
    });
}

#[test]
fn all_flows_of_a_host_have_one_external_address() {
    for_workers(|workers| {
        let pool = "pool = [\"198.51.100.16/28\", \"203.0.113.0/29\"]";
        let config = Config::new("nat44.toml").replace("pool = [\"198.51.100.10\"]", pool);
        let mut vnf = Harness::new(config, workers);
        for host in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
            let mut addresses: Vec<_> = (0..30)
                .flat_map(|n| {
                    let source = format!("{host}:{}", 5000 + n);
                    [
                        udp(&source[..], "192.0.2.7:53"),
                        tcp(&source[..], "192.0.2.7:53", "S"),
                        ping(&source[..], "192.0.2.7"),
                    ]
                })
                .map(|packet| {
                    vnf.send("lan", &packet);
                    vnf.expect_translated("wan", &packet).ip()
                })
                .collect();
            addresses.dedup();
            assert_eq!(addresses.len(), 1, "{host}");
        }
    });
}

#[test]
fn a_freed_endpoint_rests_before_it_is_used_again() {
    let mut vnf = Harness::new(with("port_range = \"2000-2000\""), 1);
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &question);
    vnf.expect_translated("wan", &question);
    vnf.advance(seconds(301));
    assert_eq!((vnf.sessions(), vnf.mappings(), vnf.resting()), (0, 0, 1));
    let other = udp("10.0.0.3:5000", "203.0.113.7:53");
    vnf.send("lan", &other);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &other));
    vnf.advance(seconds(118));
    vnf.send("lan", &other);
    vnf.take("lan");
    vnf.advance(seconds(3));
    vnf.send("lan", &other);
    vnf.expect_translated("wan", &other);
    assert_eq!(vnf.resting(), 0);
}

#[test]
fn the_endpoint_of_a_connection_that_closed_cleanly_is_free_at_once() {
    let mut vnf = Harness::new(with("port_range = \"2000-2000\""), 1);
    let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
    vnf.send("lan", &syn);
    let external = vnf.expect_translated("wan", &syn);
    let answer = syn.reply().to(external);
    vnf.send("wan", &answer);
    vnf.send("lan", &syn.flags("FA"));
    vnf.send("wan", &answer.flags("FA"));
    vnf.send("lan", &syn.flags("A"));
    vnf.discard();
    vnf.advance(seconds(241));
    assert_eq!((vnf.sessions(), vnf.resting(), vnf.ports_taken()), (0, 0, 0));
}
