//! What is remembered of a datagram while its fragments are on their way.

use super::coverage::Coverage;
use super::places::Chain;
use crate::engine::ids::Tick;
use crate::engine::meta::{Family, Meta};
use crate::table::Hasher;

/// What the fragments of one datagram have in common (RFC 791 3.2, RFC 8200 4.5), and where they came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, zerocopy::FromZeros)]
#[repr(C)]
pub(super) struct Key {
    source: [u32; 4],
    destination: [u32; 4],
    id: u32,
    /// IPv4 only: later IPv6 fragments need not know it.
    protocol: u8,
    family: u8,
    ingress: u8,
}

impl Key {
    /// The key of a fragment's datagram.
    pub(super) fn of(meta: &Meta) -> Self {
        let key = &meta.key;
        Self {
            source: key.source,
            destination: key.destination,
            id: meta.fragment_id,
            protocol: if key.family == Family::Ipv4 { key.protocol } else { 0 },
            family: key.family as u8,
            ingress: meta.ingress.0,
        }
    }

    /// A hash of the whole key.
    pub(super) fn hash(&self, hasher: &Hasher) -> u64 {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let ([a, b, c, d], [e, f, g, h]) = (self.source, self.destination);
        let rest = u32::from_be_bytes([self.family, self.ingress, self.protocol, 0]);
        hasher.hash5(&[pair(a, b), pair(c, d), pair(e, f), pair(g, h), pair(rest, self.id)])
    }

    /// A hash of who sent it: an IPv4 address, or an IPv6 subnet, all of which one host may use.
    pub(super) fn source_hash(&self, hasher: &Hasher) -> u64 {
        hasher.hash2(u64::from(self.source[0]) << 32 | u64::from(self.source[1]), 0)
    }
}

/// Where a datagram stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, zerocopy::FromZeros)]
#[repr(u8)]
pub(super) enum State {
    /// Its first fragment has come.
    Known,
    /// Fragments overlapped: no more of them pass.
    Poisoned,
    /// Its first fragment has not come.
    Waiting,
}

/// A datagram of which some fragments have come.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C)]
pub(super) struct Datagram {
    pub(super) key: Key,
    /// Worker time of its latest fragment in milliseconds, low 32 bits.
    pub(super) last_seen: u32,
    /// Fragments that wait for the first one.
    pub(super) held: Chain,
    /// Fragments held, and those released that have not passed again.
    pub(super) pending: u16,
    /// Which budget it is paid from.
    pub(super) budget: u16,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    detail: u8,
    pub(super) state: State,
    pub(super) coverage: Coverage,
}

impl Datagram {
    /// Starts anew with a datagram whose first fragment has not come.
    pub(super) fn open(&mut self, key: Key, budget: usize) {
        self.key = key;
        self.held = Chain::default();
        self.pending = 0;
        self.budget = budget as u16;
        self.state = State::Waiting;
        self.coverage.clear();
    }

    /// Learns from the first fragment what later ones do not say.
    pub(super) fn learn(&mut self, meta: &Meta) {
        self.source_port = meta.key.source_port;
        self.destination_port = meta.key.destination_port;
        self.protocol = meta.key.protocol;
        self.detail = meta.detail;
        self.state = State::Known;
    }

    /// Tells a later fragment.
    pub(super) fn tell(&self, meta: &mut Meta) {
        meta.key.source_port = self.source_port;
        meta.key.destination_port = self.destination_port;
        meta.key.protocol = self.protocol;
        meta.detail = self.detail;
    }

    /// Whether so much time has passed without a fragment that no more are expected.
    pub(super) fn is_overdue(&self, now: Tick) -> bool {
        now.low().wrapping_sub(self.last_seen) >= PATIENCE_MS
    }

    /// Whether nothing is left to be done for it.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Known && self.pending == 0 && self.coverage.is_complete()
    }
}

/// How long the next fragment is waited for. Translators wait for 2 s at least (RFC 6146 4, FRAGMENT_MIN); longer, and
/// busy senders would use identifications again that a lost fragment has left open (RFC 4963).
const PATIENCE_MS: u32 = 2000;
