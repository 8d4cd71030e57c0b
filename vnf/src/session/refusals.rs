//! Hosts that got no session because something was used up: told to management a few times a second, so that complaints can be
//! traced to their cause.

use std::net::IpAddr;

use crate::engine::ids::{Tick, VrfId};
use crate::engine::verdict::DropReason;
use crate::table::TokenBucket;

/// A host that got no session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What was used up.
    pub reason: DropReason,
    /// The host's VRF.
    pub vrf: VrfId,
    /// The host.
    pub host: IpAddr,
    /// The external address it is paired with.
    pub external: Option<u32>,
    /// IP protocol number.
    pub protocol: u8,
}

/// Refusals that wait for the worker to tell of them.
pub struct Refusals {
    waiting: Vec<Refusal>,
    allowance: TokenBucket,
}

impl Refusals {
    /// None yet.
    pub fn new() -> Self {
        let waiting = Vec::with_capacity(TOLD_PER_SECOND as usize);
        Self { waiting, allowance: TokenBucket::default() }
    }

    /// Notes a refusal, if not too many were told of lately.
    pub fn note(&mut self, refusal: Refusal, now: Tick) {
        if self.waiting.len() < self.waiting.capacity()
            && self.allowance.take(now.0, TOLD_PER_SECOND, TOLD_PER_SECOND)
        {
            self.waiting.push(refusal);
        }
    }

    /// One that is to be told of.
    #[inline]
    pub fn next_told(&mut self) -> Option<Refusal> {
        self.waiting.pop()
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self::new()
    }
}

/// Refusals that one worker tells of in a second.
const TOLD_PER_SECOND: u32 = 10;
