//! Packets that are routed as they are (RFC 1812).

use crate::common::*;

#[test]
fn packets_of_both_families_go_where_their_routes_lead() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        for (source, destination) in [
            ("10.1.0.2:1", "192.0.2.2:2"),
            ("10.1.0.2:1", "203.0.113.9:2"),
            ("[fd00:a::2]:1", "[fd00:b::2]:2"),
            ("[fd00:a::2]:1", "[2001:db8:9::9]:2"),
        ] {
            for packet in [udp(source, destination), tcp(source, destination, "A")] {
                vnf.send("left", &packet);
                vnf.expect("right", &packet);
            }
        }
        let back = udp("192.0.2.2:2", "10.1.0.2:1");
        vnf.send("right", &back);
        vnf.expect("left", &back);
        vnf.counted(["8 right.transmitted", "left.transmitted"]);
        assert_eq!(vnf.sessions(), 0, "a router without access lists keeps no state");
    });
}

#[test]
fn the_longest_prefix_decides() {
    for_workers(|workers| {
        let config = Config::new("router.toml")
            .more("[[route]]\nprefix = \"203.0.113.0/24\"\nnext_hops = [\"10.1.0.2\"]")
            .more("[[route]]\nprefix = \"203.0.113.128/25\"\nnext_hops = [\"192.0.2.2\"]")
            .more("[[route]]\nprefix = \"203.0.113.200/32\"\ndiscard = true");
        let mut vnf = Harness::new(config, workers);
        let (left, right) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let packet = udp("192.0.2.254:1", "203.0.113.1:2");
        vnf.send("right", &packet);
        vnf.expect("left", &packet.macs(mac_of(address("10.1.0.2")), left));
        let packet = udp("10.1.0.2:1", "203.0.113.129:2");
        vnf.send("left", &packet);
        vnf.expect("right", &packet.macs(mac_of(address("192.0.2.2")), right));
        let packet = udp("10.1.0.2:1", "203.0.114.129:2");
        vnf.send("left", &packet);
        vnf.expect("right", &packet.macs(mac_of(address("192.0.2.254")), right));
        vnf.forget_counts();
        vnf.send("left", &udp("10.1.0.2:1", "203.0.113.200:2"));
        vnf.counted(["no-route"]);
    });
}

#[test]
fn without_a_route_the_sender_is_told() {
    for_workers(|workers| {
        let config = Config::new("router.toml")
            .replace("0.0.0.0/0", "203.0.113.0/24")
            .replace("::/0", "2001:db8::/32");
        let mut vnf = Harness::new(config, workers);
        let packet = udp("10.1.0.2:1", "8.8.8.8:2");
        vnf.send("left", &packet);
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 3, 0, &packet));
        let packet = udp("[fd00:a::2]:1", "[2001:db9::1]:2");
        vnf.send("left", &packet);
        vnf.expect("left", &icmp_error_from_vnf("fd00:a::1", 1, 0, &packet));
        vnf.counted(["2 no-route", "2 originated", "2 left.transmitted"]);
    });
}

#[test]
fn addresses_that_cannot_be_right_are_martians() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let sources =
            ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"];
        for source in sources {
            vnf.send("left", &udp(source, "192.0.2.2:53").macs(MAC, HOST));
            vnf.counted(["martian"]);
        }
        for destination in
            ["0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "10.1.0.255"]
        {
            vnf.send("left", &udp("10.1.0.2:1", destination));
            vnf.counted(["martian"]);
        }
        vnf.send("left", &udp("10.1.0.2:1", "10.1.0.2:1"));
        vnf.counted(["martian"]);
        // The router's own addresses as sources.
        for source in ["10.1.0.1:1", "192.0.2.1:1", "[fd00:b::1]:1"] {
            let to = if source.starts_with('[') { "[fd00:b::2]:2" } else { "192.0.2.2:2" };
            vnf.send("left", &udp(source, to).macs(MAC, HOST));
            vnf.counted(["martian"]);
        }
        for source in ["[::]:1", "[::1]:1", "[ff02::1]:1", "[::ffff:10.1.0.2]:1"] {
            vnf.send("left", &udp(source, "[fd00:b::2]:2").macs(MAC, HOST));
            vnf.counted(["martian"]);
        }
        for destination in ["[::]:1", "[::1]:1", "[::ffff:192.0.2.2]:1"] {
            vnf.send("left", &udp("[fd00:a::2]:1", destination));
            vnf.counted(["martian"]);
        }
    });
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HOST: [u8; 6] = [2, 4, 10, 1, 0, 2];

#[test]
fn link_local_addresses_stay_on_their_link() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        vnf.send("left", &udp("[fe80::2]:1", "[fd00:b::2]:2").macs(MAC, HOST));
        vnf.counted(["martian"]);
        vnf.send("left", &udp("[fd00:a::2]:1", "[fe80::2]:2"));
        vnf.counted(["martian"]);
    });
}

#[test]
fn what_is_too_large_is_reported_with_the_mtu_of_the_next_hop() {
    for_workers(|workers| {
        let config = Config::new("router.toml").interface("right", "mtu = 1400");
        let mut vnf = Harness::new(config, workers);
        let fits = udp("10.1.0.2:1", "192.0.2.2:2").payload(&[7; 1372]).dont_fragment();
        vnf.send("left", &fits);
        vnf.expect("right", &fits);
        vnf.forget_counts();
        let large = fits.payload(&[7; 1373]);
        vnf.send("left", &large);
        let told = icmp_error_from_vnf("10.1.0.1", 3, 4, &large).word([0, 0, 5, 0x78]);
        vnf.expect("left", &told);
        let large = udp("[fd00:a::2]:1", "[fd00:b::2]:2").payload(&[7; 1353]);
        vnf.send("left", &large);
        let mut told = icmp_error_from_vnf("fd00:a::1", 2, 0, &large).word([0, 0, 5, 0x78]);
        told.payload = large.octets(64)[..1232].to_vec();
        vnf.expect("left", &told);
        vnf.counted(["2 mtu-exceeded", "2 originated", "2 left.transmitted"]);
    });
}

#[test]
fn a_flow_keeps_to_one_of_several_next_hops() {
    for_workers(|workers| {
        let config = Config::new("router.toml")
            .replace("[\"192.0.2.254\"]", "[\"192.0.2.254\", \"192.0.2.2\", \"192.0.2.3\"]")
            .neighbors("right", ["192.0.2.3".to_owned()]);
        let mut vnf = Harness::new(config, workers);
        let mut used = std::collections::HashSet::new();
        for port in 1000..1064 {
            let packet = udp(format!("10.1.0.2:{port}"), "203.0.113.9:53");
            vnf.send("left", &packet);
            let first = vnf.take("right").0;
            vnf.send("left", &packet);
            assert_eq!(vnf.take("right").0, first);
            used.insert(first[..6].to_vec());
        }
        assert_eq!(used.len(), 3, "64 flows use all three");
    });
}

#[test]
fn a_packet_may_leave_by_the_port_it_came_in() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let packet = udp("192.0.2.2:1", "203.0.113.9:53");
        vnf.send("right", &packet);
        vnf.expect("right", &packet);
    });
}

#[test]
fn unknown_frames_are_counted_as_such() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let mut frame = vnf.frame_of("left", &udp("10.1.0.2:1", "192.0.2.2:2"));
        for ether_type in [0x88cc_u16, 0x8847, 0x8863, 0x88a8, 0x05dc, 0] {
            frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
            vnf.send_frame("left", &frame);
            vnf.counted(["unknown-ethertype"]);
        }
        vnf.send("left", &udp("10.1.0.2:1", "192.0.2.2:2").vlan(7));
        vnf.counted(["unknown-ethertype"]);
    });
}

#[test]
fn a_sub_interface_tags_what_leaves_and_takes_the_tag_off_what_came() {
    for_workers(|workers| {
        let config = Config::new("router.toml")
            .more(
                "[[vlan]]\nname = \"guests\"\nport = \"left\"\nid = 100\naddresses = \
                 [\"10.100.0.1/24\", \"fd00:100::1/64\"]\n[[vlan]]\nname = \"staff\"\nport = \
                 \"right\"\nid = 200\naddresses = [\"10.200.0.1/24\"]",
            )
            .neighbors("guests", ["10.100.0.2".to_owned(), "fd00:100::2".to_owned()])
            .neighbors("staff", ["10.200.0.2".to_owned()]);
        let mut vnf = Harness::new(config, workers);
        for (from, vlan_in, to, vlan_out, source, destination) in [
            ("left", Some(100), "right", None, "10.100.0.2:1", "192.0.2.2:2"),
            ("right", None, "left", Some(100), "192.0.2.2:1", "10.100.0.2:2"),
            ("left", Some(100), "right", Some(200), "10.100.0.2:1", "10.200.0.2:2"),
            ("left", Some(100), "left", None, "10.100.0.2:1", "10.1.0.2:2"),
            ("left", Some(100), "right", None, "[fd00:100::2]:1", "[fd00:b::2]:2"),
        ] {
            let packet = udp(source, destination);
            let vlan = |vlan| Packet { vlan, ..packet.clone() };
            vnf.send(from, &vlan(vlan_in));
            vnf.expect(to, &vlan(vlan_out));
        }
        let request = ping("10.100.0.2:5", "10.100.0.1").vlan(100);
        vnf.send("left", &request);
        vnf.expect("left", &request.reply().ttl(64));
        let late = udp("10.100.0.2:5", "192.0.2.2:5").vlan(100).ttl(1);
        vnf.send("left", &late);
        vnf.expect("left", &icmp_error_from_vnf("10.100.0.1", 11, 0, &late).vlan(100));
        // A tag with identifier 0 is only a priority.
        let packet = udp("10.1.0.2:1", "192.0.2.2:2");
        vnf.send("left", &packet.vlan(0));
        vnf.expect("right", &packet);
    });
}

#[test]
fn a_full_transmit_queue_drops_and_counts() {
    let mut vnf = Harness::new("router.toml", 1);
    let frame = vnf.frame_of("left", &udp("10.1.0.2:1", "192.0.2.2:2"));
    // The far end takes nothing off its ring, which holds 1,023, until all is sent.
    for _ in 0..1000 {
        vnf.inject("left", &frame, &[]);
    }
    vnf.turn_without_collecting();
    for _ in 0..100 {
        vnf.inject("left", &frame, &[]);
    }
    vnf.turn_without_collecting();
    vnf.settle();
    assert_eq!(vnf.discard(), 1023);
    vnf.counted(["1023 right.transmitted", "77 tx-full"]);
}
