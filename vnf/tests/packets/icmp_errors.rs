//! ICMP errors about translated flows: header, quoted packet and every checksum (RFC 5508 REQ-3 to REQ-6).

use std::net::SocketAddr;

use crate::common::*;

/// A flow from 10.0.0.2:5000; its external endpoint.
fn flow(workers: usize, packet: &Packet) -> (Harness, SocketAddr) {
    let mut vnf = Harness::new("nat44.toml", workers);
    vnf.send("lan", packet);
    let external = vnf.expect_translated("wan", packet);
    vnf.forget_counts();
    (vnf, external)
}

fn flows() -> [Packet; 3] {
    [
        udp("10.0.0.2:5000", "203.0.113.7:53"),
        tcp("10.0.0.2:5000", "203.0.113.7:443", "S"),
        ping("10.0.0.2:5000", "203.0.113.7"),
    ]
}

#[test]
fn an_error_from_outside_is_translated_with_what_it_quotes() {
    for_workers(|workers| {
        for packet in flows() {
            let (mut vnf, external) = flow(workers, &packet);
            for (kind, code) in [(3, 0), (3, 1), (3, 3), (3, 13), (11, 0), (11, 1), (12, 0)] {
                let sent = packet.from(external).ttl(1);
                vnf.send("wan", &icmp_error("192.0.2.99", kind, code, &sent));
                vnf.expect("lan", &icmp_error("192.0.2.99", kind, code, &packet.ttl(1)));
                vnf.counted(["lan.transmitted"]);
            }
            let big = icmp_error("192.0.2.99", 3, 4, &packet.from(external)).word([0, 0, 5, 0]);
            vnf.send("wan", &big);
            vnf.expect("lan", &icmp_error("192.0.2.99", 3, 4, &packet).word([0, 0, 5, 0]));
        }
    });
}

#[test]
fn an_error_from_inside_is_translated_with_what_it_quotes() {
    for_workers(|workers| {
        for packet in flows() {
            let (mut vnf, external) = flow(workers, &packet);
            let answer = packet.from(external).reply();
            vnf.send("wan", &answer);
            let inside = packet.reply();
            vnf.expect("lan", &inside);
            vnf.forget_counts();
            // By the host itself, and by a router behind the NAT.
            for sender in ["10.0.0.2", "10.0.0.5"] {
                vnf.send("lan", &icmp_error(sender, 3, 3, &inside));
                vnf.expect("wan", &icmp_error("198.51.100.10", 3, 3, &answer));
                vnf.counted(["wan.transmitted"]);
            }
        }
    });
}

#[test]
fn an_error_with_eight_octets_of_a_segment_is_translated() {
    for_workers(|workers| {
        for packet in flows() {
            let (mut vnf, external) = flow(workers, &packet);
            let cut = |error: Packet| {
                let quoted = error.payload[..28].to_vec();
                error.payload(&quoted)
            };
            vnf.send("wan", &cut(icmp_error("192.0.2.99", 3, 3, &packet.from(external))));
            vnf.expect("lan", &cut(icmp_error("192.0.2.99", 3, 3, &packet)));
        }
    });
}

#[test]
fn an_error_with_too_little_of_a_packet_is_dropped() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        for octets in [0, 7, 8, 19, 20, 27] {
            let error = icmp_error("192.0.2.99", 3, 3, &packet.from(external));
            let quoted = error.payload[..octets].to_vec();
            vnf.send("wan", &error.payload(&quoted));
            vnf.counted(["icmp-error-unmatched"]);
        }
    });
}

#[test]
fn an_error_about_nothing_known_is_dropped() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        for about in [
            packet.from(external).to("203.0.113.7:54"),
            packet.from("198.51.100.10:1"),
            tcp(external, "203.0.113.7:53", "S"),
            packet.clone(),
        ] {
            let mut error = icmp_error("192.0.2.99", 3, 3, &about);
            error.destination = external.ip();
            vnf.send("wan", &error);
            vnf.counted(["icmp-error-unmatched"]);
        }
        vnf.send("lan", &icmp_error("10.0.0.3", 3, 3, &udp("203.0.113.7:9", "10.0.0.3:9")));
        vnf.counted(["icmp-error-unmatched"]);
        assert_eq!(vnf.sessions(), 1, "no session is opened");
    });
}

#[test]
fn an_error_for_somebody_else_than_the_sender_it_quotes_is_dropped() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        let mut error = icmp_error("192.0.2.99", 3, 3, &packet.from(external));
        error.destination = address("198.51.100.77");
        vnf.send("wan", &error);
        vnf.forget_counts();
        assert_eq!(vnf.discard(), 0, "it reaches nobody");
    });
}

#[test]
fn a_broken_error_is_dropped() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        let error = icmp_error("192.0.2.99", 3, 3, &packet.from(external));
        vnf.send("wan", &error.checksum(Checksum::WrongBy(5)));
        vnf.counted(["icmp-bad-checksum"]);
        let mut quoted = error.payload.clone();
        quoted[10] ^= 0x55; // the quoted header checksum
        vnf.send("wan", &error.payload(&quoted));
        vnf.counted(["icmp-bad-checksum"]);
        let about = packet.from(external).checksum(Checksum::WrongBy(7));
        vnf.send("wan", &icmp_error("192.0.2.99", 3, 3, &about));
        let inside = packet.checksum(Checksum::WrongBy(7));
        vnf.expect("lan", &icmp_error("192.0.2.99", 3, 3, &inside));
    });
}

#[test]
fn an_error_about_an_error_is_dropped() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        let error = icmp_error("192.0.2.99", 3, 3, &packet.from(external));
        let nested = icmp_error("192.0.2.98", 11, 0, &error.between("198.51.100.10", "192.0.2.99"));
        vnf.send("wan", &nested);
        vnf.counted(["icmp-error-unmatched"]);
    });
}

#[test]
fn an_error_neither_refreshes_nor_ends_the_session() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        for _ in 0..3 {
            vnf.advance(seconds(99));
            vnf.send("wan", &icmp_error("192.0.2.99", 3, 3, &packet.from(external)));
            vnf.expect("lan", &icmp_error("192.0.2.99", 3, 3, &packet));
        }
        vnf.counted(["3 lan.transmitted"]);
        vnf.advance(seconds(4));
        vnf.counted(["sessions_closed.timed-out"]);
    });
}

#[test]
fn a_redirect_is_not_translated() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        let (mut vnf, external) = flow(workers, &packet);
        let redirect = icmp_error("192.0.2.99", 5, 1, &packet.from(external));
        vnf.send("wan", &redirect.word([192, 0, 2, 1]));
        vnf.forget_counts();
        assert_eq!(vnf.discard(), 0, "it reaches nobody");
    });
}

#[test]
fn an_error_with_extensions_is_translated_where_the_quoted_packet_is() {
    for_workers(|workers| {
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[9; 200]);
        let (mut vnf, external) = flow(workers, &packet);
        let extended = |about: &Packet| {
            // RFC 4884: 128 octets are 32 words, then an extension header.
            let error = icmp_error("192.0.2.99", 11, 0, about).word([0, 32, 0, 0]);
            let mut payload = error.payload[..128].to_vec();
            payload.extend([0x20, 0, 0xdf, 0xff, 0, 8, 1, 1, 1, 2, 3, 4]);
            error.payload(&payload)
        };
        vnf.send("wan", &extended(&packet.from(external)));
        vnf.expect("lan", &extended(&packet));
    });
}
