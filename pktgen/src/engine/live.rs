//! What the worker lets others see while it works.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::receive::Counters;

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Stage {
    /// Waiting for the gateways' hardware addresses.
    Resolving,
    /// Sending the first packet of every flow.
    Learning,
    /// A trial whose figures are discarded.
    WarmUp,
    /// The trial.
    Measuring,
}

impl Stage {
    /// In the order in which they come.
    pub const ALL: [Self; 4] = [Self::Resolving, Self::Learning, Self::WarmUp, Self::Measuring];

    /// As the live line says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Learning => "learning",
            Self::WarmUp => "warm-up",
            Self::Measuring => "measuring",
        }
    }
}

/// Counters of the current phase, ten times a second. Worker: write, anybody: read; each value alone is right.
#[derive(Debug, Default)]
pub struct Live {
    stage: AtomicU8,
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
    defects: AtomicU64,
}

/// One look at [`Live`]; arrays are by direction.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// What the worker was doing.
    pub stage: Stage,
    /// Frames sent since the phase began.
    pub sent: [u64; 2],
    /// Frames received for the first time.
    pub received: [u64; 2],
    /// Broken invariants.
    pub defects: u64,
}

impl Live {
    pub(super) fn enter(&self, stage: Stage) {
        self.show([0; 2], &Counters::default());
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn show(&self, sent: [u64; 2], counters: &Counters) {
        let defects = &counters.defects;
        let defects = defects.corrupted() + defects.mistranslated() + defects.dup + defects.reorder;
        self.defects.store(defects, Ordering::Relaxed);
        let pairs = self.sent.iter().zip(sent).chain(self.received.iter().zip(counters.unique));
        pairs.for_each(|(shown, value)| shown.store(value, Ordering::Relaxed));
    }

    /// The values now.
    pub fn glance(&self) -> Glance {
        let read =
            |pair: &[AtomicU64; 2]| pair.each_ref().map(|value| value.load(Ordering::Relaxed));
        let stage = usize::from(self.stage.load(Ordering::Relaxed));
        Glance {
            stage: Stage::ALL[stage],
            sent: read(&self.sent),
            received: read(&self.received),
            defects: self.defects.load(Ordering::Relaxed),
        }
    }
}
