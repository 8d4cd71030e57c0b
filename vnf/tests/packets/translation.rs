//! Packets through NAT44, out and back.

use crate::common::*;

#[test]
fn a_datagram_and_its_answer_are_translated() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.counted(["sessions_opened", "wan.transmitted"]);

        let answer = udp("203.0.113.7:53", external).payload(b"an answer");
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
        vnf.counted(["lan.transmitted"]);

        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(external));
        vnf.counted(["wan.transmitted"]);
    });
}

#[test]
fn a_connection_is_translated_from_syn_to_fin() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let client = tcp("10.0.0.2:40000", "203.0.113.7:443", "S");
        vnf.send("lan", &client);
        let external = vnf.expect_translated("wan", &client);
        let server = client.reply().to(external);
        vnf.send("wan", &server);
        vnf.expect("lan", &server.to("10.0.0.2:40000"));
        for flags in ["A", "PA", "FA", "A"] {
            let segment = client.flags(flags).payload(b"data");
            vnf.send("lan", &segment);
            vnf.expect("wan", &segment.from(external));
            let answer = server.flags(flags).payload(b"more data");
            vnf.send("wan", &answer);
            vnf.expect("lan", &answer.to("10.0.0.2:40000"));
        }
        vnf.counted(["sessions_opened", "5 wan.transmitted", "5 lan.transmitted"]);
    });
}

#[test]
fn an_echo_request_and_its_reply_are_translated_by_identifier() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let request = ping("10.0.0.2:77", "203.0.113.7");
        vnf.send("lan", &request);
        let external = vnf.expect_translated("wan", &request);
        let reply = request.from(external).reply();
        vnf.send("wan", &reply);
        vnf.expect("lan", &reply.to("10.0.0.2:77"));
        vnf.counted(["sessions_opened", "wan.transmitted", "lan.transmitted"]);
    });
}

#[test]
fn packets_of_one_burst_share_the_session_that_the_first_one_opens() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:40000", "203.0.113.7:443", "S");
        let burst = [syn.clone(), syn.flags("A").payload(b"1"), syn.flags("A").payload(b"2")];
        vnf.send_burst("lan", &burst);
        let external = vnf.expect_translated("wan", &burst[0]);
        vnf.expect("wan", &burst[1].from(external));
        vnf.expect("wan", &burst[2].from(external));
        vnf.counted(["sessions_opened", "3 wan.transmitted"]);
    });
}

#[test]
fn hosts_with_the_same_port_get_endpoints_of_their_own() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let hosts = ["10.0.0.2:5000", "10.0.0.3:5000", "10.0.0.4:5000", "10.0.0.5:5000"];
        let externals = hosts.map(|host| {
            let question = udp(host, "203.0.113.7:53");
            vnf.send("lan", &question);
            vnf.expect_translated("wan", &question)
        });
        for (host, external) in hosts.iter().zip(externals) {
            let answer = udp("203.0.113.7:53", external);
            vnf.send("wan", &answer);
            vnf.expect("lan", &answer.to(*host));
        }
    });
}

#[test]
fn what_nobody_asked_for_finds_no_mapping() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for packet in [
            udp("203.0.113.7:53", "198.51.100.10:5000"),
            tcp("203.0.113.7:53", "198.51.100.10:5000", "S"),
            ping("203.0.113.7:5", "198.51.100.10"),
            ping("198.51.100.10:5", "203.0.113.7").reply(),
        ] {
            vnf.send("wan", &packet);
            vnf.counted(["nat-no-mapping"]);
        }
    });
}

#[test]
fn the_internal_side_is_not_reached_straight_from_outside() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for packet in [
            udp("203.0.113.7:53", "10.0.0.2:5000"),
            tcp("203.0.113.7:53", "10.0.0.2:5000", "S"),
            ping("203.0.113.7:5", "10.0.0.2"),
        ] {
            vnf.send("wan", &packet);
            vnf.counted(["nat-bypass"]);
        }
    });
}

#[test]
fn a_segment_other_than_a_syn_opens_nothing() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for flags in ["A", "SA", "R", "RA", "FA", "PA"] {
            vnf.send("lan", &tcp("10.0.0.2:40000", "203.0.113.7:443", flags));
            vnf.counted(["tcp-not-syn"]);
        }
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken()), (0, 0, 0));
    });
}

#[test]
fn protocols_without_ports_do_not_share_an_address() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for protocol in [4, 47, 50, 51, 132] {
            vnf.send("lan", &ip("10.0.0.2", "203.0.113.7", protocol, &[0; 16]));
            vnf.counted(["nat-unsupported"]);
        }
        assert_eq!(vnf.hosts(), 0);
    });
}

#[test]
fn icmp_that_is_no_echo_is_not_translated() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for kind in [0, 9, 10, 13, 14, 17, 18, 200] {
            let mut packet = ping("10.0.0.2:5", "203.0.113.7");
            packet.upper = Upper::Icmp { kind, code: 0, word: [0, 5, 0, 1] };
            vnf.send("lan", &packet);
            vnf.counted(["icmp-unsupported"]);
        }
    });
}

#[test]
fn what_nat_has_no_need_to_touch_leaves_as_it_came() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let mut question = udp("10.0.0.2:5000", "203.0.113.7:53");
        question.traffic_class = 0b1011_1011;
        question.id = 0xbeef;
        question.dont_fragment = true;
        question.options = vec![0x94, 4, 0, 0]; // router alert
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let mut answer = udp("203.0.113.7:53", external);
        answer.traffic_class = 0b0000_0101;
        answer.id = 0;
        answer.options = vec![7, 7, 4, 0, 0, 0, 0, 1]; // record route
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
    });
}

#[test]
fn padding_is_not_passed_on() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53").payload(b"");
        let mut frame = vnf.frame_of("lan", &question);
        let length = frame.len();
        frame.resize(60, 0xaa);
        vnf.send_frame("lan", &frame);
        assert_eq!(vnf.peek("wan").0.len(), length);
        vnf.expect_translated("wan", &question);
        frame.resize(1500, 0xbb);
        vnf.send_frame("lan", &frame);
        assert_eq!(vnf.take("wan").0.len(), length);
    });
}

#[test]
fn the_last_hop_is_told_to_a_sender_in_its_own_words() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for ttl in [0, 1] {
            let question = udp("10.0.0.2:5000", "203.0.113.7:53").ttl(ttl);
            vnf.send("lan", &question);
            vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 11, 0, &question));
            vnf.counted(["ttl-expired", "originated", "lan.transmitted"]);
        }
        assert_eq!(vnf.sessions(), 0, "no session is spent on it");
    });
}

#[test]
fn the_last_hop_of_a_translated_packet_is_told_untranslated() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let late = question.ttl(1);
        vnf.send("lan", &late);
        vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 11, 0, &late));
        let answer = udp("203.0.113.7:53", external).ttl(1);
        vnf.send("wan", &answer);
        vnf.expect("wan", &icmp_error_from_vnf("198.51.100.1", 11, 0, &answer));
        vnf.send("lan", &question.ttl(2));
        vnf.expect("wan", &question.from(external).ttl(1));
    });
}

#[test]
fn workers_reach_ports_through_each_other_where_queues_are_few() {
    for workers in [2, 3, 5] {
        let mut vnf = Harness::with_single_queues("nat44.toml", workers);
        for host in ["10.0.0.2:5000", "10.0.0.3:5000", "10.0.0.4:5000", "10.0.0.5:5000"] {
            let question = udp(host, "203.0.113.7:53");
            vnf.send("lan", &question);
            let external = vnf.expect_translated("wan", &question);
            vnf.counted(["sessions_opened", "wan.transmitted"]);
            let answer = udp("203.0.113.7:53", external);
            vnf.send("wan", &answer);
            vnf.expect("lan", &answer.to(host));
            vnf.counted(["lan.transmitted"]);
            let late = udp(host, "203.0.113.7:54").ttl(1);
            vnf.send("lan", &late);
            vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 11, 0, &late));
            vnf.counted(["ttl-expired", "originated", "lan.transmitted"]);
            vnf.send_frame("lan", &arp_request("10.0.0.9", "10.0.0.1"));
            vnf.take("lan");
            vnf.counted(["lan.transmitted"]);
        }
    }
}

#[test]
fn packets_given_to_other_workers_are_counted_by_both() {
    let mut vnf = Harness::new("nat44.toml", 3);
    for port in 0..60 {
        let question = udp(format!("10.0.0.{}:{}", 2 + port % 4, 5000 + port), "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.send("wan", &question.reply().to(external));
        vnf.expect("lan", &question.reply());
    }
    let sum = |of: fn(&vnf::engine::counters::Counters) -> u64| -> u64 {
        vnf.workers.iter().map(|worker| of(&worker.counters)).sum()
    };
    let (given, taken) = (sum(|c| c.handed_over.read()), sum(|c| c.taken_over.read()));
    assert_eq!(given, taken);
    assert!(given > 0 && sum(|c| c.received.read()) == 120);
}
