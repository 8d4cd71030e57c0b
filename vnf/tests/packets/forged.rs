//! Packets that somebody made up to harm the flows of others.

use crate::common::*;

#[test]
fn a_forged_packet_from_the_wrong_side_does_not_end_a_session() {
    for_workers(|workers| {
        for packet in [
            udp("10.0.0.2:5000", "203.0.113.7:53"),
            tcp("10.0.0.2:5000", "203.0.113.7:53", "S"),
            ping("10.0.0.2:5000", "203.0.113.7"),
        ] {
            let mut vnf = Harness::new("nat44.toml", workers);
            vnf.send("lan", &packet);
            let external = vnf.expect_translated("wan", &packet);
            let answer = packet.reply().to(external);
            vnf.forget_counts();
            for round in 0..2 {
                // From outside as if from the host; from another host as if from the remote end.
                vnf.send("wan", &packet);
                vnf.send("lan", &answer);
                vnf.discard();
                assert_eq!(vnf.count_of("lan.transmitted"), 0, "nothing reaches the host");
                vnf.forget_counts();
                vnf.send("wan", &answer);
                vnf.expect("lan", &packet.reply());
                vnf.send("lan", &packet);
                vnf.expect("wan", &packet.from(external));
                vnf.counted(["wan.transmitted", "lan.transmitted"]);
                if round == 0 {
                    vnf.reload("nat44.toml");
                }
            }
        }
    });
}

#[test]
fn the_nats_own_addresses_are_no_sources() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.forget_counts();
        for source in ["198.51.100.10:1", "198.51.100.1:1", "10.0.0.1:1"] {
            vnf.send("wan", &udp(source, external));
            vnf.send("lan", &udp(source, "203.0.113.7:53"));
            vnf.counted(["2 martian"]);
        }
    });
}

#[test]
fn a_mapping_survives_ten_thousand_forged_errors() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
    vnf.send("lan", &syn);
    let external = vnf.expect_translated("wan", &syn);
    let error = vnf.frame_of("wan", &icmp_error("203.0.113.7", 3, 3, &syn.from(external)));
    for _ in 0..100 {
        for _ in 0..100 {
            vnf.inject("wan", &error, &[]);
        }
        vnf.settle();
    }
    assert_eq!(vnf.discard(), 10_000);
    vnf.send("wan", &syn.reply().to(external));
    vnf.expect("lan", &syn.reply());
}

#[test]
fn no_reset_or_fin_ends_a_session_at_once() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        for flags in ["RA", "R", "FA", "R"] {
            vnf.send("wan", &syn.reply().to(external).flags(flags));
        }
        vnf.discard();
        vnf.advance(seconds(100));
        vnf.forget_counts();
        vnf.send("wan", &syn.reply().to(external));
        vnf.expect("lan", &syn.reply());
        vnf.counted(["lan.transmitted"]);
    });
}

#[test]
fn impossible_flags_change_no_state() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        vnf.forget_counts();
        for flags in ["", "F", "SF", "SFA", "SR", "FR", "SFRPUA", "FPU", "P", "U"] {
            vnf.send("lan", &syn.flags(flags));
            vnf.send("wan", &syn.reply().to(external).flags(flags));
            vnf.counted(["2 tcp-bad-flags"]);
        }
        vnf.advance(seconds(239));
        assert_eq!(vnf.sessions(), 1);
        vnf.advance(seconds(2));
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn a_scan_of_the_pool_from_outside_costs_nothing() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let mut frame = vnf.frame_of("wan", &udp("203.0.113.7:53", "198.51.100.10:1"));
    frame[40..42].fill(0); // no checksum
    for port in 0..2000_u16 {
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        vnf.inject("wan", &frame, &[]);
        if port % 500 == 499 {
            vnf.settle();
        }
    }
    vnf.counted(["2000 nat-no-mapping"]);
    assert_eq!((vnf.sessions(), vnf.hosts(), vnf.mappings()), (0, 0, 0));
}
