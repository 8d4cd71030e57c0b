//! Says once when the ports of an external address run out: at 80, 90 and 100 per cent of a protocol's.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::gather::Measurement;

/// Which thresholds each address and protocol has reached.
#[derive(Debug, Default)]
pub(super) struct Thresholds(HashMap<(u32, usize), usize>);

impl Thresholds {
    /// What there is to say about the ports in use now, those at rest included.
    pub(super) fn look(&mut self, measurement: &Measurement) -> Vec<String> {
        let mut sums = HashMap::<(u32, usize), (u64, u64)>::new();
        for row in measurement.iter().flat_map(|usage| &usage.ports) {
            for (space, taken) in row.taken_by_protocol.iter().enumerate() {
                let (used, total) = sums.entry((row.address, space)).or_default();
                *used += u64::from(*taken);
                *total += u64::from(row.total) / PROTOCOLS.len() as u64;
            }
        }
        self.0.retain(|key, _| sums.contains_key(key));
        let mut crossed: Vec<_> = sums
            .into_iter()
            .filter_map(|(key, (used, total))| Some((key, self.crossed(key, used, total)?)))
            .collect();
        crossed.sort_unstable();
        let sentence = |((address, space), percent): ((u32, usize), u64)| {
            let (address, protocol) = (Ipv4Addr::from(address), PROTOCOLS[space]);
            format!(
                "pool address {address}: {percent} % of its {protocol} ports are in use or at rest"
            )
        };
        crossed.into_iter().map(sentence).collect()
    }

    /// The threshold that is newly reached. One counts as left only some way below it.
    fn crossed(&mut self, key: (u32, usize), used: u64, total: u64) -> Option<u64> {
        let reached = |margin: u64| {
            let above = |percent: &&u64| total > 0 && used * 100 >= (**percent - margin) * total;
            PERCENT.iter().filter(above).count()
        };
        let level = self.0.entry(key).or_default();
        let before = *level;
        *level = reached(0).max(before.min(reached(HYSTERESIS)));
        (*level > before).then(|| PERCENT[*level - 1])
    }
}

const PERCENT: [u64; 3] = [80, 90, 100];
const HYSTERESIS: u64 = 5;
/// In the order of `AddressUsage::taken_by_protocol`.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "icmp"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::Usage;
    use crate::nat::external_ports::AddressUsage;

    /// Two workers that share an address, each with a hundred ports of it; so many UDP ports of both are in use.
    fn look(thresholds: &mut Thresholds, udp: u32) -> Vec<String> {
        let usage = |udp| {
            let (address, taken_by_protocol) = (0xc633_640a, [0, udp, 0]);
            let row =
                AddressUsage { address, taken: udp, resting: 0, total: 300, taken_by_protocol };
            Usage { ports: vec![row], ..Usage::default() }
        };
        thresholds.look(&vec![usage(udp / 2), usage(udp - udp / 2)])
    }

    #[test]
    fn a_threshold_is_told_once_until_use_has_fallen_well_below_it() {
        let mut thresholds = Thresholds::default();
        let told = |percent| {
            vec![format!(
                "pool address 198.51.100.10: {percent} % of its udp ports are in use or at rest"
            )]
        };
        let none = Vec::<String>::new();
        for (udp, expected) in [
            (159, none.clone()),
            (160, told(80)),
            (170, none.clone()),
            (152, none.clone()),
            (160, none.clone()),
            (200, told(100)),
            (189, none.clone()),
            (200, told(100)),
            (149, none.clone()),
            (180, told(90)),
        ] {
            assert_eq!(look(&mut thresholds, udp), expected, "{udp}");
        }
    }
}
