//! What the worker lets others see while it works.

use std::sync::Mutex;

use crate::receive::Defects;

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stage {
    /// Waiting for the gateways' hardware addresses.
    #[default]
    Resolving,
    /// Sending the first packet of every flow.
    Learning,
    /// A trial whose figures are discarded.
    WarmUp,
    /// The trial.
    Measuring,
}

impl Stage {
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

/// The last [`Glance`] that the worker has shown, ten times a second.
#[derive(Debug, Default)]
pub struct Live(Mutex<Glance>);

/// Counters of the current phase; arrays are by direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glance {
    /// What the worker was doing.
    pub stage: Stage,
    /// The phase's number: counters begin from 0 in each.
    pub phase: u64,
    /// Frames sent since the phase began.
    pub sent: [u64; 2],
    /// Frames received for the first time.
    pub received: [u64; 2],
    /// Broken invariants.
    pub defects: Defects,
    /// Median, 99 % and 99.9 % of latency in the last whole second.
    pub latency_ns: [u64; 3],
}

impl Live {
    /// Shows the state of things, unless somebody is looking right now: the worker does not wait.
    pub(super) fn show(&self, glance: Glance) {
        if let Ok(mut shown) = self.0.try_lock() {
            *shown = glance;
        }
    }

    /// What was shown last.
    pub fn glance(&self) -> Glance {
        self.0.lock().map(|shown| *shown).unwrap_or_default()
    }
}
