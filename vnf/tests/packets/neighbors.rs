//! ARP and neighbour discovery: answers, and packets that wait.

use crate::common::*;

const LAN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const WAN: [u8; 6] = [2, 0, 0, 0, 0, 2];

#[test]
fn arp_is_answered_for_own_and_pool_addresses() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .replace("pool = [\"198.51.100.10\"]", "pool = [\"198.51.100.10\", \"203.0.113.1\"]")
            .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.4\"");
        let mut vnf = Harness::new(config, workers);
        let router = ("198.51.100.77", mac_of(address("198.51.100.77")));
        for (port, own, (sender, sender_mac), target) in [
            ("lan", LAN, ("10.0.0.9", mac_of(address("10.0.0.9"))), "10.0.0.1"),
            ("wan", WAN, router, "198.51.100.1"),
            ("wan", WAN, router, "198.51.100.10"),
            ("wan", WAN, router, "198.51.100.20"),
        ] {
            vnf.send_frame(port, &arp_request(sender, target));
            vnf.expect_frame(port, &arp(2, sender_mac, (own, target), (sender_mac, sender)));
            let seen = vnf.sightings();
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].address, seen[0].mac.0), (address(sender), sender_mac));
        }
        vnf.forget_counts();
        // Of other hosts, of a pool address that is not of this link, of the other port.
        for (port, sender, target) in [
            ("lan", "10.0.0.9", "10.0.0.8"),
            ("wan", "198.51.100.254", "203.0.113.1"),
            ("lan", "10.0.0.9", "198.51.100.10"),
            ("lan", "10.0.0.9", "198.51.100.1"),
        ] {
            vnf.send_frame(port, &arp_request(sender, target));
            vnf.counted(["punted"]);
            assert!(vnf.sightings().is_empty());
        }
    });
}

#[test]
fn whoever_claims_an_own_address_is_not_believed() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let thief = [2, 9, 9, 9, 9, 9];
        vnf.send_frame("lan", &arp(2, LAN, (thief, "10.0.0.1"), (LAN, "10.0.0.1")));
        vnf.counted(["arp-invalid"]);
        vnf.send_frame("lan", &arp(1, [0xff; 6], (thief, "10.0.0.1"), ([0; 6], "10.0.0.1")));
        vnf.counted(["arp-invalid"]);
        assert!(vnf.sightings().is_empty());
        assert_eq!(vnf.claims(), [(address("10.0.0.1"), thief); 2]);
        // Nor one of the pool.
        vnf.send_frame(
            "wan",
            &arp(1, [0xff; 6], (thief, "198.51.100.10"), ([0; 6], "198.51.100.10")),
        );
        vnf.counted(["arp-invalid"]);
        assert_eq!(vnf.claims(), [(address("198.51.100.10"), thief)]);
    });
}

#[test]
fn rfc4862_5_4_an_address_that_is_being_checked_is_not_answered_for() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        vnf.suspend("fd00:a::1");
        let (host, mac) = ("fd00:a::9", mac_of(address("fd00:a::9")));
        let group = [0x33, 0x33, 0xff, 0, 0, 1];
        let question = target("fd00:a::1", 1, Some(mac));
        vnf.send("left", &discovery(135, 0, (host, "ff02::1:ff00:1"), &question, (group, mac)));
        vnf.counted(["punted"]);
        assert!(vnf.claims().is_empty());
        // Somebody else checks the same address, or has it.
        let probe = target("fd00:a::1", 1, None);
        vnf.send("left", &discovery(135, 0, ("::", "ff02::1:ff00:1"), &probe, (group, mac)));
        vnf.counted(["punted"]);
        assert_eq!(vnf.claims(), [(address("fd00:a::1"), mac)]);
        let taken = target("fd00:a::1", 2, Some(mac));
        let all = [0x33, 0x33, 0, 0, 0, 1];
        vnf.send("left", &discovery(136, 0x20, ("fd00:a::1", "ff02::1"), &taken, (all, mac)));
        vnf.counted(["nd-invalid"]);
        assert_eq!(vnf.claims(), [(address("fd00:a::1"), mac)]);
    });
}

#[test]
fn use_of_a_stale_neighbour_is_told_once() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let packet = udp("10.1.0.2:5000", "192.0.2.2:53");
        vnf.send("left", &packet);
        vnf.expect("right", &packet);
        assert!(vnf.used_neighbors().is_empty());
        vnf.make_stale("right", "192.0.2.2");
        for _ in 0..3 {
            vnf.send("left", &packet);
            vnf.expect("right", &packet);
        }
        assert_eq!(vnf.used_neighbors(), [address("192.0.2.2")]);
        vnf.counted(["4 right.transmitted"]);
    });
}

#[test]
fn what_is_known_of_a_neighbour_is_not_told_again() {
    let mut vnf = Harness::new("router.toml", 1);
    for (stale, told) in [(false, 0), (true, 0)] {
        if stale {
            vnf.make_stale("left", "10.1.0.2");
        }
        vnf.send_frame("left", &arp_request("10.1.0.2", "10.1.0.1"));
        assert_eq!(vnf.sightings().len(), told);
    }
    let moved = arp(1, [0xff; 6], ([2, 0, 0, 0, 9, 9], "10.1.0.2"), ([0; 6], "10.1.0.1"));
    vnf.send_frame("left", &moved);
    assert_eq!(vnf.sightings().len(), 1);
    vnf.discard();
}

#[test]
fn packets_wait_in_order_until_their_neighbour_is_known() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let packets: Vec<Packet> =
            (0..3u8).map(|n| udp("10.1.0.2:5000", "192.0.2.77:53").payload(&[n])).collect();
        for packet in &packets {
            vnf.send("left", packet);
        }
        vnf.expect_nothing();
        vnf.counted(["3 held"]);
        assert_eq!(vnf.unresolved(), [("right".to_owned(), address("192.0.2.77"))]);
        vnf.resolve("right", "192.0.2.77");
        let mut found: Vec<Vec<u8>> = (0..3).map(|_| vnf.take("right").0).collect();
        if workers == 1 {
            let expected: Vec<Vec<u8>> =
                packets.iter().map(|p| p.frame((mac_of(p.destination), WAN), 63)).collect();
            assert_eq!(found, expected);
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 3);
        vnf.counted(["-3 held", "3 right.transmitted"]);
    });
}

#[test]
fn a_translated_packet_waits_before_anything_is_spent_on_it() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        vnf.unresolve("wan", "198.51.100.254");
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        vnf.counted(["held"]);
        vnf.resolve("wan", "198.51.100.254");
        vnf.expect_translated("wan", &question);
        vnf.counted(["-1 held", "sessions_opened", "wan.transmitted"]);
    });
}

#[test]
fn packets_of_known_flows_wait_too() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.unresolve("wan", "198.51.100.254");
        vnf.forget_counts();
        vnf.send("lan", &question);
        vnf.counted(["held"]);
        assert_eq!(vnf.unresolved(), [("wan".to_owned(), address("198.51.100.254"))]);
        vnf.resolve("wan", "198.51.100.254");
        vnf.expect("wan", &question.from(external));
        vnf.counted(["-1 held", "wan.transmitted"]);
    });
}

#[test]
fn a_neighbour_that_does_not_answer_is_reported_unreachable() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let packet = udp("10.1.0.2:5000", "192.0.2.77:53");
        vnf.send("left", &packet);
        vnf.advance(seconds(2));
        vnf.counted(["held"]);
        vnf.advance(seconds(2));
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 3, 1, &packet));
        vnf.counted(["-1 held", "neighbor-unresolved", "originated", "left.transmitted"]);
        let packet = udp("[fd00:a::2]:5000", "[fd00:b::77]:53");
        vnf.send("left", &packet);
        vnf.advance(seconds(4));
        vnf.expect("left", &icmp_error_from_vnf("fd00:a::1", 1, 3, &packet));
    });
}

#[test]
fn few_packets_wait_for_one_neighbour() {
    let mut vnf = Harness::new("router.toml", 1);
    let packet = udp("10.1.0.2:5000", "192.0.2.77:53");
    for _ in 0..20 {
        vnf.send("left", &packet);
    }
    vnf.counted(["8 held", "12 neighbor-unresolved"]);
    // Others are not kept from waiting.
    vnf.send("left", &packet.to("192.0.2.78:53"));
    vnf.counted(["held"]);
}

#[test]
fn a_scan_of_a_link_does_not_use_up_buffers() {
    let mut vnf = Harness::new("router.toml", 1);
    for host in 0..2000 {
        let packet = udp("[fd00:a::2]:5000", format!("[fd00:b::1:{host:x}]:53"));
        vnf.send("left", &packet);
    }
    vnf.counted(["256 held", "1744 neighbor-unresolved"]);
    // Those for which there is no room are asked for too, so that a scan does not keep others from being found.
    assert!(vnf.unresolved().len() > 256);
    let known = udp("[fd00:a::2]:5000", "[fd00:b::2]:53");
    vnf.send("left", &known);
    vnf.expect("right", &known);
}

/// A message of neighbour discovery, in a frame between these stations.
fn discovery(
    kind: u8,
    flags: u8,
    (source, destination): (&str, &str),
    payload: &[u8],
    macs: ([u8; 6], [u8; 6]),
) -> Packet {
    let mut packet = ping(source, destination).ttl(255).payload(payload);
    packet.upper = Upper::Icmp { kind, code: 0, word: [flags, 0, 0, 0] };
    packet.macs(macs.0, macs.1)
}

fn target(address: &str, option: u8, mac: Option<[u8; 6]>) -> Vec<u8> {
    let mut payload = v6(address).octets().to_vec();
    payload.extend(mac.iter().flat_map(|mac| [&[option, 1], &mac[..]].concat()));
    payload
}

#[test]
fn solicitations_are_answered_for_own_addresses() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let (host, mac) = ("fd00:a::9", mac_of(address("fd00:a::9")));
        let group = [0x33, 0x33, 0xff, 0, 0, 1];
        let question = target("fd00:a::1", 1, Some(mac));
        let answer = target("fd00:a::1", 2, Some(LAN));
        vnf.send("left", &discovery(135, 0, (host, "ff02::1:ff00:1"), &question, (group, mac)));
        vnf.expect("left", &discovery(136, 0xe0, ("fd00:a::1", host), &answer, (mac, LAN)));
        let seen = vnf.sightings();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].address, seen[0].mac.0), (address(host), mac));
        vnf.counted(["left.transmitted"]);

        // Somebody without an address yet asks whether it is taken (RFC 4862 5.4).
        let probe = target("fd00:a::1", 1, None);
        vnf.send("left", &discovery(135, 0, ("::", "ff02::1:ff00:1"), &probe, (group, mac)));
        let all = [0x33, 0x33, 0, 0, 0, 1];
        vnf.expect("left", &discovery(136, 0xa0, ("fd00:a::1", "ff02::1"), &answer, (all, LAN)));
        assert!(vnf.sightings().is_empty());
        vnf.counted(["left.transmitted"]);

        let other = target("fd00:a::8", 1, Some(mac));
        vnf.send("left", &discovery(135, 0, (host, "ff02::1:ff00:8"), &other, (group, mac)));
        vnf.counted(["punted"]);
    });
}

#[test]
fn what_hosts_and_routers_say_of_routers_is_heard() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let (host, mac) = ("fe80::9", mac_of(address("fd00:a::9")));
        let (routers, nodes) = ([0x33, 0x33, 0, 0, 0, 2], [0x33, 0x33, 0, 0, 0, 1]);
        let source = [&[1, 1][..], &mac].concat();
        let asks = discovery(133, 0, (host, "ff02::2"), &source, (routers, mac));
        let asks_without = discovery(133, 0, ("::", "ff02::2"), &[], (routers, mac));
        let tells = discovery(134, 64, (host, "ff02::1"), &[0; 8], (nodes, mac));
        for message in [&asks, &asks_without, &tells] {
            vnf.send("left", message);
            vnf.counted(["punted"]);
            vnf.send("left", &message.ttl(254));
            vnf.counted(["nd-invalid"]);
        }
        for bad in [
            discovery(133, 0, ("::", "ff02::2"), &source, (routers, mac)),
            discovery(134, 64, ("fd00:a::9", "ff02::1"), &[0; 8], (nodes, mac)),
            discovery(134, 64, (host, "ff02::1"), &[0; 4], (nodes, mac)),
            asks.payload(&[1, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            vnf.send("left", &bad);
            vnf.counted(["nd-invalid"]);
        }
    });
}

#[test]
fn discovery_from_beyond_the_link_is_not_believed() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let (host, mac) = ("fd00:a::9", mac_of(address("fd00:a::9")));
        let group = [0x33, 0x33, 0xff, 0, 0, 1];
        let question = target("fd00:a::1", 1, Some(mac));
        let good = discovery(135, 0, (host, "ff02::1:ff00:1"), &question, (group, mac));
        let own = target("fd00:a::1", 2, Some(mac));
        for bad in [
            good.ttl(254),
            good.checksum(Checksum::WrongBy(1)),
            good.payload(&question[..15]),
            good.payload(&[&question[..16], &[1, 0, 0, 0, 0, 0, 0, 0]].concat()),
            good.payload(&target("ff02::1", 1, Some(mac))),
            discovery(135, 0, ("::", "ff02::1:ff00:1"), &question, (group, mac)),
            discovery(136, 0x20, (host, "ff02::1"), &own, ([0x33, 0x33, 0, 0, 0, 1], mac)),
            discovery(137, 0, (host, "fd00:a::1"), &question, (LAN, mac)),
        ] {
            vnf.send("left", &bad);
            vnf.counted(["nd-invalid"]);
            assert!(vnf.sightings().is_empty());
        }
    });
}
