//! Virtual routing tables: the same address in two of them is two hosts.

use vnf::engine::ids::VrfId;
use vnf::engine::message::{Command, Event, Filter, Page, SessionRecord};

use crate::common::*;

/// The customers with the same host each, whose MAC address is known, and the gateway.
fn config() -> Config {
    let host = || ["10.0.0.2".to_owned(), "10.0.0.3".to_owned(), "fd00:a::2".to_owned()];
    Config::new("vrfs.toml")
        .neighbors("red", host())
        .neighbors("blue", host())
        .neighbors("wan", ["198.51.100.254".to_owned(), "fd00:b::2".to_owned()])
}

fn sessions(vnf: &mut Harness, vrf: Option<u8>) -> Vec<SessionRecord> {
    let filter = Filter { vrf: vrf.map(VrfId), ..Filter::default() };
    vnf.command(|| Command::ListSessions(Page::new(0, filter, 64)));
    let pages = std::mem::take(&mut vnf.events).into_iter().filter_map(|event| match event {
        Event::Sessions(page) => Some(page.rows),
        _ => None,
    });
    pages.flatten().collect()
}

#[test]
fn hosts_with_the_same_address_have_flows_and_mappings_of_their_own() {
    for_workers(|workers| {
        let mut vnf = Harness::new(config(), workers);
        for packet in [
            udp("10.0.0.2:5000", "203.0.113.7:53"),
            tcp("10.0.0.2:5000", "203.0.113.7:80", "S"),
            ping("10.0.0.2:77", "203.0.113.7"),
        ] {
            let mut externals = Vec::new();
            for port in ["red", "blue", "red"] {
                vnf.send(port, &packet);
                externals.push(vnf.expect_translated("wan", &packet));
            }
            assert_eq!(externals[0], externals[2], "one mapping");
            assert_ne!(externals[0], externals[1], "two hosts");
            for (port, external) in ["red", "blue"].into_iter().zip(externals) {
                let answer = packet.from(external).reply().flags("SA");
                vnf.send("wan", &answer);
                vnf.expect(port, &packet.reply().flags("SA"));
            }
        }
        vnf.counted([
            "6 sessions_opened",
            "9 wan.transmitted",
            "3 red.transmitted",
            "3 blue.transmitted",
        ]);
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.hosts()), (6, 6, 2));
        assert_eq!(sessions(&mut vnf, None).len(), 6);
        let red = sessions(&mut vnf, Some(1));
        assert_eq!(red.len(), 3);
        assert!(red.iter().all(|session| session.key.vrf == VrfId(1)));
        vnf.advance(seconds(7441));
        assert_eq!(vnf.sessions(), 0);
    });
}

#[test]
fn an_error_about_a_flow_goes_to_the_vrf_of_its_host() {
    for_workers(|workers| {
        let mut vnf = Harness::new(config(), workers);
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        for port in ["red", "blue"] {
            vnf.send(port, &packet);
            let external = vnf.expect_translated("wan", &packet);
            vnf.send("wan", &icmp_error("203.0.113.1", 3, 3, &packet.from(external)));
            vnf.expect(port, &icmp_error("203.0.113.1", 3, 3, &packet));
        }
    });
}

#[test]
fn limits_count_each_host() {
    for_workers(|workers| {
        let config = config().nat44("max_sessions_per_host = 1");
        let mut vnf = Harness::new(config, workers);
        for port in ["red", "blue"] {
            vnf.send(port, &udp("10.0.0.2:5000", "203.0.113.7:53"));
            vnf.expect_translated("wan", &udp("10.0.0.2:5000", "203.0.113.7:53"));
            vnf.counted(["sessions_opened", "wan.transmitted"]);
            vnf.send(port, &udp("10.0.0.2:5001", "203.0.113.7:53"));
            vnf.discard();
            vnf.counted(["nat-host-limit", "originated", &format!("{port}.transmitted")]);
        }
    });
}

#[test]
fn fixed_mappings_lead_to_the_host_of_their_vrf() {
    for_workers(|workers| {
        let config = config()
            .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.2\"\nvrf = \"red\"")
            .more("[[nat44.static]]\nexternal = \"198.51.100.21\"\ninternal = \"10.0.0.2\"\nvrf = \"blue\"")
            .more("[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \"198.51.100.10:443\"\ninternal = \"10.0.0.3:8443\"\nvrf = \"blue\"");
        let mut vnf = Harness::new(config, workers);
        for (port, external) in [("red", "198.51.100.20"), ("blue", "198.51.100.21")] {
            let caller = udp("203.0.113.8:1234", format!("{external}:22"));
            vnf.send("wan", &caller);
            vnf.expect(port, &caller.to("10.0.0.2:22"));
            vnf.send(port, &caller.to("10.0.0.2:22").reply());
            vnf.expect("wan", &caller.reply());
            let question = udp("10.0.0.2:5000", "203.0.113.7:53");
            vnf.send(port, &question);
            vnf.expect("wan", &question.from(format!("{external}:5000")));
        }
        let caller = udp("203.0.113.8:1234", "198.51.100.10:443");
        vnf.send("wan", &caller);
        vnf.expect("blue", &caller.to("10.0.0.3:8443"));
        vnf.send("blue", &caller.to("10.0.0.3:8443").reply());
        vnf.expect("wan", &caller.reply());
    });
}

#[test]
fn hosts_of_two_vrfs_meet_at_an_external_endpoint() {
    for_workers(|workers| {
        let config = config().nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let opener = udp("10.0.0.2:6000", "203.0.113.7:53");
        vnf.send("blue", &opener);
        let blue = vnf.expect_translated("wan", &opener);
        vnf.send("red", &opener);
        let red = vnf.expect_translated("wan", &opener);
        for _ in 0..2 {
            vnf.send("red", &udp("10.0.0.2:6000", blue));
            vnf.expect("blue", &udp(red, "10.0.0.2:6000"));
            vnf.send("blue", &udp("10.0.0.2:6000", red));
            vnf.expect("red", &udp(blue, "10.0.0.2:6000"));
        }
    });
}

#[test]
fn without_a_route_between_them_vrfs_do_not_meet() {
    for_workers(|workers| {
        let config = config().more(
            "[[route]]\nvrf = \"blue\"\nprefix = \"10.7.0.0/16\"\nnext_hops = [\"10.0.0.3\"]",
        );
        let config = config.replace("prefix = \"0.0.0.0/0\"", "prefix = \"203.0.113.0/24\"");
        let mut vnf = Harness::new(config, workers);
        let packet = udp("10.0.0.2:1", "10.7.0.9:2");
        vnf.send("red", &packet);
        vnf.expect("red", &icmp_error_from_vnf("10.0.0.1", 3, 0, &packet));
        vnf.counted(["no-route", "originated", "red.transmitted"]);
        vnf.send("blue", &packet);
        vnf.expect("blue", &packet);
        let packet = udp("[fd00:a::2]:1", "[fd00:b::2]:2");
        vnf.send("red", &packet);
        vnf.expect("red", &icmp_error_from_vnf("fd00:a::1", 1, 0, &packet));
        vnf.counted(["blue.transmitted", "no-route", "originated", "red.transmitted"]);
        // From outside there is no way to an address that only a VRF has.
        let packet = udp("198.51.100.254:1", "10.0.0.2:2");
        vnf.send("wan", &packet);
        vnf.expect("wan", &icmp_error_from_vnf("198.51.100.1", 3, 0, &packet));
    });
}

#[test]
fn a_stateful_flow_between_vrfs_goes_both_ways() {
    for_workers(|workers| {
        let config = config()
            .interface("red", "acl_in = \"out\"")
            .interface("wan", "acl_in = \"none\"")
            .more("[[acl]]\nname = \"out\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \"permit\"")
            .more("[[acl]]\nname = \"none\"\ndefault = \"deny\"")
            .more("[[route]]\nvrf = \"red\"\nprefix = \"fd00:b::/64\"\nnext_hop_vrf = \"default\"")
            .more("[[route]]\nprefix = \"fd00:a::/64\"\nnext_hop_vrf = \"red\"");
        let mut vnf = Harness::new(config, workers);
        let packet = udp("[fd00:a::2]:1", "[fd00:b::2]:2");
        for _ in 0..2 {
            vnf.send("red", &packet);
            vnf.expect("wan", &packet);
            vnf.send("wan", &packet.reply());
            vnf.expect("red", &packet.reply());
        }
        vnf.counted(["sessions_opened", "2 wan.transmitted", "2 red.transmitted"]);
        vnf.send("wan", &udp("[fd00:b::2]:3", "[fd00:a::2]:1"));
        vnf.counted(["acl-denied"]);
    });
}

#[test]
fn own_addresses_answer_in_their_vrf() {
    for_workers(|workers| {
        let mut vnf = Harness::new(config(), workers);
        for port in ["red", "blue"] {
            let request = ping("10.0.0.2:7", "10.0.0.1");
            vnf.send(port, &request);
            let answer = vnf.take(port);
            assert!(
                answer.is(&request.reply().frame((mac_of(address("10.0.0.2")), own(port)), 64))
            );
        }
    });
}

fn own(port: &str) -> [u8; 6] {
    [2, 0, 0, 0, 0, if port == "red" { 1 } else { 3 }]
}

#[test]
fn fragments_of_datagrams_with_one_identification_stay_apart() {
    for_workers(|workers| {
        let mut vnf = Harness::new(config(), workers);
        let whole = udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[7; 120]);
        let frames = |vnf: &Harness, port: &str| {
            let octets = whole.octets(64);
            let head = vnf.frame_of(port, &whole)[..14].to_vec();
            let part = |range: std::ops::Range<usize>, at: u16| {
                let mut frame = head.clone();
                frame.extend(fragment_of(&octets, range, at));
                frame
            };
            [part(20..84, 0x2000), part(84..148, 8)]
        };
        // The last fragment first, in both VRFs: neither takes the other's ports.
        let ([red_first, red_last], [blue_first, blue_last]) =
            (frames(&vnf, "red"), frames(&vnf, "blue"));
        vnf.send_frame("red", &red_last);
        vnf.send_frame("blue", &blue_last);
        vnf.counted(["2 held"]);
        vnf.send_frame("red", &red_first);
        let red = [vnf.take("wan").source(), vnf.take("wan").source()];
        vnf.counted(["-1 held", "sessions_opened", "2 wan.transmitted"]);
        vnf.send_frame("blue", &blue_first);
        let blue = [vnf.take("wan").source(), vnf.take("wan").source()];
        vnf.counted(["-1 held", "sessions_opened", "2 wan.transmitted"]);
        assert_eq!(red[0].ip(), red[1].ip());
        assert_eq!(blue[0].ip(), blue[1].ip());
    });
}

/// A part of an IPv4 packet's payload, as a fragment.
fn fragment_of(packet: &[u8], range: std::ops::Range<usize>, flags_and_offset: u16) -> Vec<u8> {
    let mut fragment = packet[..20].to_vec();
    fragment[2..4].copy_from_slice(&(20 + range.len() as u16).to_be_bytes());
    fragment[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
    fragment[10..12].fill(0);
    let sum: u32 =
        fragment.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
    fragment[10..12].copy_from_slice(&folded.to_be_bytes());
    fragment.extend(&packet[range]);
    fragment
}
