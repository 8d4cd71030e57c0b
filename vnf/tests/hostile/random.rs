//! Frames out of a random generator with a fixed seed; `VNF_HOSTILE_FRAMES` asks for more of them, `VNF_HOSTILE_SEED` for
//! others.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

use crate::broken::repair;
use crate::common::*;
use crate::samples::{check_live, config, samples, vnf};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn generator() -> SmallRng {
    SmallRng::seed_from_u64(number("VNF_HOSTILE_SEED", 0x5eed))
}

fn frames() -> u64 {
    number("VNF_HOSTILE_FRAMES", 12_000)
}

#[test]
fn random_octets_are_counted() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        let mut random = generator();
        let heads: Vec<_> = samples(&vnf, external).into_iter().map(|(_, p, f)| (p, f)).collect();
        for at in 0..frames() {
            let mut frame = vec![0; random.random_range(0..200)];
            random.fill_bytes(&mut frame);
            let (port, head) = heads.choose(&mut random).expect("samples");
            // A right beginning of some length leads further in.
            let right = [0, 6, 12, 14, 15, 24, 34, 42].choose(&mut random).copied().unwrap_or(0);
            let right = right.min(head.len()).min(frame.len());
            frame[..right].copy_from_slice(&head[..right]);
            if random.random() {
                repair(&mut frame);
            }
            give(&mut vnf, port, &frame, at);
        }
        check_live(&mut vnf, external);
    });
}

#[test]
fn mutated_frames_are_counted() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        let mut random = generator();
        let seeds: Vec<_> = samples(&vnf, external).into_iter().map(|(_, p, f)| (p, f)).collect();
        for at in 0..frames() {
            let (port, seed) = seeds.choose(&mut random).expect("samples");
            let (_, other) = seeds.choose(&mut random).expect("samples");
            let mut frame = seed.clone();
            for _ in 0..random.random_range(1..4) {
                mutate(&mut frame, other, &mut random);
            }
            if random.random() {
                repair(&mut frame);
            }
            // Half of them come in by the other port.
            let port = if random.random() { port } else { ["lan", "wan"][at as usize % 2] };
            give(&mut vnf, port, &frame, at);
            if at % 1000 == 999 {
                vnf.advance(seconds(random.random_range(0..400)));
                vnf.reload(config());
                vnf.discard();
                // The live flow may have timed out, and a forged FIN of its own may not have hurt it.
                vnf.send("lan", &crate::samples::live());
            }
        }
        vnf.advance(seconds(8000));
        vnf.discard();
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.hosts()), (0, 0, 0), "everything drains");
        assert_eq!(vnf.resting(), 0);
    });
}

fn give(vnf: &mut Harness, port: &str, frame: &[u8], at: u64) {
    let cut = (at % 97) as usize + 1;
    let segments: &[usize] = if at.is_multiple_of(5) && cut < frame.len() { &[cut] } else { &[] };
    vnf.inject(port, frame, segments);
    if at % 40 == 39 {
        vnf.settle();
        vnf.discard();
        vnf.events.clear();
    }
}

fn mutate(frame: &mut Vec<u8>, other: &[u8], random: &mut SmallRng) {
    if frame.is_empty() {
        return;
    }
    let at = random.random_range(0..frame.len());
    match random.random_range(0..7) {
        0 => frame[at] ^= 1 << random.random_range(0..8),
        1 => frame[at] = random.random(),
        2 => frame[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(random).expect("values"),
        3 => frame.truncate(at),
        4 => {
            let end = (at + random.random_range(0..20)).min(frame.len());
            let piece = frame[at..end].to_vec();
            frame.splice(at..at, piece);
        }
        5 => {
            let from = at.min(other.len());
            frame.truncate(at);
            frame.extend(&other[from..]);
        }
        _ => {
            let end = (at + random.random_range(0..20)).min(frame.len());
            frame.drain(at..end);
        }
    }
}
