//! Worker time: milliseconds since start, from the time stamp counter. It never goes back and knows no time of day.

use dpdk_bindings::cpu;

use super::ids::Tick;

/// Converts the time stamp counter to [`Tick`]s.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    per_ms: u64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: cpu::tsc(), per_ms: (cpu::tsc_hz() / 1000).max(1) }
    }

    /// The time at a reading of the counter.
    #[inline]
    pub fn at(&self, tsc: u64) -> Tick {
        Tick(tsc.saturating_sub(self.start) / self.per_ms)
    }

    /// The time now.
    #[inline]
    pub fn now(&self) -> Tick {
        self.at(cpu::tsc())
    }
}
