//! A damaged middlebox between two ports (pktgen.md section 4.6): each damage shows in exactly its counter, with the
//! exact number.

mod middlebox;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use middlebox::world::{MACS, World, stream};
use middlebox::{Nat, packet};
use pktgen::engine::{Engine, Live, Stage};
use pktgen::flow::{Direction, Expect, Protocol, Share};
use pktgen::measure::{Bench, Course, Drain, Outcome, Trial};
use pktgen::probe::Place;
use pktgen::rate::Rate;
use pktgen::transmit::Spacing;

const FLOWS: u32 = 100;
const PPS: u64 = 20_000;
/// Frames of one direction, a quarter of a second's, and of both.
const EACH: u64 = PPS / 4;
const FRAMES: u64 = 2 * EACH;
const PROTOCOLS: [Protocol; 3] = [Protocol::Udp, Protocol::Tcp, Protocol::Icmp];

/// A translated frame on its way out: its number in the trial from 1, the port it leaves by, its octets. What comes out
/// leaves after so many nanoseconds.
type Damage = Box<dyn FnMut(u64, Place, Vec<u8>) -> Vec<(u64, Vec<u8>)>>;

fn whole(frame: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
    vec![(0, frame)]
}

/// Measures both directions of flows through a NAT that is sound until the trial begins.
fn run(protocol: Protocol, flows: u32, damage: Damage) -> Outcome {
    run_from(Stage::Measuring, protocol, flows, damage)
}

/// The same with a NAT that is sound until this stage.
fn run_from(stage: Stage, protocol: Protocol, flows: u32, mut damage: Damage) -> Outcome {
    let mut nat = Nat::new(MACS);
    let mut number = 0;
    let live = Arc::new(Live::default());
    let watched = live.clone();
    let path = Box::new(move |now: u64, at: Place, frame: Vec<u8>| {
        let is_damaged = frame[12..14] == [8, 0] && watched.glance().stage as u8 >= stage as u8;
        let made = nat.carry(now, at, frame).into_iter();
        let damaged = made.flat_map(|(to, frame)| {
            number += u64::from(is_damaged);
            let made = if is_damaged { damage(number, to, frame) } else { whole(frame) };
            made.into_iter().map(move |(delay, frame)| (now + delay, to, frame))
        });
        damaged.collect()
    });
    measure(path, live, protocol, flows)
}

fn measure(
    path: middlebox::world::Path,
    live: Arc<Live>,
    protocol: Protocol,
    flows: u32,
) -> Outcome {
    let (world, mut engine) = World::watched(path, vec![stream(protocol, flows)], live);
    let course = Course {
        rate: Some(Rate::per_second(PPS as f64)),
        spacing: Spacing::Even,
        duration: 250_000_000,
        directions: Direction::BOTH.to_vec(),
        learn: true,
    };
    course.run(&mut bench(&mut engine, &world)).expect("gateways answer")
}

/// Nothing is under way for long here.
fn bench<'a>(engine: &'a mut Engine, world: &'a World) -> Bench<'a, World> {
    let drain = Drain { least: 20_000_000, quiet: 20_000_000 };
    Bench { drain, ..Bench::new(engine, world) }
}

fn trial(outcome: &Outcome) -> &Trial {
    outcome.trial.as_ref().expect("a trial")
}

/// The counters that are not 0, and the loss.
fn found(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let trial = trial(outcome);
    assert!(trial.counters.balance(), "{:?}", trial.counters);
    assert_eq!(trial.sum(|way| way.intended), FRAMES);
    assert_eq!(trial.sum(|way| way.sent), FRAMES);
    let warm_up = outcome.warm_up.expect("a warm-up").defects;
    assert!(warm_up.are_none(), "before the damage: {warm_up:?}");
    let lost = ("lost", trial.sum(|way| way.lost));
    let named = trial.counters.defects.named().into_iter().chain([lost]);
    named.filter(|(_, count)| *count > 0).collect()
}

/// Every `nth` frame through a damage, for each protocol: what was found, which is the same for all.
fn every(nth: u64, damage: fn(Protocol, &mut Vec<u8>)) -> Vec<(&'static str, u64)> {
    let [first, second, third] = PROTOCOLS.map(|protocol| {
        let outcome = run(
            protocol,
            FLOWS,
            Box::new(move |number, _, mut frame| {
                if number % nth == 0 {
                    damage(protocol, &mut frame);
                }
                whole(frame)
            }),
        );
        found(&outcome)
    });
    assert_eq!((&first, &first), (&second, &third), "UDP, TCP, ICMP");
    first
}

/// Where the protocol's checksum lies.
fn checksum_at(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Icmp => 36,
        Protocol::Tcp => 50,
        Protocol::Udp => 40,
    }
}

#[test]
fn a_sound_middlebox_shows_nothing() {
    assert_eq!(every(1, |_, _| ()), []);
}

#[test]
fn one_frame_of_a_thousand_dropped_is_lost() {
    for protocol in PROTOCOLS {
        let damage: Damage =
            Box::new(|number, _, frame| if number % 1000 == 0 { vec![] } else { whole(frame) });
        assert_eq!(found(&run(protocol, FLOWS, damage)), [("lost", FRAMES / 1000)]);
    }
}

#[test]
fn a_duplicated_frame_is_dup() {
    let damage: Damage = Box::new(|number, _, frame| match number % 1000 {
        0 => [whole(frame.clone()), whole(frame)].concat(),
        _ => whole(frame),
    });
    assert_eq!(found(&run(Protocol::Udp, FLOWS, damage)), [("dup", FRAMES / 1000)]);
}

#[test]
fn swapped_neighbours_are_reorder() {
    // One flow, so that neighbours are of one flow; of each direction every thousandth is held for the next.
    let mut held: [Option<Vec<u8>>; 2] = [None, None];
    let mut count = [0_u64; 2];
    let damage: Damage = Box::new(move |_, to, frame| {
        count[to as usize] += 1;
        match held[to as usize].take() {
            Some(earlier) => [whole(frame), whole(earlier)].concat(),
            None if count[to as usize] % 1000 == 0 && count[to as usize] < EACH => {
                held[to as usize] = Some(frame);
                vec![]
            }
            None => whole(frame),
        }
    });
    // The last thousandth of each direction has no next.
    assert_eq!(found(&run(Protocol::Udp, 1, damage)), [("reorder", 2 * (EACH / 1000 - 1))]);
}

#[test]
fn a_millisecond_of_delay_is_seen_in_the_latency_of_exactly_those_frames() {
    let damage: Damage = Box::new(|number, _, frame| match number % 1000 {
        0 => vec![(1_000_000, frame)],
        _ => whole(frame),
    });
    let outcome = run(Protocol::Udp, FLOWS, damage);
    // 100 flows have 5 ms between two of their frames: none overtakes another.
    assert_eq!(found(&outcome), []);
    let slow = trial(&outcome).latency.pairs().into_iter().filter(|(ns, _)| *ns >= 999_000);
    let slow: Vec<_> = slow.collect();
    assert_eq!(slow.iter().map(|(_, count)| count).sum::<u64>(), FRAMES / 1000);
    assert!(slow.iter().all(|(ns, _)| *ns < 1_200_000), "{slow:?}");
    assert!(trial(&outcome).latency.quantiles().p99 < 200_000);
}

#[test]
fn a_corrupt_octet_and_a_wrong_checksum_are_bad_l4_csum() {
    let expected = [("bad_l4_csum", FRAMES / 100)];
    let corrupt = |protocol, frame: &mut Vec<u8>| {
        frame[if protocol == Protocol::Tcp { 55 } else { 44 }] ^= 0x20;
    };
    assert_eq!(every(100, corrupt), expected);
    let wrong = |protocol, frame: &mut Vec<u8>| frame[checksum_at(protocol)] ^= 1;
    assert_eq!(every(100, wrong), expected);
}

#[test]
fn a_udp_checksum_of_zero_is_bad_l4_csum() {
    let damage: Damage = Box::new(|number, _, mut frame| {
        if number % 100 == 0 {
            frame[40..42].fill(0);
        }
        whole(frame)
    });
    assert_eq!(found(&run(Protocol::Udp, FLOWS, damage)), [("bad_l4_csum", FRAMES / 100)]);
}

#[test]
fn an_icmp_checksum_that_was_not_adjusted_is_bad_l4_csum() {
    // The identifier is translated, and the checksum is that of an identifier of 0x1234.
    let damage: Damage = Box::new(|number, _, mut frame| {
        if number % 100 == 0 {
            let identifier = [frame[38], frame[39]];
            frame[38..40].copy_from_slice(&[0x12, 0x34]);
            packet::seal(&mut frame);
            frame[38..40].copy_from_slice(&identifier);
        }
        whole(frame)
    });
    assert_eq!(found(&run(Protocol::Icmp, FLOWS, damage)), [("bad_l4_csum", FRAMES / 100)]);
}

#[test]
fn a_wrong_header_checksum_is_bad_ip_csum() {
    assert_eq!(every(100, |_, frame| frame[24] ^= 1), [("bad_ip_csum", FRAMES / 100)]);
}

#[test]
fn a_ttl_unchanged_or_lowered_twice_is_bad_ttl() {
    let expected = [("bad_ttl", FRAMES / 100)];
    let unchanged = |_, frame: &mut Vec<u8>| {
        frame[22] += 1;
        packet::seal(frame);
    };
    assert_eq!(every(100, unchanged), expected);
    let twice = |_, frame: &mut Vec<u8>| {
        frame[22] -= 1;
        packet::seal(frame);
    };
    assert_eq!(every(100, twice), expected);
}

#[test]
fn a_cleared_dscp_is_bad_field() {
    let cleared = |_, frame: &mut Vec<u8>| {
        frame[15] = 0;
        packet::seal(frame);
    };
    assert_eq!(every(100, cleared), [("bad_field", FRAMES / 100)]);
}

#[test]
fn a_source_of_nobodys_pool_is_bad_src_pool() {
    let damage: Damage = Box::new(|number, to, mut frame| {
        if number % 100 == 0 && to == Place::Outside {
            frame[26..30].copy_from_slice(&[192, 0, 2, 1]);
            packet::seal(&mut frame);
        }
        whole(frame)
    });
    let found = found(&run(Protocol::Udp, FLOWS, damage));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "bad_src_pool");
}

#[test]
fn an_external_port_that_changes_in_mid_flow_is_one_remap() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        // From the 2000th frame on the flow of the first one has another port, outward.
        let flow = Rc::new(RefCell::new(None));
        let damage: Damage = Box::new(move |number, to, mut frame| {
            if to == Place::Outside {
                let port = [frame[34], frame[35]];
                let own = *flow.borrow_mut().get_or_insert(port);
                if own == port && number >= 2000 {
                    // No flow of the random ones has a port below 1024.
                    frame[34..36].copy_from_slice(&[0, 99]);
                    packet::seal(&mut frame);
                }
            }
            whole(frame)
        });
        let found = found(&run(protocol, FLOWS, damage));
        assert_eq!(found.first(), Some(&("remap", 1)), "{found:?}");
        // What comes back to a port that the translator does not have is lost.
        assert!(found.iter().all(|(name, _)| matches!(*name, "remap" | "lost")), "{found:?}");
    }
}

#[test]
fn one_port_for_two_flows_is_one_clash() {
    // From the first frame on, flow 1 has the port of flow 0; the frames of the learning phase come in that order.
    let mut ports: Vec<[u8; 2]> = Vec::new();
    let damage: Damage = Box::new(move |number, to, mut frame| {
        if number <= 2 {
            ports.push([frame[34], frame[35]]);
        }
        if to == Place::Outside && ports.len() == 2 && frame[34..36] == ports[1] {
            frame[34..36].copy_from_slice(&ports[0]);
            packet::seal(&mut frame);
        }
        whole(frame)
    });
    let outcome = run_from(Stage::Learning, Protocol::Udp, FLOWS, damage);
    let learning = outcome.learning.expect("learned").counters.defects;
    assert_eq!(learning.clash, 1);
    let others = learning.named().into_iter().filter(|(name, _)| *name != "clash");
    assert_eq!(others.map(|(_, count)| count).sum::<u64>(), 0, "{learning:?}");
}

#[test]
fn a_frame_for_another_host_is_wrong_flow_inside_and_bad_dst_outside() {
    for (place, name) in [(Place::Inside, "wrong_flow"), (Place::Outside, "bad_dst")] {
        let mut count = 0;
        let damage: Damage = Box::new(move |_, to, mut frame| {
            count += u64::from(to == place);
            if to == place && count % 100 == 0 {
                frame[33] ^= 0x80;
                packet::seal(&mut frame);
            }
            whole(frame)
        });
        assert_eq!(found(&run(Protocol::Udp, FLOWS, damage)), [(name, EACH / 100)]);
    }
}

#[test]
fn a_frame_that_leaves_as_it_came_is_untranslated() {
    let mut nat = Nat::new(MACS);
    let mut number = 0;
    let live = Arc::new(Live::default());
    let watched = live.clone();
    let path = Box::new(move |now: u64, at: Place, frame: Vec<u8>| {
        let is_measured = watched.glance().stage == Stage::Measuring;
        let is_outward = at == Place::Inside && frame[12..14] == [8, 0];
        number += u64::from(is_measured && is_outward);
        if is_measured && is_outward && number % 100 == 0 {
            let mut leaked = frame;
            leaked[..6].copy_from_slice(&MACS[1]);
            leaked[22] -= 1;
            packet::seal(&mut leaked);
            return vec![(now, Place::Outside, leaked)];
        }
        nat.carry(now, at, frame).into_iter().map(|(to, frame)| (now, to, frame)).collect()
    });
    let found = found(&measure(path, live, Protocol::Udp, FLOWS));
    assert_eq!(found, [("untranslated", EACH / 100)]);
}

#[test]
fn what_must_be_refused_and_arrives_is_a_leak() {
    let mut refused = stream(Protocol::Udp, 10);
    (refused.name, refused.expect) = ("refused".to_owned(), Expect::Drop);
    refused.share = Share::Fixed(1000.0);
    let mut nat = Nat::new(MACS);
    let path = Box::new(move |now: u64, at: Place, frame: Vec<u8>| {
        nat.carry(now, at, frame).into_iter().map(|(to, frame)| (now, to, frame)).collect()
    });
    let (world, mut engine) = World::new(path, vec![stream(Protocol::Tcp, FLOWS), refused]);
    let course = Course {
        rate: Some(Rate::per_second(PPS as f64)),
        spacing: Spacing::Even,
        duration: 250_000_000,
        directions: vec![Direction::Outward],
        learn: true,
    };
    let outcome = course.run(&mut bench(&mut engine, &world)).expect("gateways answer");
    let trial = trial(&outcome);
    assert_eq!((trial.counters.defects.leak, trial.sum(|way| way.lost)), (250, 0));
    assert_eq!(trial.sum(|way| way.received), EACH);
}
