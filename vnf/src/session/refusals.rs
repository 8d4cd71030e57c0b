//! Hosts that got no session because something was used up: told to management a few times a second, so that complaints can be
//! traced to their cause.

use std::net::IpAddr;

use crate::engine::ids::{Tick, VrfId};
use crate::engine::verdict::DropReason;
use crate::nat::table::Internal;
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

/// A host that has a good part of the sessions it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nearing {
    /// The host.
    pub host: Internal,
    /// Its sessions.
    pub sessions: u32,
    /// Which part of its limit that is, in per cent.
    pub percent: u32,
}

/// Refusals and the like that wait for the worker to tell of them.
pub struct Refusals {
    waiting: Vec<Refusal>,
    nearing: Vec<Nearing>,
    allowance: TokenBucket,
    nearing_allowance: TokenBucket,
}

impl Refusals {
    /// None yet.
    pub fn new() -> Self {
        Self {
            waiting: Vec::with_capacity(TOLD_PER_SECOND as usize),
            nearing: Vec::with_capacity(TOLD_PER_SECOND as usize),
            allowance: TokenBucket::default(),
            nearing_allowance: TokenBucket::default(),
        }
    }

    /// Notes a host that has just reached 80 or 90 per cent of its limit (RFC 7422 section 2.2), likewise.
    #[inline]
    pub fn watch(&mut self, host: Internal, sessions: u32, limit: u32, now: Tick) {
        for percent in [80, 90] {
            if u64::from(sessions) == u64::from(limit) * percent / 100 {
                self.note_nearing(Nearing { host, sessions, percent: percent as u32 }, now);
            }
        }
    }

    #[cold]
    fn note_nearing(&mut self, nearing: Nearing, now: Tick) {
        if self.nearing.len() < self.nearing.capacity()
            && self.nearing_allowance.take(now.0, TOLD_PER_SECOND, TOLD_PER_SECOND)
        {
            self.nearing.push(nearing);
        }
    }

    /// A host near its limit that is to be told of.
    #[inline]
    pub fn next_nearing(&mut self) -> Option<Nearing> {
        self.nearing.pop()
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
