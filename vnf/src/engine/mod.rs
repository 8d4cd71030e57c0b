//! How bursts move: workers, rings, verdicts and counters. Knows nothing of what the stages decide.

pub mod burst;
pub mod clock;
pub mod counters;
pub mod handover;
pub mod idle;
pub mod ids;
pub mod interfaces;
pub mod mask;
pub mod message;
pub mod meta;
pub mod record;
pub mod tables;
pub mod transmit;
pub mod verdict;
