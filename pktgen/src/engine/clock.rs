//! Time as the worker reads it.

use std::thread;
use std::time::Duration;

use dpdk_bindings::cpu;

/// Nanoseconds since some start.
pub trait Clock {
    /// The time now.
    fn now(&self) -> u64;

    /// Lets this many nanoseconds pass without need of the processor.
    fn sleep(&self, ns: u64) {
        thread::sleep(Duration::from_nanos(ns));
    }
}

/// The processor's time-stamp counter.
#[derive(Clone, Copy, Debug)]
pub struct Tsc {
    start: u64,
    scale: u64, // nanoseconds per tick, 32 fractional bits
}

impl Tsc {
    /// Starts at 0.
    pub fn start() -> Self {
        let scale = ((1_000_000_000_u128 << 32) / u128::from(cpu::tsc_hz().max(1))) as u64;
        Self { start: cpu::tsc(), scale }
    }
}

impl Clock for Tsc {
    #[inline]
    fn now(&self) -> u64 {
        let ticks = cpu::tsc().saturating_sub(self.start);
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }
}
