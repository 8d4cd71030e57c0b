//! What workers counted, compared name by name; and the balance that must hold whenever nothing is on its way.

use std::collections::BTreeMap;

use vnf::engine::counters::{CloseCause, Counters};
use vnf::engine::verdict::DropReason;
use vnf::worker::Worker;

/// Every counter by its name, all workers together.
#[derive(Clone, Default)]
pub struct Snapshot(BTreeMap<String, i64>);

impl Snapshot {
    /// The counters now. How packets went from worker to worker is not among them: that depends on a random hash.
    pub fn of(workers: &[Worker], ports: &[String]) -> Self {
        let mut sums = BTreeMap::new();
        let mut add = |name: String, value: u64| *sums.entry(name).or_default() += value as i64;
        for counters in workers.iter().map(|worker| &worker.counters) {
            for reason in DropReason::ALL {
                add(reason.name().to_owned(), counters.drops[*reason as usize].read());
            }
            for cause in CloseCause::ALL {
                let closed = &counters.sessions_closed[cause as usize];
                add(format!("sessions_closed.{}", cause.name()), closed.read());
            }
            for (name, counts) in ports.iter().zip(&counters.ports) {
                add(format!("{name}.transmitted"), counts[2].read());
            }
            add("events_lost".to_owned(), counters.events_lost.read());
            add("held".to_owned(), counters.held.read());
            add("originated".to_owned(), counters.originated.read());
            add("punted".to_owned(), counters.punted.read());
            add("sessions_opened".to_owned(), counters.sessions_opened.read());
        }
        Self(sums)
    }

    /// What has changed since, without what has not.
    pub fn since(&self, before: &Self) -> BTreeMap<String, i64> {
        let change = |name: &String| before.0.get(name).copied().unwrap_or(0);
        let changes = self.0.iter().map(|(name, value)| (name.clone(), value - change(name)));
        changes.filter(|(_, change)| *change != 0).collect()
    }
}

/// Reads expected changes: a name for each, or a number and a name.
pub fn expected<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, i64> {
    let mut changes = BTreeMap::new();
    for name in names {
        let (count, name) = match name.split_once(' ') {
            Some((count, name)) => (count.parse().expect("a number before the name"), name),
            None => (1, name),
        };
        *changes.entry(name.to_owned()).or_default() += count;
    }
    changes
}

/// Sees that every packet is accounted for, by each worker and by all together.
pub fn check_balance(workers: &[Worker]) {
    let sum = |of: &dyn Fn(&Counters) -> u64| workers.iter().map(|w| of(&w.counters)).sum::<u64>();
    for worker in workers {
        let counters = &worker.counters;
        let came = counters.received.read() + counters.taken_over.read();
        let went = left(counters) + counters.handed_over.read();
        assert_eq!(came, went, "worker {}: packets that came, packets that went", worker.id.0);
    }
    assert_eq!(sum(&|c| c.received.read()), sum(&left), "packets received, packets that left");
}

/// Packets that were transmitted, dropped, punted or are held.
fn left(counters: &Counters) -> u64 {
    let dropped: u64 = counters.drops.iter().map(|drops| drops.read()).sum();
    counters.transmitted.read() + dropped + counters.punted.read() + counters.held.read()
}
