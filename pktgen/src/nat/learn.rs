//! Phase 1 of RFC 9693 by itself: which external endpoints the flows get.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::flow::Direction;
use crate::measure::{Bench, Learning};
use crate::rate::{Rate, Si};

/// What was learned.
#[derive(Clone, Debug, Serialize)]
pub struct Learned {
    /// The phase itself.
    pub learning: Learning,
    /// Flows that have an external endpoint.
    pub flows: u64,
    /// Flows of all.
    pub of: u64,
    /// Seconds that it took.
    pub duration_s: f64,
    /// Flows by external address.
    pub addresses: BTreeMap<IpAddr, u64>,
    /// Inside hosts.
    pub hosts: u64,
    /// Hosts with more than one external address (RFC 4787 REQ-2).
    pub unpaired_hosts: u64,
}

/// Learns every flow.
pub fn learn<C: Clock>(bench: &mut Bench<'_, C>, rate: Option<Rate>) -> Learned {
    let start = bench.clock.now();
    let learning = bench.learn(rate);
    let duration_s = (bench.clock.now() - start) as f64 / 1e9;
    let flows = &bench.engine.flows;
    let mut addresses = BTreeMap::new();
    let mut homes: HashMap<_, HashSet<_>> = HashMap::new();
    for index in 0..flows.len() as u32 {
        let Some(external) = flows.external(index) else { continue };
        if flows.stream_of(index).initiator == Direction::Outward {
            *addresses.entry(external.address.ip()).or_default() += 1;
            homes.entry(flows.inside(index).address).or_default().insert(external.address);
        }
    }
    Learned {
        learning,
        flows: flows.learned() as u64,
        of: flows.len() as u64,
        duration_s,
        addresses,
        hosts: homes.len() as u64,
        unpaired_hosts: homes.values().filter(|homes| homes.len() > 1).count() as u64,
    }
}

impl Finding for Learned {
    const NAME: &'static str = "nat-learn";

    fn table(&self) -> Vec<Vec<String>> {
        let Learning { sent, first_pass_misses, missing, rounds, unestablished, .. } =
            self.learning;
        let rate = Si(self.of as f64 / self.duration_s.max(1e-9));
        let mut rows = vec![
            row([&"learned", &format!("{} of {} flows", self.flows, self.of)]),
            row([&"first packets", &format!("{sent} in {rounds} rounds")]),
            row([&"missed at first", &first_pass_misses]),
            row([&"never came", &missing]),
            row([&"not established", &unestablished]),
            row([&"duration", &format!("{:.2} s, {rate} flows/s", self.duration_s)]),
            row([&"unpaired hosts", &format!("{} of {}", self.unpaired_hosts, self.hosts)]),
        ];
        let shown = self.addresses.iter().take(ADDRESSES);
        rows.extend(shown.map(|(address, flows)| row([address, &format!("{flows} flows")])));
        if self.addresses.len() > ADDRESSES {
            rows.push(row([&"", &format!("{} addresses in all", self.addresses.len())]));
        }
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Learning { missing, unestablished, counters, .. } = self.learning;
        if missing > 0 {
            faults.push(format!("{missing} of {} flows never came through", self.of));
        }
        if unestablished > 0 {
            faults.push(format!("{unestablished} handshakes were not completed"));
        }
        let content = counters.defects.of_content();
        let wrong = content.named().into_iter().filter(|(_, count)| *count > 0);
        faults.extend(wrong.map(|(name, count)| format!("{name}: {count}")));
        faults
    }
}

/// Rows of the table for external addresses.
const ADDRESSES: usize = 16;
