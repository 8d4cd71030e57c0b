//! Ways around a packet filter: none is more permissive than the plain packet would be.

use crate::common::*;

/// The firewall lets ports 80 and 443 of TCP out, and port 53 of UDP.
fn denied(packet: &Packet, reason: &str) {
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        vnf.send("left", packet);
        vnf.counted([reason]);
        assert_eq!(vnf.sessions(), 0);
        assert_eq!(vnf.discard(), 0);
    });
}

/// What follows the IP header of a packet.
fn upper(packet: &Packet) -> Vec<u8> {
    let header = if packet.source.is_ipv4() { 20 } else { 40 };
    packet.octets(64)[header..].to_vec()
}

fn fragment(whole: &Packet, from: usize, to: usize) -> Packet {
    let octets = upper(whole);
    Packet {
        fragment_offset: (from / 8) as u16,
        more_fragments: to < octets.len(),
        ..ip("10.1.0.2", "192.0.2.2", 6, &octets[from..to])
    }
}

#[test]
fn rfc1858_a_first_fragment_of_eight_octets_of_tcp_is_dropped() {
    let web = tcp("10.1.0.2:5000", "192.0.2.2:443", "S").payload(&[0; 64]);
    denied(&fragment(&web, 0, 8), "fragment-invalid");
}

#[test]
fn rfc3128_a_fragment_that_would_rewrite_the_tcp_header_is_dropped() {
    let web = tcp("10.1.0.2:5000", "192.0.2.2:443", "S").payload(&[0; 64]);
    denied(&fragment(&web, 8, 64), "fragment-invalid");
    denied(&fragment(&web, 16, 64), "fragment-invalid");
}

#[test]
fn later_fragments_of_a_denied_datagram_do_not_pass_whenever_they_come() {
    let mail = tcp("10.1.0.2:5000", "192.0.2.2:22", "S").payload(&[0; 64]);
    let parts = [fragment(&mail, 0, 40), fragment(&mail, 40, 84)];
    for_workers(|workers| {
        for order in [[0, 1], [1, 0]] {
            let mut vnf = Harness::new("firewall.toml", workers);
            for part in order {
                vnf.send("left", &parts[part]);
            }
            vnf.advance(seconds(60));
            assert_eq!((vnf.discard(), vnf.sessions()), (0, 0));
            assert_eq!(vnf.count_of("acl-denied"), 2);
        }
    });
}

#[test]
fn ipv4_options_do_not_shift_the_ports() {
    // No-operations, and a record route whose octets look like the ports 5000 and 443.
    let options = vec![1, 7, 7, 4, 0x13, 0x88, 0x01, 0xbb];
    let ssh = tcp("10.1.0.2:5000", "192.0.2.2:22", "S");
    denied(&Packet { options: options.clone(), ..ssh.clone() }, "acl-denied");
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        let web = Packet { options: options.clone(), ..ssh.to("192.0.2.2:443") };
        vnf.send("left", &web);
        vnf.expect("right", &web);
    });
}

#[test]
fn ipv6_extension_headers_do_not_shift_the_ports() {
    let behind = |next: u8, port: u16| {
        let segment = upper(&tcp("[fd00:a::2]:5000", format!("[fd00:b::2]:{port}"), "S"));
        // Destination options: a PadN whose octets look like the ports 5000 and 443.
        let options = [next, 0, 1, 4, 0x13, 0x88, 0x01, 0xbb];
        ip("fd00:a::2", "fd00:b::2", 60, &[&options, &segment[..]].concat())
    };
    denied(&behind(6, 22), "acl-denied");
    // The segment of a permitted port is none where the header says that nothing follows.
    denied(&behind(59, 443), "acl-denied");
    for_workers(|workers| {
        let mut vnf = Harness::new("firewall.toml", workers);
        vnf.send("left", &behind(6, 443));
        vnf.expect("right", &behind(6, 443));
        assert_eq!(vnf.sessions(), 1);
    });
}

#[test]
fn protocol_zero_and_unknown_protocols_are_no_way_in() {
    let segment = upper(&tcp("10.1.0.2:5000", "192.0.2.2:443", "S"));
    for protocol in [0, 4, 41, 47, 50, 51, 59, 132, 255] {
        denied(&ip("10.1.0.2", "192.0.2.2", protocol, &segment), "acl-denied");
    }
}

#[test]
fn a_segment_cut_off_in_its_header_is_dropped() {
    let segment = upper(&tcp("10.1.0.2:5000", "192.0.2.2:443", "S"));
    for length in [0, 1, 3, 4, 8, 13, 19] {
        denied(&ip("10.1.0.2", "192.0.2.2", 6, &segment[..length]), "too-short");
    }
}

#[test]
fn a_syn_with_fin_is_not_taken_for_something_else() {
    denied(&tcp("10.1.0.2:5000", "192.0.2.2:443", "SF"), "tcp-bad-flags");
    denied(&tcp("10.1.0.2:5000", "192.0.2.2:22", "SF"), "tcp-bad-flags");
}

#[test]
fn a_segment_that_looks_established_is_asked_the_rules_and_then_for_its_session() {
    denied(&tcp("10.1.0.2:5000", "192.0.2.2:22", "A"), "acl-denied");
    denied(&tcp("10.1.0.2:5000", "192.0.2.2:443", "A"), "tcp-not-syn");
    denied(&tcp("[fd00:a::2]:5000", "[fd00:b::2]:443", "SA"), "tcp-not-syn");
}

#[test]
fn an_error_about_a_denied_flow_does_not_pass() {
    for_workers(|workers| {
        for (request, router, kind) in [
            (tcp("10.1.0.2:5000", "192.0.2.2:22", "S"), "203.0.113.9", 11),
            (tcp("[fd00:a::2]:5000", "[fd00:b::2]:22", "S"), "2001:db8::9", 3),
        ] {
            let mut vnf = Harness::new("firewall.toml", workers);
            vnf.send("left", &request);
            vnf.counted(["acl-denied"]);
            vnf.send("right", &icmp_error(router, kind, 0, &request));
            vnf.counted(["acl-denied"]);
            assert_eq!(vnf.discard(), 0);
        }
    });
}

#[test]
fn an_error_about_a_permitted_flow_passes_both_ways_and_changes_nothing() {
    for_workers(|workers| {
        for (request, router, kind) in [
            (udp("10.1.0.2:5000", "192.0.2.2:53"), "203.0.113.9", 11),
            (tcp("10.1.0.2:5000", "192.0.2.2:443", "S"), "203.0.113.9", 3),
            (udp("[fd00:a::2]:5000", "[fd00:b::2]:53"), "2001:db8::9", 1),
            (tcp("[fd00:a::2]:5000", "[fd00:b::2]:443", "S"), "2001:db8::9", 3),
        ] {
            let mut vnf = Harness::new("firewall.toml", workers);
            vnf.send("left", &request);
            vnf.expect("right", &request);
            vnf.forget_counts();
            let error = icmp_error(router, kind, 0, &request);
            vnf.send("right", &error);
            vnf.expect("left", &error);
            let about_reply = icmp_error(
                if request.source.is_ipv4() { "10.1.0.2" } else { "fd00:a::2" },
                kind,
                0,
                &request.reply(),
            );
            vnf.send("left", &about_reply);
            vnf.expect("right", &about_reply);
            vnf.counted(["left.transmitted", "right.transmitted"]);
            assert_eq!(vnf.sessions(), 1);
        }
    });
}
