//! The same for TCP, ICMP and IPv6, in a VLAN and without: what a router may change, and what it may not.

use super::*;
use std::net::IpAddr;

const ALL: [(Protocol, Family); 6] = [
    (Protocol::Icmp, Family::V4),
    (Protocol::Icmp, Family::V6),
    (Protocol::Tcp, Family::V4),
    (Protocol::Tcp, Family::V6),
    (Protocol::Udp, Family::V4),
    (Protocol::Udp, Family::V6),
];

struct Kinds {
    flows: Flows,
    composer: Composer,
    verifier: Verifier,
    sent: u64,
    network: usize, // where the IP header begins
}

impl Kinds {
    fn new(protocol: Protocol, family: Family, sizes: &str, vlan: Option<u16>) -> Self {
        let (prefix, remote) = match family {
            Family::V4 => ("10.0.0.2/24", "198.51.100.2"),
            Family::V6 => ("2001:db8:1::2/64", "2001:db8:2::2"),
        };
        let remote = remote.parse::<IpAddr>().unwrap().into();
        let pool = Pool::for_flows(FLOWS, prefix.parse().unwrap(), None, &[remote]);
        let plan = Plan::new(FLOWS, pool, 7).unwrap();
        let sizes = sizes.parse().unwrap();
        let mut flows = Flows::new(vec![Stream::new("test", protocol, family, sizes, plan, false)]);
        flows.learn_untranslated();
        let key = Key::new(7, 0);
        let (macs, vlans) = ([PORTS[3], PORTS[0]], [vlan; 2]);
        let expectation = Expectation { hops: 1, pool: vec![], macs, vlans };
        let routes = ROUTES.map(|route| Route { vlan, ..route });
        let network = if vlan.is_some() { 18 } else { 14 };
        let composer = Composer::new(routes, key);
        Self { flows, composer, verifier: Verifier::new(expectation, 1, key), sent: 0, network }
    }

    /// Sends a thousand frames each way through a router that damages every tenth.
    fn run(&mut self, damage: impl Fn(&mut Vec<u8>, usize)) -> Vec<(&'static str, u64)> {
        for k in 0..1000 {
            for direction in Direction::BOTH {
                let index = k % FLOWS;
                let len = self.composer.frame_len(&self.flows, index, direction);
                let (mut frame, now) = (vec![0; len], 1_000_000 + u64::from(k) * 100);
                let composer = &self.composer;
                let flows = &mut self.flows;
                assert!(composer.write(flows, index, direction, Kind::Data, now, &mut frame));
                self.sent += 1;
                route(&mut frame, self.network, direction);
                if k % 10 == 3 {
                    damage(&mut frame, self.network);
                }
                self.verifier.inspect(&mut self.flows, direction, &frame, now + 5000, |_| true);
                assert!(self.verifier.counters.balance(), "{:?}", self.verifier.counters);
            }
        }
        let named = self.verifier.counters.defects.named().into_iter();
        let lost = self.sent - self.verifier.counters.received();
        named.chain([("lost", lost)]).filter(|(_, count)| *count != 0).collect()
    }
}

/// Lowers TTL or hop limit and addresses the frame to the port where it arrives.
fn route(frame: &mut [u8], network: usize, direction: Direction) {
    frame[..6].copy_from_slice(if direction == Direction::Outward { &PORTS[3] } else { &PORTS[0] });
    if frame[network] >> 4 == 4 {
        frame[network + 8] -= 1;
        frame[network + 10..network + 12].fill(0);
        let sum = Sum::default().bytes(&frame[network..network + 20]).checksum();
        frame[network + 10..network + 12].copy_from_slice(&sum.to_be_bytes());
    } else {
        frame[network + 7] -= 1;
    }
}

/// Where the transport header begins.
fn transport(frame: &[u8], network: usize) -> usize {
    network + if frame[network] >> 4 == 4 { 20 } else { 40 }
}

/// Changes a word and corrects the L4 checksum at `sum_at` by the same difference (RFC 1624).
fn change(frame: &mut [u8], at: usize, sum_at: usize, value: u16) {
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (old, sum) = (word(frame, at), word(frame, sum_at));
    let corrected = Sum::default().word(!sum).word(!old).word(value).checksum();
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
    frame[sum_at..sum_at + 2].copy_from_slice(&corrected.to_be_bytes());
}

#[test]
fn a_right_router_shows_nothing_whatever_it_routes() {
    for (protocol, family) in ALL {
        for (sizes, vlan) in
            [("64", None), ("65", Some(100)), ("64:7,571:4,1518", None), ("9216", Some(5))]
        {
            let found = Kinds::new(protocol, family, sizes, vlan).run(|_, _| ());
            assert_eq!(found, [], "{protocol:?} {family:?} {sizes} {vlan:?}");
        }
    }
}

#[test]
fn extreme_checksums_are_right_too() {
    for (protocol, family) in ALL {
        let mut kinds = Kinds::new(protocol, family, "64,65", None);
        kinds.flows.set_edges(true);
        assert_eq!(kinds.run(|_, _| ()), [], "{protocol:?} {family:?}");
    }
}

#[test]
fn a_wrong_checksum_is_bad_l4_csum_in_each_protocol() {
    for (protocol, family) in ALL {
        let sum_at = match protocol {
            Protocol::Icmp => 2,
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
        };
        let mut kinds = Kinds::new(protocol, family, "128", None);
        let found = kinds.run(|frame, network| {
            let at = transport(frame, network) + sum_at;
            frame[at] ^= 1;
        });
        assert_eq!(found, [("bad_l4_csum", 200)], "{protocol:?} {family:?}");
    }
}

#[test]
fn a_hop_limit_off_by_one_and_a_changed_flow_label_are_noticed_in_ipv6() {
    for (at, name) in [(7, "bad_ttl"), (3, "bad_field"), (1, "bad_field")] {
        let mut kinds = Kinds::new(Protocol::Udp, Family::V6, "100", None);
        let found = kinds.run(|frame, network| frame[network + at] ^= 0x10);
        assert_eq!(found, [(name, 200)], "octet {at}");
    }
}

#[test]
fn changed_tcp_numbers_flags_and_windows_are_bad_field() {
    for (at, value) in [(4, 1), (8, 1), (12, 5 << 12 | 0x10 | 0x20), (14, 1000), (18, 7)] {
        for family in [Family::V4, Family::V6] {
            let mut kinds = Kinds::new(Protocol::Tcp, family, "100", None);
            let found = kinds.run(|frame, network| {
                let l4 = transport(frame, network);
                change(frame, l4 + at, l4 + 16, value);
            });
            assert_eq!(found, [("bad_field", 200)], "octet {at} {family:?}");
        }
    }
}

#[test]
fn a_changed_sequence_number_or_type_of_an_echo_is_bad_field() {
    for (at, value) in [(6, 77), (0, 0x0001)] {
        let mut kinds = Kinds::new(Protocol::Icmp, Family::V4, "100", None);
        let found = kinds.run(|frame, network| {
            let l4 = transport(frame, network);
            let kind = u16::from(frame[l4]) << 8;
            change(frame, l4 + at, l4 + 2, value | kind);
        });
        assert_eq!(found, [("bad_field", 200)], "octet {at}");
    }
}

#[test]
fn another_identifier_is_a_new_source_outward_and_a_wrong_flow_inward() {
    let mut kinds = Kinds::new(Protocol::Icmp, Family::V4, "100", None);
    let found = kinds.run(|frame, network| {
        let l4 = transport(frame, network);
        change(frame, l4 + 4, l4 + 2, 7);
    });
    assert_eq!(found, [("bad_src_pool", 100), ("wrong_flow", 100)]);
}

#[test]
fn a_frame_without_its_tag_is_foreign_in_a_vlan_and_lost() {
    let mut kinds = Kinds::new(Protocol::Udp, Family::V4, "64", Some(100));
    let found = kinds.run(|frame, _| _ = frame.drain(12..16));
    assert_eq!(found, [("foreign", 200), ("lost", 200)]);
    let mut kinds = Kinds::new(Protocol::Udp, Family::V4, "64", Some(100));
    let found = kinds.run(|frame, _| frame[15] = 101);
    assert_eq!(found, [("foreign", 200), ("lost", 200)]);
}

#[test]
fn what_must_be_refused_and_arrives_is_a_leak() {
    let mut kinds = Kinds::new(Protocol::Tcp, Family::V6, "64", None);
    let mut stream = kinds.flows.streams()[0].clone();
    stream.expect = crate::flow::Expect::Drop;
    kinds.flows = Flows::new(vec![stream]);
    kinds.flows.learn_untranslated();
    assert_eq!(kinds.run(|_, _| ()), [("leak", 2000), ("lost", 2000)]);
}

#[test]
fn a_frame_with_a_lying_length_is_bad_len_in_each_protocol() {
    for (protocol, family) in ALL.into_iter().filter(|(_, family)| *family == Family::V6) {
        let mut kinds = Kinds::new(protocol, family, "100", None);
        let found = kinds.run(|frame, network| frame[network + 5] -= 1);
        let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"bad_len"), "{protocol:?}: {found:?}");
    }
}

#[test]
fn the_first_sixteen_offenders_are_kept_with_their_reasons() {
    let mut kinds = Kinds::new(Protocol::Udp, Family::V4, "64", None);
    kinds.run(|frame, network| frame[network + 10] ^= 1);
    let kept = kinds.verifier.offenders.list();
    assert_eq!(kept.len(), Offenders::MOST);
    assert!(kept.iter().all(|offender| offender.reasons == ["bad_ip_csum"]));
    assert_eq!((kept[0].direction, kept[1].direction), (Direction::Outward, Direction::Inward));
}
