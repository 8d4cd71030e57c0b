//! Hosts that get no session are named to management, a few a second.

use std::net::IpAddr;

use vnf::engine::ids::VrfId;
use vnf::engine::message::Event;
use vnf::engine::verdict::DropReason;
use vnf::session::refusals::{Nearing, Refusal};

use crate::common::*;

/// What the workers told of hosts that got no session.
fn refusals(vnf: &mut Harness) -> Vec<Refusal> {
    let events = std::mem::take(&mut vnf.events);
    let told = events.into_iter().filter_map(|event| match event {
        Event::Refused(refusal) => Some(refusal),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_host_at_its_limit_is_named_with_its_external_address_and_protocol() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("max_sessions_per_host = 1");
        let mut vnf = Harness::new(config, workers);
        let first = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &first);
        let external = vnf.expect_translated("wan", &first);
        assert_eq!(refusals(&mut vnf), []);

        for port in 0..50 {
            vnf.send("lan", &udp((0x0a00_0002, 6000 + port), "203.0.113.7:53"));
        }
        vnf.discard();
        let IpAddr::V4(address) = external.ip() else { panic!("{external} is not IPv4") };
        let expected = Refusal {
            reason: DropReason::NatHostLimit,
            vrf: VrfId::DEFAULT,
            host: "10.0.0.2".parse().unwrap(),
            external: Some(address.into()),
            protocol: 17,
        };
        assert_eq!(refusals(&mut vnf), [expected; 10], "ten a second and worker");
        vnf.forget_counts();
    });
}

#[test]
fn rfc7422_2_2_a_host_near_its_limit_is_named() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("max_sessions_per_host = 10");
        let mut vnf = Harness::new(config, workers);
        for port in 0..10 {
            vnf.send("lan", &udp((0x0a00_0002, 6000 + port), "203.0.113.7:53"));
        }
        vnf.discard();
        let events = std::mem::take(&mut vnf.events);
        let told = events.into_iter().filter_map(|event| match event {
            Event::Nearing(nearing) => Some(nearing),
            _ => None,
        });
        let nearing = |sessions, percent| Nearing { host: 0x0a00_0002.into(), sessions, percent };
        assert_eq!(told.collect::<Vec<_>>(), [nearing(8, 80), nearing(9, 90)]);
        vnf.forget_counts();
    });
}
