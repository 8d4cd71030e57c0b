//! What a worker does when there is nothing to do: poll, then pause, then sleep (`workers.idle = "adaptive"`).

use std::time::Duration;

use crate::config::Idle;

/// How long a worker has been without packets, in turns.
#[derive(Debug)]
pub struct IdleLadder {
    idle: Idle,
    empty_turns: u32,
}

impl IdleLadder {
    /// A ladder that polls only, or all of it.
    pub fn new(idle: Idle) -> Self {
        Self { idle, empty_turns: 0 }
    }

    /// To be called after every turn.
    #[inline]
    pub fn rest(&mut self, found_packets: bool) {
        if found_packets {
            self.empty_turns = 0;
        } else if self.idle == Idle::Adaptive {
            self.wait();
        }
    }

    /// Whether the last rest was a sleep.
    pub fn sleeps(&self) -> bool {
        self.empty_turns > PAUSES
    }

    fn wait(&mut self) {
        self.empty_turns = self.empty_turns.saturating_add(1);
        match self.empty_turns {
            0..POLLS => {}
            POLLS..PAUSES => {
                for _ in 0..16 {
                    std::hint::spin_loop();
                }
            }
            _ => std::thread::sleep(SLEEP),
        }
    }
}

/// Empty turns that only poll: some tens of microseconds.
const POLLS: u32 = 1_000;
/// Empty turns until the first sleep: about half a millisecond.
const PAUSES: u32 = 3_000;
/// Short enough that a queue of 512 frames does not overflow at a million packets a second.
const SLEEP: Duration = Duration::from_micros(100);
