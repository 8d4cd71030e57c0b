//! A deliberately broken translator in plain Rust: each damage shows in exactly its counter.

mod kinds;

use super::*;
use crate::checksum::Sum;
use crate::endpoint::Endpoint;
use crate::flow::{Kind, Plan, Pool, Protocol, Sizes, Stream};
use crate::transmit::{Composer, Route};

const PORTS: [Mac; 4] =
    [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]];
/// Inside port 0, the path's ports 1 and 2, outside port 3.
const ROUTES: [Route; 2] = [
    Route { source: PORTS[0], next_hops: [PORTS[1]; 2], vlan: None },
    Route { source: PORTS[3], next_hops: [PORTS[2]; 2], vlan: None },
];
const POOL: [u8; 4] = [203, 0, 113, 1];
const FLOWS: u32 = 10;

struct Rig {
    flows: Flows,
    composer: Composer,
    verifier: Verifier,
    size: usize,
    sent: u64,
}

impl Rig {
    fn new(size: usize) -> Self {
        let key = Key::new(7, 0);
        let expectation = Expectation {
            hops: 1,
            pool: vec!["203.0.113.0/28".parse().unwrap()],
            macs: [PORTS[3], PORTS[0]],
            vlans: [None; 2],
        };
        let mut rig = Self {
            flows: flows(size),
            composer: Composer::new(ROUTES, key),
            verifier: Verifier::new(expectation, 1, key),
            size,
            sent: 0,
        };
        rig.outward(FLOWS, |_, frame| vec![frame]);
        assert_eq!(rig.flows.learned(), FLOWS as usize);
        assert_eq!(rig.found(), []);
        rig
    }

    /// Sends through a right translation and then through `damage`.
    fn outward(&mut self, count: u32, damage: impl FnMut(u32, Vec<u8>) -> Vec<Vec<u8>>) {
        self.send(Direction::Outward, count, damage);
    }

    fn inward(&mut self, count: u32, damage: impl FnMut(u32, Vec<u8>) -> Vec<Vec<u8>>) {
        self.send(Direction::Inward, count, damage);
    }

    fn send(
        &mut self,
        direction: Direction,
        count: u32,
        mut damage: impl FnMut(u32, Vec<u8>) -> Vec<Vec<u8>>,
    ) {
        let mut frame = vec![0; self.size - 4];
        for k in 0..count {
            let (index, now) = (k % FLOWS, 1_000_000 + u64::from(k) * 100);
            assert!(self.composer.write(
                &mut self.flows,
                index,
                direction,
                Kind::Data,
                now,
                &mut frame
            ));
            self.sent += 1;
            let inside = self.flows.inside(index);
            let mut frame = frame.clone();
            translate(&mut frame, direction, index, inside);
            for frame in damage(k, frame) {
                self.arrive(direction, &frame, now + 5000);
            }
        }
    }

    fn arrive(&mut self, direction: Direction, frame: &[u8], now: u64) -> Arrival {
        let arrival = self.verifier.inspect(&mut self.flows, direction, frame, now, |_| true);
        assert!(self.verifier.counters.balance(), "{:?}", self.verifier.counters);
        arrival
    }

    /// The counters that are not 0, and the loss.
    fn found(&self) -> Vec<(&'static str, u64)> {
        let named = self.verifier.counters.defects.named().into_iter();
        let lost = self.sent - self.verifier.counters.received();
        named.chain([("lost", lost)]).filter(|(_, count)| *count != 0).collect()
    }
}

fn flows(size: usize) -> Flows {
    let remote = Address::v4(0xc633_6402);
    let pool = Pool::for_flows(FLOWS, "10.0.0.2/24".parse().unwrap(), None, &[remote]);
    let plan = Plan::new(FLOWS, pool, 7).unwrap();
    let sizes = Sizes::one(size).unwrap();
    Flows::new(vec![Stream::new("test", Protocol::Udp, Family::V4, sizes, plan, true)])
}

/// What a NAT44 does: rewrites the inside endpoint, lowers TTL, and puts its own hardware addresses in.
fn translate(frame: &mut [u8], direction: Direction, index: u32, inside: Endpoint) {
    let (mac, address, at_address, at_port, port) = match direction {
        Direction::Inward => (PORTS[0], inside.address.low().to_be_bytes(), 30, 36, inside.port),
        Direction::Outward => (PORTS[3], POOL, 26, 34, 1024 + index as u16),
    };
    frame[..6].copy_from_slice(&mac);
    frame[22] -= 1;
    frame[at_address..at_address + 4].copy_from_slice(&address);
    frame[at_port..at_port + 2].copy_from_slice(&port.to_be_bytes());
    reseal(frame);
}

/// Makes both checksums right for whatever the frame now says.
fn reseal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = Sum::default().bytes(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[40..42].fill(0);
    let len = u16::from_be_bytes([frame[38], frame[39]]);
    let sum = Sum::default().pseudo_header_v4(&frame[26..34], 17, len);
    let sum = sum.bytes(&frame[34..34 + usize::from(len)]).udp_checksum();
    frame[40..42].copy_from_slice(&sum.to_be_bytes());
}

/// Runs every tenth of 1000 frames of both directions through a damage; returns what was found.
fn every_tenth(size: usize, damage: impl Fn(&mut Vec<u8>) + Copy) -> [Vec<(&'static str, u64)>; 2] {
    Direction::BOTH.map(|direction| {
        let mut rig = Rig::new(size);
        rig.send(direction, 1000, |k, mut frame| {
            if k % 10 == 3 {
                damage(&mut frame);
            }
            vec![frame]
        });
        rig.found()
    })
}

fn both(found: &[(&'static str, u64)]) -> [Vec<(&'static str, u64)>; 2] {
    [found.to_vec(), found.to_vec()]
}

#[test]
fn a_right_path_shows_nothing() {
    for size in [64, 65, 66, 67, 128, 570, 1518, 9216] {
        assert_eq!(every_tenth(size, |_| ()), both(&[]), "size {size}");
    }
}

#[test]
fn latency_is_recorded_for_every_frame() {
    let mut rig = Rig::new(64);
    rig.outward(1000, |_, frame| vec![frame]);
    rig.inward(1000, |_, frame| vec![frame]);
    let counted = rig.verifier.latency.count();
    assert_eq!((counted, counted), (rig.verifier.counters.received(), rig.sent));
    let quantiles = rig.verifier.latency.quantiles();
    // A stamp is exact to 16 ns, the histogram to a thousandth.
    assert!(quantiles.min >= 4984 && quantiles.max <= 5021, "{quantiles:?}");
}

#[test]
fn intended_latency_counts_from_the_due_time() {
    let mut rig = Rig::new(64);
    let key = Key::new(7, 1);
    rig.flows.restart();
    rig.verifier.restart(key);
    rig.composer = Composer::new(ROUTES, key);
    // Due every 100 ns from 990_000; sent 10 µs late, on the way for 5 µs.
    let pacer = Pacer::new(990_000, 1_000_000, Some(crate::rate::Rate::per_second(1e7)));
    rig.verifier.follow(0, Direction::Outward, pacer);
    rig.outward(100, |_, frame| vec![frame]);
    let quantiles = rig.verifier.intended.quantiles();
    assert_eq!(rig.verifier.intended.count(), 100);
    assert!(quantiles.min >= 14_980 && quantiles.max <= 15_020, "{quantiles:?}");
}

#[test]
fn a_dropped_frame_is_lost() {
    let mut rig = Rig::new(64);
    rig.outward(10_000, |k, frame| if k % 1000 == 0 { vec![] } else { vec![frame] });
    assert_eq!(rig.found(), [("lost", 10)]);
}

#[test]
fn a_duplicate_is_dup() {
    let mut rig = Rig::new(64);
    rig.outward(
        1000,
        |k, frame| if k % 100 == 0 { vec![frame.clone(), frame] } else { vec![frame] },
    );
    assert_eq!(rig.found(), [("dup", 10)]);
}

#[test]
fn a_frame_overtaken_by_its_successor_is_reorder() {
    let mut rig = Rig::new(64);
    let mut held = None;
    rig.inward(1000, |k, frame| match k {
        503 => {
            held = Some(frame);
            vec![]
        }
        513 => vec![frame, held.take().unwrap()],
        _ => vec![frame],
    });
    assert_eq!(rig.found(), [("reorder", 1)]);
}

#[test]
fn a_wrong_header_checksum_is_bad_ip_csum() {
    assert_eq!(every_tenth(64, |frame| frame[24] ^= 1), both(&[("bad_ip_csum", 100)]));
}

#[test]
fn a_wrong_udp_checksum_is_bad_l4_csum() {
    assert_eq!(every_tenth(64, |frame| frame[41] ^= 1), both(&[("bad_l4_csum", 100)]));
    assert_eq!(every_tenth(64, |frame| frame[40..42].fill(0)), both(&[("bad_l4_csum", 100)]));
}

#[test]
fn a_corrupt_octet_is_bad_l4_csum_and_with_the_checksum_repaired_bad_payload() {
    // In the pattern: the frame is still known.
    assert_eq!(every_tenth(128, |frame| frame[60] ^= 1), both(&[("bad_l4_csum", 100)]));
    let repaired = |frame: &mut Vec<u8>| {
        frame[60] ^= 1;
        reseal(frame);
    };
    assert_eq!(every_tenth(128, repaired), both(&[("bad_payload", 100)]));
    // In the trailer's sequence number: ours by its addresses only, so lost besides.
    let lost = ("lost", 100);
    assert_eq!(every_tenth(64, |frame| frame[50] ^= 1), both(&[("bad_l4_csum", 100), lost]));
    let repaired = |frame: &mut Vec<u8>| {
        frame[50] ^= 1;
        reseal(frame);
    };
    assert_eq!(every_tenth(64, repaired), both(&[("bad_payload", 100), lost]));
    // In the half of the tag that tells runs apart.
    assert_eq!(every_tenth(64, |frame| frame[45] ^= 1), both(&[("bad_l4_csum", 100), lost]));
}

#[test]
fn swapped_words_keep_the_checksum_and_are_bad_payload() {
    assert_eq!(every_tenth(128, |frame| frame.swap(60, 62)), both(&[("bad_payload", 100)]));
}

#[test]
fn a_length_that_lies_is_bad_len() {
    let longer = |frame: &mut Vec<u8>| {
        frame.extend([0; 4]);
        frame[17] += 4;
        reseal(frame);
    };
    assert_eq!(every_tenth(64, longer), both(&[("bad_len", 100)]));
    let lying = |frame: &mut Vec<u8>| {
        frame[39] -= 1;
        reseal(frame);
    };
    assert_eq!(every_tenth(64, lying), both(&[("bad_len", 100), ("lost", 100)]));
    let cut = |frame: &mut Vec<u8>| frame.truncate(50);
    assert_eq!(every_tenth(64, cut), both(&[("bad_len", 100), ("lost", 100)]));
}

#[test]
fn trailing_padding_is_no_defect() {
    assert_eq!(every_tenth(64, |frame| frame.extend([0xee; 9])), both(&[]));
}

#[test]
fn a_ttl_off_by_one_is_bad_ttl() {
    for by in [1_i8, -1] {
        let damage = |frame: &mut Vec<u8>| {
            frame[22] = frame[22].wrapping_add_signed(by);
            reseal(frame);
        };
        assert_eq!(every_tenth(64, damage), both(&[("bad_ttl", 100)]));
    }
}

#[test]
fn changed_header_fields_are_bad_field() {
    // DSCP cleared, identification changed, DF cleared.
    for (at, value) in [(15, 0), (18, 0x77), (20, 0)] {
        let damage = |frame: &mut Vec<u8>| {
            assert_ne!(frame[at], value);
            frame[at] = value;
            reseal(frame);
        };
        assert_eq!(every_tenth(64, damage), both(&[("bad_field", 100)]), "octet {at}");
    }
}

#[test]
fn an_added_option_is_bad_field() {
    let damage = |frame: &mut Vec<u8>| {
        frame.splice(34..34, [1, 1, 1, 0]);
        frame[14] += 1;
        frame[17] += 4;
        frame[24..26].fill(0);
        let sum = Sum::default().bytes(&frame[14..38]).checksum();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    };
    assert_eq!(every_tenth(64, damage), both(&[("bad_field", 100)]));
}

#[test]
fn a_source_outside_the_pool_is_bad_src_pool() {
    let damage = |frame: &mut Vec<u8>| {
        frame[28] = 7;
        reseal(frame);
    };
    assert_eq!(every_tenth(64, damage), both(&[("bad_src_pool", 100)]));
}

#[test]
fn a_changed_destination_is_bad_dst_outside_and_wrong_flow_inside() {
    let damage = |frame: &mut Vec<u8>| {
        frame[33] ^= 0x40;
        reseal(frame);
    };
    assert_eq!(every_tenth(64, damage), [vec![("bad_dst", 100)], vec![("wrong_flow", 100)]]);
}

#[test]
fn a_new_external_port_in_mid_flow_is_one_remap() {
    let mut rig = Rig::new(64);
    rig.outward(1000, |k, mut frame| {
        if k >= 500 && k % FLOWS == 3 {
            frame[34] = 0x99;
            reseal(&mut frame);
        }
        vec![frame]
    });
    assert_eq!(rig.found(), [("remap", 1)]);
}

#[test]
fn one_external_endpoint_for_two_flows_is_one_clash() {
    let mut rig = Rig::new(64);
    rig.flows = flows(64);
    rig.outward(1000, |k, mut frame| {
        if k % FLOWS == 3 {
            frame[34..36].copy_from_slice(&1024_u16.to_be_bytes());
            reseal(&mut frame);
        }
        vec![frame]
    });
    // The first ten were the sequence numbers of the rig's own learning.
    let found = rig.found();
    assert_eq!(found.iter().find(|(name, _)| *name == "clash"), Some(&("clash", 1)));
}

#[test]
fn an_inside_address_outside_is_untranslated() {
    let mut rig = Rig::new(64);
    let inside = rig.flows.inside(3);
    rig.outward(1000, |k, mut frame| {
        if k % FLOWS == 3 {
            frame[26..30].copy_from_slice(&inside.address.low().to_be_bytes());
            frame[34..36].copy_from_slice(&inside.port.to_be_bytes());
            reseal(&mut frame);
        }
        vec![frame]
    });
    assert_eq!(rig.found(), [("untranslated", 100)]);
}

#[test]
fn a_frame_at_the_port_it_was_sent_from_is_a_leak() {
    let mut rig = Rig::new(64);
    let mut frame = [0; 60];
    rig.composer.write(&mut rig.flows, 0, Direction::Outward, Kind::Data, 0, &mut frame);
    frame[..6].copy_from_slice(&PORTS[0]);
    rig.arrive(Direction::Inward, &frame, 0);
    assert_eq!(rig.found(), [("leak", 1)]);
}

#[test]
fn frames_of_an_earlier_phase_are_late_and_of_another_run_other_run() {
    let mut rig = Rig::new(64);
    let mut kept = Vec::new();
    rig.outward(10, |_, frame| {
        kept.push(frame);
        vec![]
    });
    rig.verifier.restart(Key::new(7, 1));
    kept.iter().for_each(|frame| _ = rig.arrive(Direction::Outward, frame, 0));
    assert_eq!(rig.verifier.counters.defects.late, 10);
    let mut other = Rig::new(64);
    other.verifier = Verifier::new(rig.verifier.expectation.clone(), 1, Key::new(8, 0));
    kept.iter().for_each(|frame| _ = other.arrive(Direction::Outward, frame, 0));
    assert_eq!(other.verifier.counters.defects.other_run, 10);
    assert!(other.verifier.counters.defects.are_none(), "strangers are nobody's defect");
}

#[test]
fn strangers_and_control_frames_are_told_apart() {
    let mut rig = Rig::new(64);
    let stranger =
        crate::frame::Frame::udp(([192, 0, 2, 1], 53).into(), ([198, 51, 100, 2], 7).into());
    let stranger = stranger.macs(PORTS[2], PORTS[3]);
    assert_eq!(
        rig.arrive(Direction::Outward, &stranger.clone().sized(64).build(), 0),
        Arrival::Strange
    );
    let other_mac = stranger.macs(PORTS[2], PORTS[2]).build();
    assert_eq!(rig.arrive(Direction::Outward, &other_mac, 0), Arrival::Strange);
    let ping = crate::frame::Frame::echo([192, 0, 2, 1].into(), [198, 51, 100, 2].into(), 1, 1);
    assert_eq!(
        rig.arrive(Direction::Outward, &ping.macs(PORTS[2], PORTS[3]).build(), 0),
        Arrival::Control
    );
    let mut arp = vec![0xff; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(rig.arrive(Direction::Outward, &arp, 0), Arrival::Control);
    assert_eq!(rig.verifier.counters.control, 2);
    assert_eq!(rig.verifier.counters.defects.foreign, 2);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_counted_once_and_never_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        at in 0..60_usize, value: u8, len in 0..80_usize,
    ) {
        let mut rig = Rig::new(64);
        rig.arrive(Direction::Outward, &bytes, 0);
        let mut frame = [0; 60];
        rig.composer.write(&mut rig.flows, 1, Direction::Outward, Kind::Data, 0, &mut frame);
        let inside = rig.flows.inside(1);
        translate(&mut frame, Direction::Outward, 1, inside);
        frame[at] = value;
        let mut frame = frame.to_vec();
        frame.resize(len, 0);
        rig.arrive(Direction::Outward, &frame, 0);
    }
}
