//! What is due when: two octets for each id, which a hand passes over once in 128 ms, a cache line of 32 ids at a time.
//!
//! Setting a deadline or forgetting it writes two octets and touches nobody else's. What is found due comes in the order of
//! ids, so what they stand for lies side by side in memory.

use dpdk_bindings::{
    Result,
    cpu::prefetch,
    memory::{HugeArray, Source},
};
use zerocopy::FromZeros;

/// Wakes ids at their deadlines, never early, a bounded number per call.
///
/// Deadlines beyond [`HORIZON_MS`](Self::HORIZON_MS) are woken at the horizon; as the owner decides on waking whether the id
/// is really due, that costs one visit more.
#[derive(Debug)]
pub struct Deadlines {
    lines: HugeArray<Line>,
    /// The lines in which an id ever had a deadline are the first so many.
    used: usize,
    /// The line that the hand comes to next.
    hand: usize,
    /// When the hand was moved last.
    moved_ms: u64,
    /// How far the hand is behind, in lines times [`ROUND_MS`]; at most one round.
    behind: u64,
    /// Lines that the hand comes to next and has not seen for longer than a tick can tell.
    unseen: usize,
}

impl Deadlines {
    /// How far ahead a deadline is kept exactly: 2 h 15 min.
    pub const HORIZON_MS: u64 = (TICKS - LATE - 1) << TICK_SHIFT;

    /// Reserves 2 bytes for each of the ids from 0 to `ids - 1`; time starts at `start_ms`.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(name: &str, ids: usize, source: Source, start_ms: u64) -> Result<Self> {
        let lines = HugeArray::zeroed(name, ids.div_ceil(IDS), source)?;
        Ok(Self { lines, used: 0, hand: 0, moved_ms: start_ms, behind: 0, unseen: 0 })
    }

    /// Wakes `id` at `deadline_ms`, and no longer at the deadline it may have had.
    #[inline]
    pub fn arm(&mut self, id: u32, deadline_ms: u64) {
        let (first, last) = (self.moved_ms, self.moved_ms + Self::HORIZON_MS);
        let tick = deadline_ms.clamp(first, last).div_ceil(1 << TICK_SHIFT);
        let (line, lane) = place(id);
        self.lines[line].0[lane] = (tick as u16).max(NONE + 1);
        self.used = self.used.max(line + 1);
    }

    /// Forgets the deadline of `id`, if it has one.
    #[inline]
    pub fn disarm(&mut self, id: u32) {
        let (line, lane) = place(id);
        self.lines[line].0[lane] = NONE;
    }

    /// Asks the processor for the deadline of `id`.
    #[inline]
    pub fn prefetch(&self, id: u32) {
        if let Some(line) = self.lines.get(place(id).0) {
            prefetch(line);
        }
    }

    /// Takes what is due at `now_ms`, as many ids as fit `into`, and returns how many; there must be room for a line.
    ///
    /// The caller decides which of them to [`arm`](Self::arm) again, and may prefetch what they stand for before.
    /// A call that leaves something over continues there the next time; so does one that has passed `LINES_PER_CALL` lines.
    pub fn due(&mut self, now_ms: u64, into: &mut [u32]) -> usize {
        debug_assert!(into.len() >= IDS, "a line is taken as a whole");
        let passed = now_ms.saturating_sub(self.moved_ms);
        self.moved_ms += passed;
        let round = self.used as u64 * ROUND_MS;
        self.behind = (self.behind + passed.min(ROUND_MS) * self.used as u64).min(round);
        if passed > LATE_MS / 2 {
            self.unseen = self.used;
        }
        let tick = (self.moved_ms >> TICK_SHIFT) as u16;
        let mut taken = 0;
        for _ in 0..LINES_PER_CALL {
            if self.behind < ROUND_MS || into.len() - taken < IDS {
                break;
            }
            let line = &mut self.lines[self.hand].0;
            let late = if self.unseen > 0 { u16::MAX } else { LATE as u16 };
            if is_any_due(line, tick, late) {
                for (lane, due) in line.iter_mut().enumerate() {
                    if is_due(*due, tick, late) {
                        into[taken] = (self.hand * IDS + lane) as u32;
                        *due = NONE;
                        taken += 1;
                    }
                }
            }
            self.behind -= ROUND_MS;
            self.unseen = self.unseen.saturating_sub(1);
            self.hand = if self.hand + 1 < self.used { self.hand + 1 } else { 0 };
        }
        taken
    }

    /// How many bytes of memory the deadlines have reserved.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}

/// A cache line of ticks modulo 2^16, [`NONE`] for an id without a deadline.
#[derive(Clone, Copy, Debug, FromZeros)]
#[repr(C, align(64))]
struct Line([u16; IDS]);

/// Whether a deadline was in the last `late` ticks.
#[inline]
fn is_due(due: u16, tick: u16, late: u16) -> bool {
    (due != NONE) & (tick.wrapping_sub(due) <= late)
}

/// The same of any in a line, without a branch for each, so that it becomes vector instructions.
#[inline]
fn is_any_due(line: &[u16; IDS], tick: u16, late: u16) -> bool {
    line.iter().fold(0, |any, &due| any | u16::from(is_due(due, tick, late))) != 0
}

/// The line of an id, and its place there.
#[inline]
fn place(id: u32) -> (usize, usize) {
    (id as usize / IDS, id as usize % IDS)
}

/// What zeroed memory says.
const NONE: u16 = 0;

/// Ids in a line.
const IDS: usize = 32;

/// A tick is 2^7 ms.
const TICK_SHIFT: u32 = 7;

/// Ticks that can be told apart.
const TICKS: u64 = 1 << 16;

/// So many of them are the past, the others the future.
const LATE: u64 = 2048;

const LATE_MS: u64 = LATE << TICK_SHIFT;

/// How long the hand takes for a round.
const ROUND_MS: u64 = 128;

/// Lines passed per call: about half a microsecond.
const LINES_PER_CALL: usize = 128;

#[cfg(test)]
mod tests;
