//! SYNs from outside that a mapping's filtering refuses, kept for six seconds before anybody is told (RFC 5382 REQ-4):
//! the host behind the mapping may be about to open the same connection from its side.

use std::collections::VecDeque;

use dpdk_bindings::mbuf::Mbuf;

use crate::engine::ids::{Arrival, Tick};
use crate::engine::meta::FlowKey;
use crate::engine::verdict::DropReason;

/// A SYN that waits.
pub struct Waiting {
    /// The SYN as it came.
    pub packet: Mbuf,
    /// How it came.
    pub arrival: Arrival,
    /// Its connection, as it came.
    pub key: FlowKey,
    /// Why it will be dropped.
    pub reason: DropReason,
    until: Tick,
}

/// The refused SYNs of one worker, the oldest first: one for each connection, a bounded number in all.
pub struct Unsolicited {
    waiting: VecDeque<Waiting>,
    /// Their connections, close together because every SYN is compared with all.
    connections: VecDeque<Connection>,
}

/// Remote and external address, and both ports.
type Connection = (u32, u32, u32);

impl Unsolicited {
    /// None waiting, room reserved.
    pub fn new() -> Self {
        Self {
            waiting: VecDeque::with_capacity(CAPACITY),
            connections: VecDeque::with_capacity(CAPACITY),
        }
    }

    /// Keeps a SYN until [`PATIENCE_MS`] have passed. Returns the reason to count for a SYN that is dropped for it: the
    /// oldest one, where there is no room, or itself, where its connection has one waiting.
    pub fn keep(
        &mut self,
        packet: Mbuf,
        arrival: Arrival,
        key: FlowKey,
        reason: DropReason,
        now: Tick,
    ) -> Option<DropReason> {
        let connection = connection(&key);
        if self.connections.contains(&connection) {
            return Some(reason);
        }
        let oldest = if self.waiting.len() == CAPACITY { self.take_oldest() } else { None };
        let until = Tick(now.0 + PATIENCE_MS);
        self.waiting.push_back(Waiting { packet, arrival, key, reason, until });
        self.connections.push_back(connection);
        oldest.map(|oldest| oldest.reason)
    }

    /// The next SYN that has waited long enough.
    pub fn take_overdue(&mut self, now: Tick) -> Option<Waiting> {
        self.waiting.front().filter(|first| first.until <= now)?;
        self.take_oldest()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take_oldest(&mut self) -> Option<Waiting> {
        self.connections.pop_front();
        self.waiting.pop_front()
    }
}

impl Default for Unsolicited {
    fn default() -> Self {
        Self::new()
    }
}

fn connection(key: &FlowKey) -> Connection {
    let ports = u32::from(key.source_port) << 16 | u32::from(key.destination_port);
    (key.source[0], key.destination[0], ports)
}

/// SYNs of one worker that wait at most.
pub const CAPACITY: usize = 256;
/// How long a SYN waits.
const PATIENCE_MS: u64 = 6000;
