//! Which ICMP errors the VNF sends, from where, and about what it keeps silent: RFC 1812 4.3, RFC 4443 2.4.

use crate::common::*;

#[test]
fn rfc1812_4_3_2_1_unknown_icmp_messages_are_discarded() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        // Source quench, information request, timestamp, one that nobody has.
        for kind in [4, 13, 15, 99] {
            let mut message = ping("10.1.0.2:9", "10.1.0.1");
            message.upper = Upper::Icmp { kind, code: 0, word: [0; 4] };
            vnf.send("left", &message);
            vnf.counted(["no-local-service"]);
        }
    });
}

#[test]
fn rfc1812_4_3_2_4_an_error_comes_from_the_interface_that_it_leaves_by() {
    for_workers(|workers| {
        let config = Config::new("router.toml")
            .replace("\"10.1.0.1/24\"", "\"10.1.0.1/24\", \"10.2.0.1/24\"")
            .neighbors("left", ["10.2.0.7".to_owned()]);
        let mut vnf = Harness::new(config, workers);
        // Of several addresses there, the one in the sender's subnet.
        for (port, host, own) in [
            ("left", "10.1.0.2:5000", "10.1.0.1"),
            ("left", "10.2.0.7:5000", "10.2.0.1"),
            ("right", "192.0.2.2:5000", "192.0.2.1"),
        ] {
            let late = udp(host, "203.0.113.9:53").ttl(1);
            vnf.send(port, &late);
            vnf.expect(port, &icmp_error_from_vnf(own, 11, 0, &late));
        }
    });
}

#[test]
fn rfc1812_4_3_2_5_an_error_has_precedence_6() {
    let mut vnf = Harness::new("router.toml", 1);
    vnf.send("left", &udp("10.1.0.2:5000", "192.0.2.2:53").ttl(1));
    let Frame(told) = vnf.take("left");
    assert_eq!((told[15], told[23]), (0xc0, 1), "internetwork control, ICMP");
}

#[test]
fn rfc1812_4_3_2_7_broadcasts_and_impossible_senders_are_not_answered() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let late = udp("10.1.0.2:5000", "192.0.2.2:53").ttl(1);
        for (packet, reason) in [
            (late.between("0.0.0.0", "192.0.2.2"), "martian"),
            (late.between("127.0.0.1", "192.0.2.2"), "martian"),
            (late.between("224.0.0.5", "192.0.2.2"), "martian"),
            (late.between("255.255.255.255", "192.0.2.2"), "martian"),
            (late.between("10.1.0.2", "192.0.2.255"), "martian"),
            (late.between("10.1.0.2", "224.0.0.5"), "martian"),
            (late.between("10.1.0.255", "192.0.2.2"), "ttl-expired"),
        ] {
            let from = mac_of(address("10.1.0.2"));
            vnf.send("left", &packet.macs([2, 0, 0, 0, 0, 1], from));
            vnf.counted([reason]);
        }
    });
}

#[test]
fn rfc1812_4_3_3_5_broken_options_are_a_parameter_problem() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let mut broken = udp("10.1.0.2:5000", "192.0.2.2:53");
        broken.options = vec![1, 1, 7, 99];
        vnf.send("left", &broken);
        let told = icmp_error_from_vnf("10.1.0.1", 12, 0, &broken).word([22, 0, 0, 0]);
        vnf.expect("left", &told);
        vnf.counted(["ipv4-options", "originated", "left.transmitted"]);
        // A source route is dropped silently (RFC 7126).
        broken.options = vec![131, 7, 4, 10, 9, 9, 9, 0];
        vnf.send("left", &broken);
        vnf.counted(["ipv4-options"]);
        // Nor is a host told that did not send it: to everybody on the link.
        broken.options = vec![1, 1, 7, 99];
        let from = mac_of(address("10.1.0.2"));
        let to_all = broken.between("10.1.0.2", "10.1.0.255");
        vnf.send("left", &to_all.macs([2, 0, 0, 0, 0, 1], from));
        vnf.counted(["ipv4-options"]);
    });
}

/// An IPv6 packet with these octets behind its header, the first being of this type.
fn extended(destination: &str, next_header: u8, octets: &[u8]) -> Packet {
    ip("fd00:a::2", destination, next_header, octets)
}

#[test]
fn rfc4443_3_4_extension_headers_are_a_parameter_problem_where_the_rfcs_say_so() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let option = |kind: u8| extended("fd00:b::2", 0, &[59, 0, kind, 4, 0, 0, 0, 0]);
        for (packet, code, pointer) in [
            (option(0x9e), 2, 42),
            (option(0xde), 2, 42),
            // Hop-by-hop options that are not the first header.
            (extended("fd00:b::2", 60, &[0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0]), 1, 40),
            // A routing header of type 0 with a segment left (RFC 5095).
            (extended("fd00:b::2", 43, &[[59, 2, 0, 1].as_slice(), &[0; 20]].concat()), 0, 42),
        ] {
            vnf.send("left", &packet);
            let told = icmp_error_from_vnf("fd00:a::1", 4, code, &packet);
            vnf.expect("left", &told.word([0, 0, 0, pointer]));
            vnf.counted(["ipv6-bad-header", "originated", "left.transmitted"]);
        }
        vnf.send("left", &option(0x5e));
        vnf.counted(["ipv6-bad-header"]);
        let fine = option(0x1e);
        vnf.send("left", &fine);
        vnf.expect("right", &fine);
    });
}

#[test]
fn rfc4443_2_4_b_unknown_questions_are_discarded() {
    let mut vnf = Harness::new("router.toml", 1);
    for kind in [130, 139, 200, 250] {
        let mut message = ping("[fd00:a::2]:9", "fd00:a::1");
        message.upper = Upper::Icmp { kind, code: 0, word: [0; 4] };
        vnf.send("left", &message);
        vnf.counted(["no-local-service"]);
    }
}

#[test]
fn rfc4443_2_4_unknown_messages_through_the_router_pass() {
    let mut vnf = Harness::new("router.toml", 1);
    for kind in [100, 127, 200] {
        let mut message = ping("[fd00:a::2]:9", "fd00:b::2");
        message.upper = Upper::Icmp { kind, code: 0, word: [0; 4] };
        vnf.send("left", &message);
        vnf.expect("right", &message);
    }
}

#[test]
fn rfc4443_2_4_e_errors_and_impossible_senders_are_not_answered() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let late = udp("[fd00:a::2]:5000", "[fd00:b::2]:53").ttl(1);
        vnf.send("left", &icmp_error("fd00:a::2", 1, 4, &late.reply()).ttl(1));
        vnf.counted(["hop-limit-expired"]);
        let from = mac_of(address("fd00:a::2"));
        for source in ["::", "ff02::5", "::1"] {
            let packet = late.between(source, "fd00:b::2");
            vnf.send("left", &packet.macs([2, 0, 0, 0, 0, 1], from));
            vnf.counted(["martian"]);
        }
    });
}
