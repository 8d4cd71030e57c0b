//! The first frames in which something was wrong, kept whole.

use crate::flow::Direction;

/// One frame with what was found in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offender {
    /// The way it was going.
    pub direction: Direction,
    /// Arrival in nanoseconds of the worker's clock.
    pub time: u64,
    /// The names of the broken invariants.
    pub reasons: Vec<&'static str>,
    /// The frame as it arrived.
    pub frame: Vec<u8>,
}

/// The first offenders of a run.
#[derive(Clone, Debug, Default)]
pub struct Offenders(Vec<Offender>);

impl Offenders {
    /// As many as are kept.
    pub const MOST: usize = 16;

    /// In the order of arrival.
    pub fn list(&self) -> &[Offender] {
        &self.0
    }

    #[cold]
    pub(super) fn keep(&mut self, offender: impl FnOnce() -> Offender) {
        if self.0.len() < Self::MOST {
            self.0.push(offender());
        }
    }
}
