//! A VNF with everything switched on, and one packet for each way through it.

use std::net::SocketAddr;

use crate::common::*;

/// NAT with every kind of mapping, ACLs, a VLAN, and both families on both sides.
pub(crate) fn config() -> Config {
    Config::new("nat44.toml")
        .replace("\"10.0.0.1/24\"", "\"10.0.0.1/24\", \"fd00:a::1/64\"")
        .replace("\"198.51.100.1/24\"", "\"198.51.100.1/24\", \"fd00:b::1/64\"")
        .replace("max_sessions = 1024", "max_sessions = 4096")
        .nat44("filtering = \"endpoint-independent\"")
        .interface("lan", "acl_in = \"guard\"")
        .interface("wan", "acl_out = \"guard\"")
        .neighbors("lan", ["fd00:a::2".to_owned()])
        .neighbors("wan", ["fd00:b::2".to_owned()])
        .neighbors("guests", ["10.100.0.2".to_owned()])
        .more(
            r#"
            [[vlan]]
            name = "guests"
            port = "lan"
            id = 100
            addresses = ["10.100.0.1/24"]
            nat = "internal"
            acl_in = "guard"

            [[nat44.static]]
            external = "198.51.100.20"
            internal = "10.0.0.4"

            [[nat44.forward]]
            protocol = "tcp"
            external = "198.51.100.10:443"
            internal = "10.0.0.5:8443"

            [[nat44.exempt]]
            destination = "192.0.2.0/24"

            [[acl]]
            name = "guard"
            default = "permit"

            [[acl.rule]]
            action = "reject"
            protocol = "udp"
            destination_port = 25

            [[acl.rule]]
            action = "deny"
            protocol = "udp"
            destination_port = 26
            "#,
        )
}

/// A VNF with one live flow, from 10.0.0.2:5000 to 203.0.113.7:53, and its external endpoint.
pub(crate) fn vnf(workers: usize) -> (Harness, SocketAddr) {
    let mut vnf = Harness::new(config(), workers);
    let live = live();
    vnf.send("lan", &live);
    let external = vnf.expect_translated("wan", &live);
    (vnf, external)
}

/// The live flow.
pub(crate) fn live() -> Packet {
    udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[0x5a; 64])
}

/// The live flow still goes both ways.
pub(crate) fn check_live(vnf: &mut Harness, external: SocketAddr) {
    vnf.discard();
    vnf.send("lan", &live());
    vnf.expect("wan", &live().from(external));
    vnf.send("wan", &live().reply().to(external));
    vnf.expect("lan", &live().reply());
}

/// A name, a port and a frame for each way through the VNF.
pub(crate) fn samples(
    vnf: &Harness,
    external: SocketAddr,
) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let live = live();
    let mut options = live.clone();
    options.options = vec![7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x94, 4, 0, 0, 1];
    let fragment = |offset, more, payload: &[u8]| {
        let mut fragment = live.payload(payload);
        (fragment.fragment_offset, fragment.more_fragments) = (offset, more);
        if offset > 0 {
            fragment.upper = Upper::Other(17);
        }
        fragment
    };
    let live6 = udp("[fd00:a::2]:5000", "[fd00:b::2]:53");
    let extended = |headers: &[u8]| {
        let mut packet = ip("fd00:a::2", "fd00:b::2", headers[0], &headers[1..]);
        packet.payload.extend(&live6.octets(64)[40..]);
        packet
    };
    let packets = [
        ("datagram", "lan", live.clone()),
        ("answer", "wan", live.reply().to(external)),
        ("first segment", "lan", tcp("10.0.0.2:5001", "203.0.113.7:443", "S")),
        ("segment of nobody", "lan", tcp("10.0.0.3:5001", "203.0.113.7:443", "A")),
        ("echo request", "lan", ping("10.0.0.2:7", "203.0.113.7")),
        ("echo request to the router", "lan", ping("10.0.0.2:7", "10.0.0.1")),
        ("datagram to the router", "lan", udp("10.0.0.2:7", "10.0.0.1:9")),
        ("segment to the router", "wan", tcp("203.0.113.7:7", "198.51.100.1:9", "S")),
        ("error from outside", "wan", icmp_error("192.0.2.9", 3, 4, &live.from(external))),
        ("error from inside", "lan", icmp_error("10.0.0.2", 3, 3, &live.reply())),
        ("error about nothing", "wan", icmp_error("192.0.2.9", 11, 0, &udp(external, "9.9.9.9:9"))),
        ("rejected", "lan", udp("10.0.0.2:5000", "203.0.113.7:25")),
        ("denied", "lan", udp("10.0.0.2:5000", "203.0.113.7:26")),
        ("last hop", "lan", live.ttl(1)),
        ("options", "lan", options),
        ("first fragment", "lan", fragment(0, true, &[3; 64])),
        ("later fragment", "lan", fragment(9, false, &[4; 40])),
        ("hairpin", "lan", udp("10.0.0.3:5000", external)),
        ("unsolicited", "wan", tcp("203.0.113.9:1", "198.51.100.10:9", "S")),
        ("forwarded", "wan", tcp("203.0.113.9:1", "198.51.100.10:443", "S")),
        ("static", "wan", ping("203.0.113.9:1", "198.51.100.20")),
        ("static GRE", "lan", ip("10.0.0.4", "203.0.113.9", 47, &[0; 24])),
        ("static SCTP", "lan", ip("10.0.0.4", "203.0.113.9", 132, &[0; 24])),
        ("exempt", "lan", udp("10.0.0.2:5000", "192.0.2.9:1")),
        ("bypass", "wan", udp("203.0.113.9:1", "10.0.0.2:1")),
        ("guest", "lan", udp("10.100.0.2:5000", "203.0.113.7:53").vlan(100)),
        ("datagram 6", "lan", live6.clone()),
        ("segment 6", "lan", tcp("[fd00:a::2]:5000", "[fd00:b::2]:80", "S")),
        ("echo request 6", "lan", ping("[fd00:a::2]:7", "fd00:b::2")),
        ("echo request to the router 6", "lan", ping("[fd00:a::2]:7", "fd00:a::1")),
        ("error 6", "wan", icmp_error("fd00:b::9", 1, 4, &live6)),
        ("hop-by-hop 6", "lan", extended(&[0, 17, 0, 5, 2, 0, 0, 1, 0])),
        ("destination options 6", "lan", extended(&[60, 17, 0, 1, 4, 0, 0, 0, 0])),
        ("fragment 6", "lan", extended(&[44, 17, 0, 0, 1, 0, 0, 0, 9])),
        ("later fragment 6", "lan", extended(&[44, 17, 0, 0, 0x50, 0, 0, 0, 9])),
        ("routing 6", "lan", extended(&[43, 17, 0, 2, 1, 0, 0, 0, 0])),
        ("no route", "lan", udp("[fd00:a::2]:5000", "[2001:db8::1]:1")),
        ("solicitation", "lan", solicitation()),
        ("advertisement", "wan", advertisement()),
    ];
    let mut frames: Vec<_> = packets
        .iter()
        .map(|(name, port, packet)| (*name, *port, vnf.frame_of(port, packet)))
        .collect();
    let mac = mac_of(address("10.0.0.2"));
    frames.push(("ARP request", "lan", arp_request("10.0.0.2", "10.0.0.1")));
    frames.push(("ARP reply", "lan", arp(2, LAN, (mac, "10.0.0.2"), (LAN, "10.0.0.1"))));
    frames
}

fn solicitation() -> Packet {
    let mut payload = v6("fd00:a::1").octets().to_vec();
    payload.extend([1, 1]);
    payload.extend(mac_of(address("fd00:a::2")));
    discovery(135, [0; 4], "fd00:a::2", "ff02::1:ff00:1", &payload)
}

fn advertisement() -> Packet {
    let mut payload = v6("fd00:b::2").octets().to_vec();
    payload.extend([2, 1]);
    payload.extend(mac_of(address("fd00:b::2")));
    discovery(136, [0x20, 0, 0, 0], "fd00:b::2", "ff02::1", &payload)
}

/// A message of neighbour discovery to a group.
fn discovery(kind: u8, word: [u8; 4], source: &str, group: &str, payload: &[u8]) -> Packet {
    let mut packet = ping(source, group).ttl(255).payload(payload);
    packet.upper = Upper::Icmp { kind, code: 0, word };
    let [.., a, b, c, d] = v6(group).octets();
    packet.macs([0x33, 0x33, a, b, c, d], mac_of(address(source)))
}

const LAN: [u8; 6] = [2, 0, 0, 0, 0, 1];
