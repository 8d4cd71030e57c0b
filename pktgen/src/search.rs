//! Searches: which load to try next, and what the trials so far say. They know nothing of DPDK.

mod back_to_back;
mod goal;
mod halving;
mod ledger;
mod loss_rate;
mod mlr;
#[cfg(test)]
pub(crate) mod simulated;
pub mod stats;

pub use back_to_back::{BackToBack, back_to_back};
pub use goal::{Goal, Preset};
pub use halving::{Throughput, throughput};
pub use ledger::{Class, Ledger};
pub use loss_rate::loss_rates;
pub use mlr::{Bounds, Ending, Search, Selection};

/// Something whose loss can be measured: a path behind the engine, or a simulated one.
pub trait Subject {
    /// Why no trial is possible any more.
    type Error;

    /// Sends `load` frames per second and direction for so many seconds, drains, and counts.
    fn trial(&mut self, load: f64, duration_s: f64) -> Result<Sample, Self::Error>;

    /// Seconds since the first trial began, pauses included.
    fn elapsed_s(&self) -> f64;

    /// Is told after each trial what is known of each goal, for whoever watches.
    fn progress(&mut self, _known: &[Known]) {}
}

/// What is known of a goal in the midst of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its name.
    pub goal: String,
    /// Highest load that meets it so far.
    pub lower: Option<f64>,
    /// Lowest load that does not.
    pub upper: Option<f64>,
}

/// What one trial found, over all directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Frames per second of each direction.
    pub load: f64,
    /// Seconds of sending.
    pub duration_s: f64,
    /// Frames that were to be sent.
    pub intended: u64,
    /// Frames that were to be sent and did not arrive.
    pub lost: u64,
    /// Frames that the generator could not send; part of `lost`.
    pub tx_short: u64,
}

impl Sample {
    /// Lost frames of those intended (RFC 9971: trial loss ratio).
    pub fn loss_ratio(&self) -> f64 {
        if self.intended == 0 { 1.0 } else { self.lost as f64 / self.intended as f64 }
    }

    /// Whether everything that was to be sent arrived; a trial of no frames shows nothing.
    pub fn is_lossless(&self) -> bool {
        self.intended > 0 && self.lost == 0
    }

    /// The load that came through (RFC 9971: trial forwarding rate).
    pub fn forwarding_rate(&self) -> f64 {
        self.load * (1.0 - self.loss_ratio())
    }

    /// Whether so much was not sent that the loss says nothing about the path.
    pub fn is_tg_limited(&self) -> bool {
        self.tx_short as f64 > self.intended as f64 * TG_LIMIT
    }
}

/// More unsent frames than this and the generator is the limit.
pub const TG_LIMIT: f64 = 0.001;
