//! What NAT does to whom, whatever else happens.

use crate::common::*;

#[test]
fn rfc4787_req_7_an_external_address_may_be_an_internal_one_in_another_vrf() {
    for_workers(|workers| {
        // The customer's network has the prefix of the external one, and a host with the address of the pool.
        let host = "198.51.100.10".to_owned();
        let config = Config::new("vrfs.toml")
            .replace(
                "name = \"red\"\ndevice = \"net_ring0\"\naddresses = [\"10.0.0.1/24\"",
                "name = \"red\"\ndevice = \"net_ring0\"\naddresses = [\"198.51.100.1/24\"",
            )
            .replace("[\"198.51.100.10-198.51.100.13\"]", "[\"198.51.100.10\"]")
            .neighbors("red", [host, "198.51.100.254".to_owned()])
            .neighbors("wan", ["198.51.100.254".to_owned()]);
        let mut vnf = Harness::new(config, workers);
        let question = udp("198.51.100.10:5000", "203.0.113.7:53");
        for _ in 0..2 {
            vnf.send("red", &question);
            let external = vnf.expect_translated("wan", &question);
            let answer = udp("203.0.113.7:53", external);
            vnf.send("wan", &answer);
            vnf.expect("red", &answer.to("198.51.100.10:5000"));
        }
        // The neighbour inside is not the gateway outside, though it has the same address.
        let inside = udp("198.51.100.10:1", "198.51.100.254:2");
        vnf.send("red", &inside);
        vnf.expect("red", &inside);
        vnf.send("red", &inside.reply());
        vnf.expect("red", &inside.reply());
    });
}

#[test]
fn rfc6888_req_2_the_key_of_paired_pooling_is_the_subscriber() {
    for_workers(|workers| {
        let gateway = ["198.51.100.254".to_owned()];
        let mut vnf = Harness::new(Config::new("vrfs.toml").neighbors("wan", gateway), workers);
        let mut addresses = std::collections::BTreeSet::new();
        for port in ["red", "blue"] {
            let external = |vnf: &mut Harness, packet: &Packet| {
                vnf.send(port, packet);
                vnf.expect_translated("wan", packet).ip()
            };
            let first = external(&mut vnf, &udp("10.0.0.2:5000", "203.0.113.7:53"));
            for packet in [
                tcp("10.0.0.2:5000", "203.0.113.7:80", "S"),
                ping("10.0.0.2:77", "203.0.113.7"),
                udp("10.0.0.2:5001", "203.0.113.9:53"),
            ] {
                assert_eq!(external(&mut vnf, &packet), first);
            }
            addresses.insert(first);
        }
        assert_eq!(vnf.hosts(), 2, "of one address: {addresses:?}");
    });
}

#[test]
fn rfc4787_req_10_addresses_in_payloads_are_nobodys_business() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:21", "S");
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        let ftp = syn.flags("PA").payload(b"PORT 10,0,0,2,19,137\r\n");
        vnf.send("lan", &ftp);
        vnf.expect("wan", &ftp.from(external));
        let sip = udp("10.0.0.2:5060", "203.0.113.7:5060")
            .payload(b"REGISTER sip:x SIP/2.0\r\nContact: <sip:a@10.0.0.2:5001>\r\n\r\n");
        vnf.send("lan", &sip);
        vnf.expect_translated("wan", &sip);
        assert_eq!((vnf.sessions(), vnf.mappings()), (2, 2), "no pinhole");
    });
}

#[test]
fn rfc4787_req_11_behaviour_is_the_same_at_99_percent() {
    let mut vnf = Harness::new(Config::new("nat44.toml").nat44("max_sessions_per_host = 2000"), 1);
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &question);
    let external = vnf.expect_translated("wan", &question);
    for n in 0..1013 {
        vnf.send("lan", &udp(format!("10.0.0.3:{}", 10_000 + n), "203.0.113.9:53"));
    }
    vnf.discard();
    assert_eq!(vnf.sessions(), 1014, "of 1024");
    vnf.forget_counts();
    for remote in ["203.0.113.7:54", "203.0.113.8:53"] {
        vnf.send("wan", &udp(remote, external));
        vnf.counted(["nat-filtered"]);
        vnf.send("lan", &question.to(remote));
        vnf.expect("wan", &question.to(remote).from(external));
        vnf.send("wan", &udp(remote, external));
        vnf.expect("lan", &udp(remote, "10.0.0.2:5000"));
        vnf.counted(["sessions_opened", "wan.transmitted", "lan.transmitted"]);
    }
    let other = udp("10.0.0.2:5001", "203.0.113.7:53");
    vnf.send("lan", &other);
    assert_ne!(vnf.expect_translated("wan", &other), external);
}

#[test]
fn rfc5508_req_1a_queries_with_one_identifier_share_an_external_one() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let request = ping("10.0.0.2:7", "203.0.113.7");
        vnf.send("lan", &request);
        let external = vnf.expect_translated("wan", &request);
        let other = ping("10.0.0.2:7", "203.0.113.8");
        vnf.send("lan", &other);
        vnf.expect("wan", &other.from(external));
        assert_eq!((vnf.sessions(), vnf.mappings()), (2, 1));
    });
}

#[test]
fn rfc6888_req_11d_a_full_table_keeps_every_live_session() {
    let config = Config::new("nat44.toml").replace("max_sessions = 1024", "max_sessions = 64");
    let mut vnf = Harness::new(config, 1);
    let question = |n: u16| udp(format!("10.0.0.2:{}", 5000 + n), "203.0.113.7:53");
    let externals: Vec<_> = (0..64)
        .map(|n| {
            vnf.send("lan", &question(n));
            vnf.expect_translated("wan", &question(n))
        })
        .collect();
    vnf.forget_counts();
    for n in 0..10_000u16 {
        let host = 10 + n % 200;
        vnf.send("lan", &udp(format!("10.0.0.{host}:{}", 1024 + n), "203.0.113.8:53"));
        if n % 64 == 0 {
            vnf.discard();
        }
    }
    vnf.discard();
    assert_eq!(vnf.count_of("nat-session-limit"), 10_000);
    assert_eq!(vnf.count_of("sessions_opened"), 0);
    for (n, external) in (0..).zip(externals) {
        vnf.send("lan", &question(n));
        vnf.expect("wan", &question(n).from(external));
        let answer = udp("203.0.113.7:53", external);
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to(question(n).source()));
    }
}

#[test]
fn two_static_mappings_that_point_at_each_other_do_not_loop() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").more(
            "[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"198.51.100.21\"\n\
             [[nat44.static]]\nexternal = \"198.51.100.21\"\ninternal = \"198.51.100.20\"",
        );
        let config = config.neighbors("wan", ["198.51.100.20", "198.51.100.21"].map(str::to_owned));
        let mut vnf = Harness::new(config, workers);
        vnf.send("lan", &udp("10.0.0.2:5000", "198.51.100.20:53"));
        assert!(vnf.discard() <= 1, "once through the NAT, then out or dropped");
    });
}

#[test]
fn the_last_hop_of_a_hairpinned_packet_is_told_in_its_senders_words() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let opener = udp("10.0.0.3:6000", "203.0.113.7:53");
        vnf.send("lan", &opener);
        let external = vnf.expect_translated("wan", &opener);
        vnf.forget_counts();
        let last = udp("10.0.0.2:5000", external).ttl(1);
        vnf.send("lan", &last);
        vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 11, 0, &last));
        vnf.counted(["ttl-expired", "originated", "lan.transmitted"]);
    });
}

/// What leaves and what is counted in the course of an eventful while, external endpoints by whose they are.
fn eventful_while(workers: usize) -> Vec<String> {
    let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"").more(
        "[[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.10:443\"\ninternal = \
         \"10.0.0.5:8443\"",
    );
    // Each worker has its share of the table: room for all on any of them.
    let config = config.replace("max_sessions = 1024", "max_sessions = 16_384");
    let mut vnf = Harness::new(config, workers);
    let mut story = Vec::new();
    let mut externals = std::collections::BTreeMap::new();
    let hosts = ["10.0.0.2", "10.0.0.3", "10.0.0.4"];
    for (host, port) in hosts.iter().flat_map(|host| (0..8).map(move |n| (host, 5000 + n))) {
        let source = format!("{host}:{port}");
        for (name, packet) in [
            ("udp", udp(&source[..], "203.0.113.7:53")),
            ("tcp", tcp(&source[..], "203.0.113.7:80", "S")),
            ("icmp", ping(&source[..], "203.0.113.7")),
        ] {
            vnf.send("lan", &packet);
            let external = vnf.expect_translated("wan", &packet);
            assert_eq!(externals.insert((external, name), source.clone()), None, "two owners");
            vnf.send("wan", &packet.from(external).reply());
            vnf.expect("lan", &packet.reply());
        }
    }
    let mut owners: Vec<_> =
        externals.iter().map(|((e, name), owner)| (*name, owner.clone(), *e)).collect();
    owners.sort();
    for (name, _, external) in &owners {
        // Strangers come in, internal hosts too, and errors about the flows.
        let (stranger, inside) = ("203.0.113.9:9", "10.0.0.5:7000");
        let (from_out, from_in) = match *name {
            "udp" => (udp(stranger, *external), udp(inside, *external)),
            "tcp" => (tcp(stranger, *external, "S"), tcp(inside, *external, "S")),
            _ => {
                let id = external.port();
                let to = external.ip().to_string();
                (ping((0xcb00_7109, id), &to), ping((0x0a00_0005, id), &to))
            }
        };
        vnf.send("wan", &from_out);
        vnf.send("lan", &from_in);
        vnf.send("wan", &icmp_error("203.0.113.1", 3, 1, &from_out.reply()));
    }
    vnf.send("wan", &tcp("203.0.113.9:9", "198.51.100.10:443", "S"));
    vnf.send("wan", &udp("203.0.113.9:9", "198.51.100.10:1023"));
    vnf.send("lan", &tcp("10.0.0.2:9", "203.0.113.7:80", "A"));
    vnf.send("lan", &udp("10.0.0.2:9", "203.0.113.7:53").ttl(1));
    for port in ["lan", "wan"] {
        for frame in vnf.transmitted(port) {
            // An identification of its own would be: who it is to, and how long.
            story.push(format!("{port} {} {}", frame.0.len(), frame.destination().ip()));
        }
    }
    story.sort();
    let mut count = |vnf: &mut Harness| {
        story.extend(vnf.changes().iter().map(|(name, change)| format!("{name} {change}")));
        // How many ports rest depends on how many turns there were: so many are freed in each.
        let state = (vnf.sessions(), vnf.mappings(), vnf.hosts());
        story.push(format!("{state:?}"));
    };
    count(&mut vnf);
    vnf.advance(seconds(241));
    count(&mut vnf);
    vnf.advance(seconds(7440));
    vnf.advance(seconds(121));
    count(&mut vnf);
    assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken()), (0, 0, 0), "everything drains");
    vnf.forget_counts();
    story
}

#[test]
fn behaviour_is_the_same_with_one_two_four_and_eight_workers() {
    let one = eventful_while(1);
    assert!(one.len() > 200, "{one:#?}");
    for workers in [2, 4, 8] {
        assert_eq!(eventful_while(workers), one, "{workers} workers");
    }
}
