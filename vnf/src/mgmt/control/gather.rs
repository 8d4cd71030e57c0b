//! Questions that every worker must answer: how its tables and external ports are used.

use log::warn;

use super::Control;
use crate::engine::ids::WorkerId;
use crate::engine::message::{Command, Usage};
use crate::mgmt::metrics::MetricsSnapshot;
use crate::mgmt::request::Reply;
use crate::mgmt::view::{MemoryRow, PoolRow};

/// One usage from each worker, in order.
pub(super) type Measurement = Vec<Usage>;

/// Who wants to know.
pub(super) enum Asker {
    Memory(Reply<Vec<MemoryRow>>),
    Metrics(Reply<MetricsSnapshot>),
    Pool(Reply<Vec<PoolRow>>),
    /// Management itself, for the thresholds.
    Watch,
}

/// A question on its way.
pub(super) struct Gather {
    asker: Asker,
    usages: Vec<Option<Usage>>,
}

impl Control {
    /// Asks all workers.
    pub(super) fn gather(&mut self, asker: Asker) {
        let addresses = self.parts.tables.nat.pool().len();
        for worker in self.workers() {
            let usage = Usage {
                tables: Vec::with_capacity(TABLES),
                ports: Vec::with_capacity(addresses),
                truncated: false,
            };
            self.command(worker, Command::Measure(Box::new(usage)));
        }
        let usages = self.workers().map(|_| None).collect();
        self.gathers.push(Gather { asker, usages });
    }

    /// Takes one worker's answer; the last one completes the question.
    pub(super) fn measured(&mut self, worker: WorkerId, usage: Usage) {
        // Workers answer in turn, so this is for the oldest question that lacks it.
        let open = self.gathers.iter_mut().find(|g| g.usages[worker.index()].is_none());
        let Some(gather) = open else { return };
        gather.usages[worker.index()] = Some(usage);
        if self.gathers[0].usages.iter().any(Option::is_none) {
            return;
        }
        let Gather { asker, usages } = self.gathers.remove(0);
        let measurement: Measurement = usages.into_iter().flatten().collect();
        match asker {
            Asker::Memory(reply) => reply.send(self.memory_rows(&measurement)),
            Asker::Metrics(reply) => reply.send(self.metrics(&measurement)),
            Asker::Pool(reply) => reply.send(self.pool_rows(&measurement)),
            Asker::Watch => {
                for sentence in self.thresholds.look(&measurement) {
                    warn!("{sentence}");
                }
            }
        }
    }
}

/// Tables a worker tells of at most.
const TABLES: usize = 16;
