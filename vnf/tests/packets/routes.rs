//! Routes that change while packets flow, and flows over several next hops.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use vnf::assembly::tables::ribs;
use vnf::engine::ids::VrfId;
use vnf::forward::rib::Origin;
use vnf::forward::{Gateway, RouteTarget};

use crate::common::*;

const GATEWAYS: std::ops::Range<u8> = 10..18;

fn gateway(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

fn config(base: &str) -> Config {
    let gateways = GATEWAYS.map(|number| gateway(number).to_string());
    Config::new(base).neighbors("right", gateways)
}

/// Sends a flow's packet from the left; returns the MAC address that it left the other side for.
fn next_hop(vnf: &mut Harness, packet: &Packet) -> Option<[u8; 6]> {
    vnf.send("left", packet);
    let frame = vnf.try_take("right")?;
    Some(frame.0[..6].try_into().expect("a frame"))
}

#[test]
fn every_packet_goes_where_the_routes_of_the_moment_lead() {
    for base in ["router.toml", "firewall.toml"] {
        for_workers(|workers| {
            let mut vnf = Harness::new(config(base), workers);
            let mut ribs = ribs(&vnf.settings).expect("few targets");
            let mut random = StdRng::seed_from_u64(7);
            let mut model: BTreeMap<(u8, IpNet), RouteTarget> = BTreeMap::new();
            let flows: Vec<Packet> = (0..48)
                .map(|n| udp(format!("10.1.0.2:{}", 1000 + n), format!("203.0.113.{}:53", 5 * n)))
                .collect();
            let before = vnf.count_of("sessions_opened");
            for _ in 0..40 {
                for _ in 0..random.random_range(0..6) {
                    let length = random.random_range(20..=32);
                    let address = Ipv4Addr::new(203, 0, 113, random.random());
                    let prefix = IpNet::new(address.into(), length).expect("a length").trunc();
                    let rib = ribs.rib_mut(VrfId::DEFAULT).expect("the default VRF");
                    if random.random_ratio(1, 3) {
                        model.remove(&(length, prefix));
                        rib.remove(Origin::Api, prefix);
                    } else {
                        let address = gateway(random.random_range(GATEWAYS));
                        let target = match random.random_ratio(1, 8) {
                            true => RouteTarget::Discard,
                            false => RouteTarget::Gateways(vec![Gateway {
                                address: address.into(),
                                interface: 1,
                            }]),
                        };
                        model.insert((length, prefix), target.clone());
                        rib.set(Origin::Api, prefix, target).expect("few targets");
                    }
                }
                vnf.change_routes(&mut ribs);
                for packet in &flows {
                    let destination = packet.destination().ip();
                    let best = model.iter().rev().find(|((_, net), _)| net.contains(&destination));
                    let expected = match best.map(|(_, target)| target) {
                        None => Some(mac_of(address("192.0.2.254"))),
                        Some(RouteTarget::Gateways(to)) => Some(mac_of(to[0].address)),
                        Some(_) => None,
                    };
                    assert_eq!(next_hop(&mut vnf, packet), expected, "{destination}");
                    if expected.is_some() {
                        vnf.send("right", &packet.reply());
                        vnf.expect("left", &packet.reply());
                    }
                }
            }
            if base == "firewall.toml" {
                let opened = vnf.count_of("sessions_opened") - before;
                assert!((40..=48).contains(&opened), "sessions outlive routes: {opened}");
            }
            vnf.forget_counts();
        });
    }
}

#[test]
fn flows_spread_over_next_hops_and_each_keeps_its_own() {
    for_workers(|workers| {
        for count in [2, 3, 8] {
            let hops: Vec<String> =
                GATEWAYS.take(count).map(|n| format!("\"{}\"", gateway(n))).collect();
            let route = format!(
                "[[route]]\nprefix = \"203.0.113.0/24\"\nnext_hops = [{}]",
                hops.join(", ")
            );
            let mut vnf = Harness::new(config("router.toml").more(&route), workers);
            let mut flows: BTreeMap<[u8; 6], usize> = BTreeMap::new();
            for flow in 0..4000u32 {
                let packet =
                    udp((0x0a01_0002, 1024 + flow as u16), format!("203.0.113.{}:53", flow % 250));
                let hop = next_hop(&mut vnf, &packet).expect("a way out");
                *flows.entry(hop).or_default() += 1;
                if flow % 100 == 0 {
                    assert_eq!(next_hop(&mut vnf, &packet), Some(hop), "in order");
                }
            }
            let fair = 4000 / count;
            let near = |flows: &usize| flows.abs_diff(fair) <= fair / 10;
            assert!(flows.len() == count && flows.values().all(near), "{flows:?}");
            vnf.forget_counts();
        }
    });
}

#[test]
fn where_there_is_no_way_senders_are_told_or_not() {
    for_workers(|workers| {
        let config = config("router.toml")
            .more("[[route]]\nprefix = \"203.0.113.0/24\"\ndiscard = true")
            .more("[[route]]\nprefix = \"203.0.114.0/24\"\nunreachable = true")
            .more("[[route]]\nprefix = \"2001:db8:14::/48\"\nunreachable = true");
        let mut vnf = Harness::new(config, workers);
        vnf.send("left", &udp("10.1.0.2:1", "203.0.113.7:2"));
        vnf.counted(["no-route"]);
        let packet = udp("10.1.0.2:1", "203.0.114.7:2");
        vnf.send("left", &packet);
        vnf.expect("left", &icmp_error_from_vnf("10.1.0.1", 3, 1, &packet));
        vnf.counted(["no-route", "originated", "left.transmitted"]);
        let packet = udp("[fd00:a::2]:1", "[2001:db8:14::7]:2");
        vnf.send("left", &packet);
        vnf.expect("left", &icmp_error_from_vnf("fd00:a::1", 1, 3, &packet));
        vnf.counted(["no-route", "originated", "left.transmitted"]);
    });
}

#[test]
fn a_route_of_the_configuration_counts_before_the_api_s() {
    let mut vnf = Harness::new(config("router.toml"), 1);
    let mut ribs = ribs(&vnf.settings).expect("few targets");
    let rib = ribs.rib_mut(VrfId::DEFAULT).expect("the default VRF");
    let to = |number| {
        RouteTarget::Gateways(vec![Gateway {
            address: IpAddr::from(gateway(number)),
            interface: 1,
        }])
    };
    for (origin, number) in [(Origin::Kernel, 10), (Origin::Api, 11), (Origin::Static, 12)] {
        rib.set(origin, "203.0.113.0/24".parse().expect("a prefix"), to(number)).expect("room");
    }
    let packet = udp("10.1.0.2:1", "203.0.113.7:2");
    for (origin, number) in [(Origin::Static, 12), (Origin::Api, 11), (Origin::Kernel, 10)] {
        vnf.change_routes(&mut ribs);
        assert_eq!(next_hop(&mut vnf, &packet), Some(mac_of(gateway(number).into())));
        let rib = ribs.rib_mut(VrfId::DEFAULT).expect("the default VRF");
        assert!(rib.remove(origin, "203.0.113.0/24".parse().expect("a prefix")));
    }
    vnf.forget_counts();
}
