//! Who holds an external endpoint, asked of the workers.

use std::net::SocketAddr;

use vnf::engine::message::{Command, Event, HolderRecord, Inquiry};

use crate::common::*;

/// Asks every worker until none has more to look at.
fn who(vnf: &mut Harness, external: SocketAddr) -> Vec<HolderRecord> {
    let SocketAddr::V4(external) = external else { panic!("{external} is not IPv4") };
    let external = (u32::from(*external.ip()), external.port());
    vnf.command(|| {
        let (protocols, holders) = (vec![1, 6, 17], Vec::with_capacity(3));
        let inquiry = Inquiry { number: 7, external, protocols, from: 0, more: false, holders };
        Command::Inquire(Box::new(inquiry))
    });
    let mut holders = Vec::new();
    for event in std::mem::take(&mut vnf.events) {
        let Event::Found(inquiry) = event else { continue };
        assert!((inquiry.number, inquiry.more) == (7, false), "small tables are looked at at once");
        holders.extend(inquiry.holders);
    }
    holders
}

#[test]
fn the_holder_is_told_while_it_holds_and_while_the_endpoint_rests() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &packet);
        let external = vnf.expect_translated("wan", &packet);
        let holder =
            HolderRecord { protocol: 17, internal: (0x0a00_0002.into(), 5000), rests_ms: None };
        assert_eq!(who(&mut vnf, external), [holder]);
        let mut other = external;
        other.set_port(external.port() ^ 1);
        assert_eq!(who(&mut vnf, other), []);

        vnf.advance(seconds(310));
        assert_eq!(vnf.resting(), 1);
        let found = who(&mut vnf, external);
        let rests_ms = found[0].rests_ms.expect("nobody else gets it yet");
        assert_eq!(found, [HolderRecord { rests_ms: Some(rests_ms), ..holder }]);
        assert!((100_000..=120_000).contains(&rests_ms), "{rests_ms}");

        vnf.advance(seconds(121));
        assert_eq!(who(&mut vnf, external), []);
    });
}
