//! What a worker counts: written by the worker alone, read by management at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::verdict::DropReason;

/// A counter with one writer: plain load and store, no locked instruction in the packet path.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning worker may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Sets a gauge; only the owning worker may call this.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Raises a maximum; only the owning worker may call this.
    #[inline]
    pub fn raise(&self, value: u64) {
        if value > self.read() {
            self.set(value);
        }
    }

    /// The value now.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// The value now, and zero from here on. A maximum may be read like this; a sum may lose what is added meanwhile.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

/// The names of the stages, in the order of the pipeline.
pub const STAGES: [&str; 5] = ["parse", "nat", "acl", "forward", "egress"];

/// Packets and cycles of one stage, of the bursts that were measured.
#[derive(Debug, Default)]
pub struct StageCounters {
    /// Packets in the pipeline when the stage began.
    pub packets: Counter,
    /// Time stamp counter cycles spent.
    pub cycles: Counter,
}

/// Why sessions end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum CloseCause {
    /// `clear sessions`.
    Cleared,
    /// The configuration no longer allows or translates it like this.
    Reconfigured,
    /// Its first packet was for another internal host, and was dropped on the way there.
    Refused,
    /// Nothing came for its timeout.
    TimedOut,
}

impl CloseCause {
    /// Every cause, in order.
    pub const ALL: [Self; 4] = [Self::Cleared, Self::Reconfigured, Self::Refused, Self::TimedOut];

    /// The cause's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cleared => "cleared",
            Self::Reconfigured => "reconfigured",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
        }
    }
}

/// Everything one worker counts. `received + taken_over = transmitted + dropped + punted + held + handed_over`.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counters {
    /// Packets received from ports.
    pub received: Counter,
    /// Received packets that left through a port.
    pub transmitted: Counter,
    /// Received packets whose content went to management, or into a datagram put together for the VNF itself.
    pub punted: Counter,
    /// Packets the worker keeps at the moment.
    pub held: Counter,
    /// Packets given to other workers.
    pub handed_over: Counter,
    /// Packets taken over from other workers.
    pub taken_over: Counter,
    /// Frames the VNF made itself: ICMP errors, resets, ARP and ND, further fragments.
    pub originated: Counter,
    /// Messages to management that found its ring full.
    pub events_lost: Counter,
    /// Dropped packets by [`DropReason`].
    pub drops: [Counter; DropReason::COUNT],
    /// Packets and octets by port: received, then transmitted.
    pub ports: Vec<[Counter; 4]>,
    /// Sessions opened.
    pub sessions_opened: Counter,
    /// Sessions closed by [`CloseCause`].
    pub sessions_closed: [Counter; CloseCause::ALL.len()],
    /// Sessions at the moment.
    pub sessions: Counter,
    /// Dynamic mappings at the moment.
    pub mappings: Counter,
    /// Freed external endpoints that rest (RFC 6888 REQ-8).
    pub mappings_held: Counter,
    /// Internal hosts with a session.
    pub hosts: Counter,
    /// Units of external ports used before the journal had them.
    pub leases_forced: Counter,
    /// Records of translations that found no room.
    pub records_lost: Counter,
    /// Non-empty bursts.
    pub bursts: Counter,
    /// Cycles of turns that found packets.
    pub busy_cycles: Counter,
    /// Cycles of all turns.
    pub total_cycles: Counter,
    /// Longest time between two polls, in cycles, since it was last read.
    pub poll_gap: Counter,
    /// Measured bursts by stage.
    pub stages: [StageCounters; STAGES.len()],
    /// Receive-to-transmit time of measured bursts, by logarithmic bucket (see [`latency_bucket`]).
    pub latency: [Counter; LATENCY_BUCKETS],
}

impl Counters {
    /// Counters at zero for a number of ports.
    pub fn new(ports: usize) -> Self {
        Self {
            received: Counter::default(),
            transmitted: Counter::default(),
            punted: Counter::default(),
            held: Counter::default(),
            handed_over: Counter::default(),
            taken_over: Counter::default(),
            originated: Counter::default(),
            events_lost: Counter::default(),
            drops: std::array::from_fn(|_| Counter::default()),
            ports: (0..ports).map(|_| Default::default()).collect(),
            sessions_opened: Counter::default(),
            sessions_closed: Default::default(),
            sessions: Counter::default(),
            mappings: Counter::default(),
            mappings_held: Counter::default(),
            hosts: Counter::default(),
            leases_forced: Counter::default(),
            records_lost: Counter::default(),
            bursts: Counter::default(),
            busy_cycles: Counter::default(),
            total_cycles: Counter::default(),
            poll_gap: Counter::default(),
            stages: Default::default(),
            latency: std::array::from_fn(|_| Counter::default()),
        }
    }

    /// Counts a dropped packet.
    #[inline]
    pub fn dropped(&self, reason: DropReason) {
        self.drops[reason as usize].add(1);
    }
}

/// Buckets of the latency histogram: eight to a power of two.
pub const LATENCY_BUCKETS: usize = 64 * 8;

/// The bucket of a time in cycles: relative error at most 1/8.
#[inline]
pub fn latency_bucket(cycles: u64) -> usize {
    let cycles = cycles.max(8);
    let exponent = cycles.ilog2() as usize;
    (exponent * 8 + (cycles >> (exponent - 3) & 7) as usize) % LATENCY_BUCKETS
}

/// The largest number of cycles that falls into a bucket.
pub fn latency_bucket_top(bucket: usize) -> u64 {
    let exponent = (bucket / 8).max(3);
    ((8 + bucket as u64 % 8 + 1) << (exponent - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_at_most_an_eighth_below_the_top_of_its_bucket() {
        for cycles in [8, 9, 15, 16, 100, 1000, 123_456, 1 << 40] {
            let top = latency_bucket_top(latency_bucket(cycles));
            assert!(cycles <= top && top - cycles <= cycles / 8, "{cycles} {top}");
        }
    }
}
