//! How long mappings live, and what keeps them alive.

use std::net::SocketAddr;

use crate::common::*;

fn opened(packet: &Packet, workers: usize) -> (Harness, SocketAddr) {
    let mut vnf = Harness::new("nat44.toml", workers);
    vnf.send("lan", packet);
    let external = vnf.expect_translated("wan", packet);
    vnf.forget_counts();
    (vnf, external)
}

/// A connection after its handshake.
fn connected(workers: usize) -> (Harness, SocketAddr, Packet) {
    let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
    let (mut vnf, external) = opened(&syn, workers);
    vnf.send("wan", &tcp("203.0.113.7:443", external, "SA"));
    vnf.send("lan", &syn.flags("A"));
    vnf.discard();
    (vnf, external, syn.flags("A"))
}

#[test]
fn rfc4787_req_5_a_udp_mapping_lives_five_minutes() {
    for_workers(|workers| {
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = opened(&question, workers);
        vnf.advance(seconds(299));
        let answer = udp("203.0.113.7:53", external);
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
        vnf.advance(seconds(2));
        vnf.forget_counts();
        vnf.send("wan", &answer);
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn rfc4787_req_6_packets_from_inside_keep_a_mapping() {
    for_workers(|workers| {
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = opened(&question, workers);
        for _ in 0..4 {
            vnf.advance(seconds(200));
            vnf.send("lan", &question);
            vnf.expect("wan", &question.from(external));
        }
        assert_eq!(vnf.count_of("sessions_opened"), 0);
    });
}

#[test]
fn rfc7857_7_packets_from_outside_do_not_keep_a_mapping() {
    for_workers(|workers| {
        let (mut vnf, external) = opened(&udp("10.0.0.2:5000", "203.0.113.7:53"), workers);
        let answer = udp("203.0.113.7:53", external);
        for _ in 0..2 {
            vnf.advance(seconds(145));
            vnf.send("wan", &answer);
            vnf.expect("lan", &answer.to("10.0.0.2:5000"));
        }
        vnf.advance(seconds(15));
        vnf.forget_counts();
        vnf.send("wan", &answer);
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn rfc4787_req_6a_packets_from_outside_keep_a_mapping_where_the_configuration_wants_it() {
    for_workers(|workers| {
        let with = |refresh: bool| {
            Config::new("nat44.toml").nat44(&format!(
                "filtering = \"endpoint-independent\"\ninbound_refresh = {refresh}"
            ))
        };
        let mut vnf = Harness::new(with(true), workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        // Whoever it comes from: the second one's session keeps the mapping when the first is over.
        for remote in ["203.0.113.7:53", "203.0.113.9:9", "203.0.113.9:9", "203.0.113.9:9"] {
            vnf.advance(seconds(200));
            let packet = udp(remote, external);
            vnf.send("wan", &packet);
            vnf.expect("lan", &packet.to("10.0.0.2:5000"));
        }
        assert_eq!((vnf.sessions(), vnf.mappings()), (1, 1));
        vnf.reload(with(false));
        vnf.advance(seconds(200));
        let packet = udp("203.0.113.9:9", external);
        vnf.send("wan", &packet);
        vnf.expect("lan", &packet.to("10.0.0.2:5000"));
        vnf.advance(seconds(101));
        assert_eq!((vnf.sessions(), vnf.mappings()), (0, 0), "the last packet kept nothing");
        vnf.forget_counts();
    });
}

#[test]
fn rfc5382_req_5_an_established_connection_is_kept_for_7440_idle_seconds() {
    for_workers(|workers| {
        let (mut vnf, _, _) = connected(workers);
        vnf.advance(seconds(7439));
        assert_eq!((vnf.sessions(), vnf.mappings()), (1, 1));
        vnf.advance(seconds(2));
        assert_eq!((vnf.sessions(), vnf.mappings()), (0, 0));
    });
}

#[test]
fn rfc5382_req_5_a_partly_open_connection_is_kept_for_240_idle_seconds() {
    for_workers(|workers| {
        let (mut vnf, _) = opened(&tcp("10.0.0.2:5000", "203.0.113.7:443", "S"), workers);
        vnf.advance(seconds(239));
        assert_eq!(vnf.sessions(), 1);
        vnf.advance(seconds(2));
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn rfc5382_req_5_a_closing_connection_is_kept_for_240_idle_seconds() {
    for_workers(|workers| {
        let (mut vnf, external, data) = connected(workers);
        vnf.send("lan", &data.flags("FA"));
        vnf.send("wan", &tcp("203.0.113.7:443", external, "FA"));
        vnf.discard();
        vnf.advance(seconds(239));
        assert_eq!(vnf.sessions(), 1);
        vnf.advance(seconds(2));
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn rfc7857_2_data_after_a_reset_finds_its_session() {
    for_workers(|workers| {
        let (mut vnf, external, data) = connected(workers);
        let reset = tcp("203.0.113.7:443", external, "R");
        vnf.send("wan", &reset);
        vnf.expect("lan", &reset.to("10.0.0.2:5000"));
        vnf.advance(seconds(10));
        vnf.send("lan", &data);
        vnf.expect("wan", &data.from(external));
        // Whoever made the reset up did not end the connection.
        vnf.advance(seconds(7400));
        vnf.send("wan", &tcp("203.0.113.7:443", external, "A"));
        vnf.expect("lan", &tcp("203.0.113.7:443", "10.0.0.2:5000", "A"));
    });
}

#[test]
fn rfc7857_2_a_reset_connection_is_kept_for_240_seconds() {
    for_workers(|workers| {
        let (mut vnf, external, _) = connected(workers);
        vnf.send("wan", &tcp("203.0.113.7:443", external, "R"));
        vnf.discard();
        vnf.advance(seconds(239));
        assert_eq!(vnf.sessions(), 1);
        vnf.advance(seconds(2));
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn rfc7857_2_one_sides_fin_does_not_end_a_connection() {
    for_workers(|workers| {
        let (mut vnf, external, data) = connected(workers);
        vnf.send("wan", &tcp("203.0.113.7:443", external, "FA"));
        vnf.discard();
        vnf.advance(seconds(7400));
        vnf.send("lan", &data);
        vnf.expect("wan", &data.from(external));
    });
}

#[test]
fn rfc5508_req_2_a_query_is_kept_for_60_seconds() {
    for_workers(|workers| {
        let request = ping("10.0.0.2:7", "203.0.113.7");
        let (mut vnf, external) = opened(&request, workers);
        vnf.advance(seconds(59));
        let reply = request.from(external).reply();
        vnf.send("wan", &reply);
        vnf.expect("lan", &request.reply());
        vnf.advance(seconds(2));
        vnf.forget_counts();
        vnf.send("wan", &reply);
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn rfc5508_req_6_an_error_about_a_query_neither_keeps_nor_ends_it() {
    for_workers(|workers| {
        let request = ping("10.0.0.2:7", "203.0.113.7");
        let (mut vnf, external) = opened(&request, workers);
        vnf.advance(seconds(50));
        vnf.send("wan", &icmp_error("192.0.2.9", 3, 1, &request.from(external)));
        vnf.expect("lan", &icmp_error("192.0.2.9", 3, 1, &request));
        let reply = request.from(external).reply();
        vnf.send("wan", &reply);
        vnf.expect("lan", &request.reply());
        vnf.advance(seconds(11));
        vnf.forget_counts();
        vnf.send("wan", &reply);
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn rfc7857_11_a_query_mapping_goes_with_its_last_session() {
    for_workers(|workers| {
        let request = ping("10.0.0.2:7", "203.0.113.7");
        let (mut vnf, _) = opened(&request, workers);
        vnf.advance(seconds(40));
        vnf.send("lan", &ping("10.0.0.2:7", "203.0.113.8"));
        vnf.discard();
        assert_eq!((vnf.sessions(), vnf.mappings()), (2, 1));
        vnf.advance(seconds(21));
        assert_eq!((vnf.sessions(), vnf.mappings()), (1, 1));
        vnf.advance(seconds(40));
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.hosts()), (0, 0, 0));
    });
}

#[test]
fn rfc4787_req_12_icmp_errors_do_not_end_a_mapping() {
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    let (mut vnf, external) = opened(&question, 1);
    for n in 0..10_000 {
        let error = icmp_error("192.0.2.9", 3, (n % 16) as u8, &question.from(external));
        vnf.send("wan", &error);
        if n % 1000 == 0 {
            assert!(vnf.discard() > 0);
        }
    }
    vnf.discard();
    let answer = udp("203.0.113.7:53", external);
    vnf.send("wan", &answer);
    vnf.expect("lan", &answer.to("10.0.0.2:5000"));
}

#[test]
fn rfc5382_req_10_icmp_errors_do_not_end_a_connection() {
    for_workers(|workers| {
        let (mut vnf, external, data) = connected(workers);
        for kind in [3, 11, 12] {
            for code in 0..16 {
                vnf.send("wan", &icmp_error("192.0.2.9", kind, code, &data.from(external)));
                vnf.expect("lan", &icmp_error("192.0.2.9", kind, code, &data));
            }
        }
        vnf.advance(seconds(7400));
        vnf.send("lan", &data);
        vnf.expect("wan", &data.from(external));
    });
}
