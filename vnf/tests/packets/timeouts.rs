//! How long flows live without packets, by the virtual clock.

use vnf::engine::message::{Command, Filter, Page};

use crate::common::*;

/// Opens a connection; returns its external endpoint.
fn established(vnf: &mut Harness, syn: &Packet) -> std::net::SocketAddr {
    vnf.send("lan", syn);
    let external = vnf.expect_translated("wan", syn);
    vnf.send("wan", &syn.reply().to(external));
    vnf.send("lan", &syn.flags("A"));
    vnf.discard();
    vnf.forget_counts();
    external
}

/// The session lives for so many seconds after its last packet, and not for longer.
#[track_caller]
fn lives_for(vnf: &mut Harness, timeout: u64) {
    vnf.forget_counts();
    vnf.advance(seconds(timeout - 1));
    vnf.counted([]);
    vnf.advance(seconds(2));
    vnf.counted(["sessions_closed.timed-out"]);
    assert_eq!((vnf.sessions(), vnf.mappings(), vnf.hosts()), (0, 0, 0));
}

#[test]
fn a_datagram_keeps_its_mapping_for_five_minutes() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        vnf.take("wan");
        vnf.advance(seconds(250));
        vnf.send("lan", &question);
        vnf.take("wan");
        lives_for(&mut vnf, 300);
    });
}

#[test]
fn datagrams_from_outside_do_not_keep_a_mapping() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        for _ in 0..2 {
            vnf.advance(seconds(140));
            vnf.send("wan", &question.reply().to(external));
            vnf.take("lan");
        }
        vnf.forget_counts();
        vnf.advance(seconds(21));
        vnf.counted(["sessions_closed.timed-out"]);
    });
}

#[test]
fn datagrams_from_outside_do_not_keep_a_mapping_that_admits_everybody() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        for port in 1..6 {
            vnf.advance(seconds(55));
            vnf.send("wan", &udp(format!("203.0.113.8:{port}"), external));
            vnf.take("lan");
        }
        vnf.advance(seconds(30));
        vnf.forget_counts();
        vnf.send("wan", &udp("203.0.113.8:7", external));
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn a_connection_half_open_lives_for_four_minutes() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        vnf.send("lan", &tcp("10.0.0.2:5000", "203.0.113.7:443", "S"));
        vnf.take("wan");
        lives_for(&mut vnf, 240);
    });
}

#[test]
fn segments_from_outside_do_not_keep_a_connection_that_is_half_open() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        let caller = tcp("203.0.113.9:1234", external, "S");
        for _ in 0..2 {
            vnf.send("wan", &syn.reply().to(external).flags("A"));
            vnf.send("wan", &caller);
            vnf.advance(seconds(119));
        }
        vnf.discard();
        vnf.forget_counts();
        vnf.advance(seconds(3));
        vnf.counted(["2 sessions_closed.timed-out"]);
    });
}

#[test]
fn an_established_connection_lives_for_two_hours_and_four_minutes() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        let external = established(&mut vnf, &syn);
        vnf.advance(seconds(7000));
        vnf.send("wan", &syn.reply().to(external).flags("PA"));
        vnf.take("lan");
        lives_for(&mut vnf, 7440);
    });
}

#[test]
fn a_connection_closed_by_one_side_lives_on() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        established(&mut vnf, &syn);
        vnf.send("lan", &syn.flags("FA"));
        vnf.take("wan");
        lives_for(&mut vnf, 7440);
    });
}

#[test]
fn a_connection_closed_by_both_sides_lives_for_four_minutes() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        let external = established(&mut vnf, &syn);
        vnf.send("lan", &syn.flags("FA"));
        vnf.send("wan", &syn.reply().to(external).flags("FA"));
        vnf.send("lan", &syn.flags("A"));
        vnf.discard();
        lives_for(&mut vnf, 240);
    });
}

#[test]
fn a_reset_shortens_a_connection_and_data_revives_it() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        let external = established(&mut vnf, &syn);
        vnf.send("wan", &syn.reply().to(external).flags("R"));
        vnf.advance(seconds(10));
        vnf.send("lan", &syn.flags("PA").payload(b"still here"));
        vnf.discard();
        vnf.advance(seconds(3600));
        assert_eq!(vnf.sessions(), 1);
        vnf.send("wan", &syn.reply().to(external).flags("R"));
        vnf.discard();
        lives_for(&mut vnf, 240);
    });
}

#[test]
fn a_query_lives_for_a_minute() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        vnf.send("lan", &ping("10.0.0.2:5", "203.0.113.7"));
        vnf.take("wan");
        lives_for(&mut vnf, 60);
    });
}

#[test]
fn both_sides_keep_an_untranslated_flow() {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        let question = udp("10.1.0.2:5000", "192.0.2.2:53");
        vnf.send("left", &question);
        for _ in 0..3 {
            vnf.advance(seconds(290));
            vnf.send("right", &question.reply());
        }
        assert_eq!(vnf.discard(), 4);
        lives_for(&mut vnf, 300);
    });
}

#[test]
fn timeouts_are_configured() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").more(
            "[nat44.timeouts]\nudp = \"130s\"\ntcp_established = \"8000s\"\ntcp_transitory = \
             \"250s\"\nicmp = \"70s\"",
        );
        let mut vnf = Harness::new(config, workers);
        for (packet, timeout) in [
            (udp("10.0.0.2:5000", "203.0.113.7:53"), 130),
            (tcp("10.0.0.2:5000", "203.0.113.7:53", "S"), 250),
            (ping("10.0.0.2:5000", "203.0.113.7"), 70),
        ] {
            vnf.send("lan", &packet);
            vnf.take("wan");
            lives_for(&mut vnf, timeout);
        }
        established(&mut vnf, &tcp("10.0.0.2:5001", "203.0.113.7:53", "S"));
        lives_for(&mut vnf, 8000);
    });
}

#[test]
fn after_49_days_time_goes_on() {
    for_workers(|workers| {
        let mut vnf = Harness::starting_at("nat44.toml", workers, (1 << 32) - 100_000);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.advance(seconds(99));
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(external));
        lives_for(&mut vnf, 300);
        vnf.send("lan", &question);
        vnf.expect_translated("wan", &question);
        vnf.advance(seconds(121));
        assert_eq!(vnf.resting(), 0);
    });
}

#[test]
fn cleared_sessions_end_at_once_and_their_endpoints_rest() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for host in ["10.0.0.2:5000", "10.0.0.3:5000"] {
            vnf.send("lan", &udp(host, "203.0.113.7:53"));
            vnf.take("wan");
        }
        vnf.forget_counts();
        let filter = Filter { host: Some(address("10.0.0.2")), ..Filter::default() };
        vnf.command(|| Command::Clear(Page::new(0, filter, 0)));
        vnf.counted(["sessions_closed.cleared"]);
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.resting()), (1, 1, 1));
        vnf.advance(seconds(119));
        assert_eq!((vnf.resting(), vnf.ports_taken()), (1, 2));
        vnf.advance(seconds(2));
        assert_eq!((vnf.resting(), vnf.ports_taken()), (0, 1));
    });
}

#[test]
fn many_sessions_that_end_together_all_end() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for port in 0..250 {
            vnf.send("lan", &udp(format!("10.0.0.2:{}", 5000 + port), "203.0.113.7:53"));
        }
        assert_eq!(vnf.discard(), 250);
        vnf.advance(seconds(302));
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.resting()), (0, 0, 250));
        vnf.advance(seconds(122));
        assert_eq!((vnf.resting(), vnf.ports_taken()), (0, 0));
    });
}
