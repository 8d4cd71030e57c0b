//! What goes to services on the box through a Linux tap, and what does not.

use std::net::IpAddr;

use vnf::engine::ids::PortId;

use crate::common::*;

const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The router with a tap on its left.
fn router() -> Config {
    Config::new("router.toml").interface("left", "linux = \"svc0\"")
}

#[test]
fn what_the_vnf_does_not_answer_itself_goes_to_the_tap_as_it_came() {
    for_workers(|workers| {
        let mut vnf = Harness::new(router(), workers);
        let mut pong = ping("10.1.0.2:9", "10.1.0.1");
        pong.upper = Upper::Icmp { kind: 0, code: 0, word: [0, 9, 0, 1] };
        let late = udp("10.1.0.1:5000", "203.0.113.7:53");
        for packet in [
            tcp("10.1.0.2:5000", "10.1.0.1:22", "S"),
            tcp("10.1.0.2:5000", "10.1.0.1:22", "A"),
            udp("10.1.0.2:5000", "192.0.2.1:53"),
            ip("10.1.0.2", "10.1.0.1", 89, &[2; 24]),
            pong,
            icmp_error("10.1.0.2", 3, 4, &late),
            tcp("[fd00:a::2]:5000", "[fd00:a::1]:179", "S"),
        ] {
            vnf.send("left", &packet);
            let frame = vnf.frame_of("left", &packet);
            let [(port, found)] = &vnf.exceptions()[..] else { panic!("one packet for the box") };
            assert_eq!(port, "left");
            assert!(found.is(&frame), "{found:?}");
            vnf.counted(["punted"]);
        }
        // Echo requests are answered at once, and the other port has no tap.
        let request = ping("10.1.0.2:9", "10.1.0.1");
        vnf.send("left", &request);
        vnf.expect("left", &request.reply().ttl(64));
        let syn = tcp("192.0.2.2:5000", "10.1.0.1:22", "S");
        vnf.send("right", &syn);
        vnf.expect("right", &crate::local::reset_for(&syn));
        assert!(vnf.exceptions().is_empty());
    });
}

#[test]
fn groups_of_the_link_go_to_the_tap_and_others_do_not() {
    for_workers(|workers| {
        let mut vnf = Harness::new(router(), workers);
        let (v4, v6) = (mac_of(address("10.1.0.2")), mac_of(address("fd00:a::2")));
        let hello = ip("10.1.0.2", "224.0.0.5", 89, &[2; 44]).ttl(1);
        let hello = hello.macs([1, 0, 0x5e, 0, 0, 5], v4);
        let hello6 = ip("fe80::2", "ff02::5", 89, &[3; 36]).macs([0x33, 0x33, 0, 0, 0, 5], v6);
        let own = tcp("[fe80::2]:5000", "[fe80::1]:179", "S").macs(ROUTER, v6);
        for packet in [hello.clone(), hello6.clone(), own] {
            vnf.send("left", &packet);
            assert_eq!(vnf.exceptions().len(), 1);
            vnf.counted(["punted"]);
        }
        let far = ip("10.1.0.2", "239.1.1.1", 17, &[2; 44]).macs([1, 0, 0x5e, 1, 1, 1], v4);
        let far6 = ip("fd00:a::2", "ff05::5", 17, &[3; 36]).macs([0x33, 0x33, 0, 0, 0, 5], v6);
        for packet in [far, far6] {
            vnf.send("left", &packet);
            vnf.counted(["l2-group"]);
        }
        for packet in [hello, hello6] {
            vnf.send("right", &packet);
            vnf.counted(["l2-group"]);
        }
        assert!(vnf.exceptions().is_empty());
    });
}

#[test]
fn the_kernel_hears_what_its_neighbours_answer() {
    let mut vnf = Harness::new(router(), 1);
    let host = mac_of(address("10.1.0.9"));
    vnf.send_frame("left", &arp(2, ROUTER, (host, "10.1.0.9"), (ROUTER, "10.1.0.1")));
    assert_eq!(vnf.exceptions().len(), 1);
    assert_eq!(vnf.sightings().len(), 1, "and so does management");
    vnf.counted(["punted"]);
    let (host6, routers) = (mac_of(address("fd00:a::9")), [0x33, 0x33, 0, 0, 0, 2]);
    let mut asks = ping("fe80::9", "ff02::2").ttl(255).payload(&[]);
    asks.upper = Upper::Icmp { kind: 133, code: 0, word: [0; 4] };
    vnf.send("left", &asks.macs(routers, host6));
    assert_eq!(vnf.exceptions().len(), 1, "a daemon there may be a router for hosts");
    vnf.counted(["punted"]);
    // Questions are answered here, and the kernel would answer once more.
    vnf.send_frame("left", &arp_request("10.1.0.9", "10.1.0.1"));
    vnf.discard();
    assert!(vnf.exceptions().is_empty());
}

#[test]
fn the_exception_path_is_bounded() {
    let mut vnf = Harness::new(router(), 1);
    let syn = tcp("10.1.0.2:5000", "10.1.0.1:22", "S");
    for _ in 0..600 {
        vnf.send("left", &syn);
    }
    vnf.counted(["512 punted", "88 exception-limit"]);
    let packet = udp("10.1.0.2:5000", "192.0.2.2:53");
    vnf.send("left", &packet);
    vnf.expect("right", &packet);
    assert_eq!(vnf.exceptions().len(), 512);
}

#[test]
fn what_the_box_sends_leaves_by_the_port() {
    let mut vnf = Harness::new(router(), 1);
    let packet = tcp("10.1.0.1:22", "10.1.0.2:5000", "SA");
    let to: IpAddr = address("10.1.0.2");
    let frame = packet.frame((mac_of(to), ROUTER), 64);
    let sent = vnf.buffer(&frame);
    assert!(vnf.workers[0].rings.injections.push((sent, PortId(0))).is_ok());
    vnf.settle();
    vnf.expect_frame("left", &frame);
    vnf.counted(["originated", "left.transmitted"]);
}

#[test]
fn acls_are_asked_about_packets_for_the_box() {
    for_workers(|workers| {
        let config = router().interface("left", "acl_in = \"box\"").more(
            "[[acl]]\nname = \"box\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \"permit\"\n\
             protocol = \"tcp\"\ndestination_port = 22",
        );
        let mut vnf = Harness::new(config, workers);
        vnf.send("left", &tcp("10.1.0.2:5000", "10.1.0.1:22", "S"));
        assert_eq!(vnf.exceptions().len(), 1);
        vnf.send("left", &tcp("10.1.0.2:5000", "10.1.0.1:179", "S"));
        assert!(vnf.exceptions().is_empty());
        vnf.counted(["punted", "acl-denied"]);
    });
}
