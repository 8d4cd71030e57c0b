//! Sends the probes and looks at what became of them, and at the tested system's counters.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::{Action, Probe, Rules, Side};
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::frame::Frame;
use crate::probe::{Arrived, Kind, Place, Prober, Protocol};

/// What became of the probes.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Each rule, and the default of each list that has rules.
    pub rules: Vec<Line>,
    /// Probes that were not treated as the rules say, the first of them.
    pub wrong: Vec<String>,
    /// How many there are of these.
    pub wrong_count: u64,
}

/// One rule.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Where packets enter: in or out.
    pub from: &'static str,
    /// Its place in its list; `None`: what no rule matches.
    pub rule: Option<usize>,
    /// What it does.
    pub action: Action,
    /// Probes that it decides about.
    pub probes: u64,
    /// Those that were treated so.
    pub right: u64,
    /// By how much the tested system's counter went up; `None` where it is not known.
    pub counted: Option<u64>,
}

/// Sends all probes, one by one, `counters` being read before and after.
pub fn check<C: Clock, E>(
    prober: &mut Prober<'_, C>,
    rules: &Rules,
    probes: &[Probe],
    mut counters: impl FnMut() -> Result<Option<Value>, E>,
) -> Result<Checked, E> {
    acquaint(prober, probes);
    let before = counters()?;
    let mut sent = HashMap::new();
    for probe in probes {
        let number = prober.probe(
            probe.from,
            Kind::opening(probe.protocol),
            probe.source,
            probe.destination,
        );
        sent.insert(number, probe);
        let next = prober.now() + GAP_NS;
        prober.rest_until(next);
    }
    let mut came: HashMap<Probe, Action> = HashMap::new();
    for arrived in prober.listen(LAST_NS) {
        match arrived {
            Arrived::Probe(packet) => {
                let probe = sent.get(&packet.number).filter(|probe| probe.from != packet.place);
                came.extend(probe.map(|probe| (**probe, Action::Permit)));
            }
            Arrived::Reset { place, source, destination } => {
                let rejected = probes.iter().filter(|probe| {
                    (probe.from, probe.protocol) == (place, Protocol::Tcp)
                        && (probe.source, probe.destination) == (destination, source)
                });
                came.extend(rejected.map(|probe| (*probe, Action::Reject)));
            }
            Arrived::Error(error) => {
                // Its identification tells the packet that an error quotes.
                let quoted = error.quote.get(4..6).map(|word| [word[0], word[1]]);
                let rejected = sent.iter().filter(|(number, probe)| {
                    quoted == Some((**number as u16).to_be_bytes()) && probe.from == error.place
                });
                came.extend(rejected.map(|(_, probe)| (**probe, Action::Reject)));
            }
        }
    }
    let after = counters()?;
    let mut checked = Checked { rules: Vec::new(), wrong: Vec::new(), wrong_count: 0 };
    for (side, from, list) in
        [(Side::In, "in", &rules.lists.inside), (Side::Out, "out", &rules.lists.outside)]
    {
        let lines = rules.list(side).map(|(place, rule)| (Some(place), rule.action));
        let lines: Vec<_> = lines.collect();
        let default = (!lines.is_empty()).then_some((None, rules.default));
        for (rule, action) in lines.into_iter().chain(default) {
            let counted = list.as_ref().and_then(|list| {
                let [before, after] =
                    [&before, &after].map(|all| counter(all.as_ref()?, list, rule));
                after?.checked_sub(before?)
            });
            checked.rules.push(Line { from, rule, action, probes: 0, right: 0, counted });
        }
    }
    for probe in probes {
        let (rule, action) = rules.decide(probe);
        let from = if probe.from == Place::Inside { "in" } else { "out" };
        let found = came.get(probe).copied().unwrap_or(Action::Deny);
        let line = checked.rules.iter_mut().find(|line| (line.from, line.rule) == (from, rule));
        if let Some(line) = line {
            line.probes += 1;
            line.right += u64::from(found == action);
        }
        if found != action {
            checked.wrong_count += 1;
            if checked.wrong.len() < SHOWN {
                let Probe { protocol, source, destination, .. } = probe;
                let what = format!("{protocol} {source} -> {destination} from {from}");
                checked.wrong.push(format!("{what}: {found}, not {action}"));
            }
        }
    }
    Ok(checked)
}

/// Lets the tested system find all hosts that probes go to or come from: first packets are lost to neighbour resolution
/// on many.
fn acquaint<C: Clock>(prober: &mut Prober<'_, C>, probes: &[Probe]) {
    let mut hosts: Vec<_> = probes
        .iter()
        .flat_map(|probe| {
            [(probe.from, *probe.source.ip()), (probe.from.other(), *probe.destination.ip())]
        })
        .collect();
    hosts.sort_unstable_by_key(|(place, address)| (*place as u8, *address));
    hosts.dedup();
    for (place, address) in hosts {
        if let Some(gateway) = prober.gateway(place) {
            prober.send(place, &Frame::echo(address.into(), gateway.into(), 1, 1));
            let next = prober.now() + GAP_NS;
            prober.rest_until(next);
        }
    }
    prober.listen(LAST_NS);
}

/// The packets that a rule, or the default, of a list has counted: the shape of `vnf show acl --json`.
fn counter(all: &Value, list: &str, rule: Option<usize>) -> Option<u64> {
    let list = all.as_array()?.iter().find(|own| own["name"] == list)?;
    match rule {
        Some(place) => list["rules"].get(place)?["packets"].as_u64(),
        None => list["default_packets"].as_u64(),
    }
}

impl Finding for Checked {
    const NAME: &'static str = "acl";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row([&"from", &"rule", &"action", &"probes", &"right", &"counted"])];
        for line in &self.rules {
            let rule = line.rule.map_or("default".to_owned(), |place| place.to_string());
            let counted = line.counted.map_or("-".to_owned(), |count| count.to_string());
            rows.push(row([&line.from, &rule, &line.action, &line.probes, &line.right, &counted]));
        }
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.wrong.clone();
        if self.wrong_count > faults.len() as u64 {
            faults.push(format!("{} probes in all were treated wrongly", self.wrong_count));
        }
        for line in &self.rules {
            let rule = line.rule.map_or("default".to_owned(), |place| format!("rule {place}"));
            if let Some(counted) = line.counted.filter(|counted| *counted != line.probes) {
                let (from, probes) = (line.from, line.probes);
                faults.push(format!("{from}, {rule}: counted {counted}, not {probes}"));
            }
            if line.probes == 0 && line.rule.is_some() {
                faults.push(format!("{}, {rule}: no probe that it decides about", line.from));
            }
        }
        faults
    }
}

/// Between two probes, and after the last.
const GAP_NS: u64 = 500_000;
const LAST_NS: u64 = 500_000_000;
/// Wrong verdicts that are told one by one.
const SHOWN: usize = 10;
