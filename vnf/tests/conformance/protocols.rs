//! Protocols other than TCP, UDP and ICMP: through a static mapping or not at all (RFC 6888 REQ-1).

use std::net::Ipv4Addr;

use etherparse::checksum::Sum16BitWords;

use crate::common::*;

const DCCP: u8 = 33;
const GRE: u8 = 47;
const ESP: u8 = 50;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

const HOST: &str = "10.0.0.2";
const EXTERNAL: &str = "198.51.100.20";
const REMOTE: &str = "203.0.113.7";

fn with_static() -> Config {
    Config::new("nat44.toml")
        .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.2\"")
}

/// A packet that starts with ports; its checksum, at octet 6, covers the addresses too where the protocol wants that.
fn packet(from: &str, to: &str, protocol: u8, ports: (u16, u16)) -> Packet {
    let mut octets = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    octets.extend([0, 24, 0, 0]);
    octets.extend(1..=16);
    if matches!(protocol, DCCP | UDP_LITE) {
        let octets_of = |address: &str| address.parse::<Ipv4Addr>().expect("an address").octets();
        let sum = Sum16BitWords::new()
            .add_4bytes(octets_of(from))
            .add_4bytes(octets_of(to))
            .add_2bytes([0, protocol])
            .add_2bytes([0, 24])
            .add_slice(&octets);
        octets[6..8].copy_from_slice(&sum.ones_complement().to_be().to_be_bytes());
    }
    ip(from, to, protocol, &octets)
}

#[test]
fn other_protocols_pass_a_static_mapping_with_their_checksums_right() {
    for_workers(|workers| {
        for protocol in [DCCP, GRE, ESP, SCTP, UDP_LITE] {
            let mut vnf = Harness::new(with_static(), workers);
            for port in [5000, 5001] {
                vnf.send("lan", &packet(HOST, REMOTE, protocol, (port, 80)));
                vnf.expect("wan", &packet(EXTERNAL, REMOTE, protocol, (port, 80)));
                vnf.send("wan", &packet(REMOTE, EXTERNAL, protocol, (80, port)));
                vnf.expect("lan", &packet(REMOTE, HOST, protocol, (80, port)));
            }
        }
    });
}

#[test]
fn errors_about_other_protocols_find_the_host_of_a_static_mapping() {
    for_workers(|workers| {
        for protocol in [DCCP, GRE, ESP, SCTP, UDP_LITE] {
            let mut vnf = Harness::new(with_static(), workers);
            let sent = packet(HOST, REMOTE, protocol, (5000, 80));
            vnf.send("lan", &sent);
            let left = packet(EXTERNAL, REMOTE, protocol, (5000, 80));
            vnf.expect("wan", &left);
            vnf.send("wan", &icmp_error("192.0.2.9", 3, 2, &left));
            vnf.expect("lan", &icmp_error("192.0.2.9", 3, 2, &sent));
        }
    });
}

#[test]
fn other_protocols_do_not_share_an_address_in_either_direction() {
    for_workers(|workers| {
        let mut vnf = Harness::new(with_static(), workers);
        for protocol in [DCCP, GRE, ESP, SCTP, UDP_LITE] {
            vnf.send("lan", &packet("10.0.0.3", REMOTE, protocol, (5000, 80)));
            vnf.counted(["nat-unsupported"]);
            vnf.send("wan", &packet(REMOTE, "198.51.100.10", protocol, (80, 5000)));
            vnf.counted(["nat-unsupported"]);
            vnf.send("lan", &packet("10.0.0.3", "198.51.100.10", protocol, (5000, 80)));
            vnf.counted(["nat-unsupported"]);
        }
        assert_eq!((vnf.sessions(), vnf.hosts()), (0, 0));
    });
}
