//! Which external ports a NAT chooses: preservation, parity (RFC 4787 section 4.2), randomness (RFC 6056), and how many
//! it has.

mod chi;

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::Serialize;

use super::Ground;
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::probe::{Kind, Place, Prober, Protocol};
use crate::trailer::siphash;
pub use chi::upper_tail;

/// What is asked.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Question {
    /// The protocol.
    pub protocol: Protocol,
    /// Flows to open.
    pub flows: u32,
    /// Over so many inside hosts.
    pub hosts: usize,
    /// Makes the order of the inside ports.
    pub seed: u64,
    /// Nanoseconds between two.
    pub gap_ns: u64,
}

/// The choice of external ports.
#[derive(Clone, Debug, Serialize)]
pub struct Ports {
    /// What was asked.
    pub question: Question,
    /// Flows that came through.
    pub opened: u64,
    /// How many came through, where not all did: so many external ports there are for these hosts.
    pub exhausted_after: Option<u64>,
    /// Flows by external address.
    pub addresses: BTreeMap<Ipv4Addr, u64>,
    /// Hosts that have more than one external address (RFC 4787 REQ-2).
    pub unpaired_hosts: u64,
    /// Flows whose external port is their own.
    pub preserved: u64,
    /// Flows whose external port is even as their own is, or odd.
    pub parity_kept: u64,
    /// Flows whose external port follows that of the flow before.
    pub successive: u64,
    /// External endpoints that two flows share.
    pub clashes: u64,
    /// Lowest and highest external port.
    pub range: Option<(u16, u16)>,
    /// Whether the ports are spread evenly over their range.
    pub spread: Option<ChiSquare>,
    /// Whether the steps from one port to the next are; those of a counter are not.
    pub steps: Option<ChiSquare>,
}

/// A χ² test against an even distribution.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ChiSquare {
    /// The statistic.
    pub statistic: f64,
    /// Classes less one.
    pub freedom: u32,
    /// The probability that evenly drawn ports are as uneven as these.
    pub p_value: f64,
}

/// Opens the flows and looks at their external endpoints.
pub fn survey<C: Clock>(prober: &mut Prober<'_, C>, ground: &Ground, question: Question) -> Ports {
    let remote = ground.remote(0, 7);
    let hosts = question.hosts.clamp(1, ground.hosts());
    let endpoint = |index: u32| {
        let host = index as usize % hosts;
        let port = port_of(index / hosts as u32, question.seed.wrapping_add(host as u64));
        SocketAddrV4::new(ground.host(host), port)
    };
    let pairs: Vec<_> = (0..question.flows).map(|index| (endpoint(index), remote)).collect();
    let kind = Kind::opening(question.protocol);
    // The tested system looks for its neighbours with the first packet, and may lose those behind it.
    if let Some((first, remote)) = pairs.first() {
        let _ = prober.ask(Place::Inside, kind, *first, *remote);
    }
    let mut found = Vec::with_capacity(pairs.len());
    // In portions: where nothing comes through any more there is no need to ask on.
    for portion in pairs.chunks(PORTION) {
        let externals = prober.open(kind, portion, question.gap_ns);
        let over = externals.iter().all(Option::is_none);
        found.extend(externals);
        if over {
            break;
        }
    }
    Ports::new(question, &pairs, &found)
}

/// The `index`th of the ports from 1024 up, in an order that the seed makes; each comes once.
fn port_of(index: u32, seed: u64) -> u16 {
    // 64 512 = 2^10 · 3^2 · 7: a step that shares none of these reaches every port.
    let mut step = (siphash(seed, 0) % PORTS) | 1;
    while step.is_multiple_of(3) || step.is_multiple_of(7) {
        step += 2;
    }
    let place = (u64::from(index) * step + siphash(seed, 1)) % PORTS;
    (1024 + place) as u16
}

impl Ports {
    fn new(
        question: Question,
        pairs: &[(SocketAddrV4, SocketAddrV4)],
        found: &[Option<SocketAddrV4>],
    ) -> Self {
        let mut ports = Self {
            question,
            opened: 0,
            exhausted_after: None,
            addresses: BTreeMap::new(),
            unpaired_hosts: 0,
            preserved: 0,
            parity_kept: 0,
            successive: 0,
            clashes: 0,
            range: None,
            spread: None,
            steps: None,
        };
        let mut taken = HashSet::new();
        let mut homes: BTreeMap<Ipv4Addr, HashSet<Ipv4Addr>> = BTreeMap::new();
        let mut previous: Option<u16> = None;
        let (mut chosen, mut steps) = (Vec::new(), Vec::new());
        for ((inside, _), external) in pairs.iter().zip(found) {
            let Some(external) = external else { continue };
            ports.opened += 1;
            *ports.addresses.entry(*external.ip()).or_default() += 1;
            homes.entry(*inside.ip()).or_default().insert(*external.ip());
            let port = external.port();
            ports.preserved += u64::from(port == inside.port());
            ports.parity_kept += u64::from((port ^ inside.port()) & 1 == 0);
            ports.clashes += u64::from(!taken.insert(*external));
            if let Some(previous) = previous {
                ports.successive += u64::from(port == previous.wrapping_add(1));
                steps.push(i32::from(port) - i32::from(previous));
            }
            let (low, high) = ports.range.unwrap_or((port, port));
            ports.range = Some((low.min(port), high.max(port)));
            previous = Some(port);
            chosen.push(port);
        }
        ports.exhausted_after = (ports.opened < u64::from(question.flows)).then_some(ports.opened);
        ports.unpaired_hosts = homes.values().filter(|homes| homes.len() > 1).count() as u64;
        if let Some((low, high)) = ports.range {
            let width = u32::from(high - low) + 1;
            ports.spread = ChiSquare::even(chosen.iter().map(|port| u32::from(port - low)), width);
            // Around the range: from the highest port to the lowest is one step.
            let around = |step: &i32| step.rem_euclid(width as i32) as u32;
            let steps = steps.iter().map(around);
            ports.steps = ChiSquare::even(steps, width);
        }
        ports
    }
}

impl ChiSquare {
    /// Tests values below `width` for an even distribution; `None` with too few of them.
    fn even(values: impl Iterator<Item = u32> + Clone, width: u32) -> Option<Self> {
        let count = values.clone().count() as u64;
        let classes = (count / PER_CLASS).min(CLASSES).min(u64::from(width));
        if classes < 2 {
            return None;
        }
        let mut seen = vec![0_u64; classes as usize];
        // A class holds so many of the values that are possible, not always the same number.
        let class = |value: u32| u64::from(value) * classes / u64::from(width);
        values.for_each(|value| seen[class(value) as usize] += 1);
        let first = |class: u64| (class * u64::from(width)).div_ceil(classes);
        let statistic = (0..classes).zip(&seen).map(|(class, seen)| {
            let share = (first(class + 1) - first(class)) as f64 / f64::from(width);
            let expected = share * count as f64;
            (*seen as f64 - expected).powi(2) / expected
        });
        let (statistic, freedom) = (statistic.sum::<f64>(), classes as u32 - 1);
        Some(Self { statistic, freedom, p_value: upper_tail(freedom, statistic) })
    }
}

impl Finding for Ports {
    const NAME: &'static str = "nat-ports";

    fn table(&self) -> Vec<Vec<String>> {
        let share = |count: u64| {
            format!("{count} ({:.1} %)", count as f64 * 100.0 / self.opened.max(1) as f64)
        };
        let test = |test: Option<ChiSquare>| {
            test.map_or("too few flows".to_owned(), |test| {
                format!("χ² {:.1}, {} degrees, p {:.4}", test.statistic, test.freedom, test.p_value)
            })
        };
        let exhausted = self.exhausted_after.map_or("not reached".to_owned(), |n| n.to_string());
        let range = self.range.map_or("-".to_owned(), |(low, high)| format!("{low}-{high}"));
        let asked = self.question;
        let mut rows = vec![
            row([&"flows", &format!("{} of {} {}", self.opened, asked.flows, asked.protocol)]),
            row([&"exhausted after", &exhausted]),
            row([&"ports", &range]),
            row([&"preserved", &share(self.preserved)]),
            row([&"parity kept", &share(self.parity_kept)]),
            row([&"successive", &share(self.successive)]),
            row([&"shared endpoints", &self.clashes]),
            row([&"evenly spread", &test(self.spread)]),
            row([&"even steps", &test(self.steps)]),
            row([&"unpaired hosts", &self.unpaired_hosts]),
        ];
        let addresses = self.addresses.iter();
        rows.extend(addresses.map(|(address, flows)| row([address, &share(*flows)])));
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.opened == 0 {
            faults.push("no flow came through".to_owned());
        }
        if self.clashes > 0 {
            faults.push(format!("{} flows share an external endpoint to one remote", self.clashes));
        }
        faults
    }
}

const PORTS: u64 = 64_512;
const PORTION: usize = 1024;
/// Values expected in a class at least, and classes at most.
const PER_CLASS: u64 = 10;
const CLASSES: u64 = 64;

#[cfg(test)]
mod tests;
