//! What workers put on record about translations, for the log that management writes (RFC 6888 REQ-12: no destinations).

use std::sync::Arc;

use super::ids::Tick;
use super::message::Rings;
use crate::config::NatLog;
use crate::nat::table::InternalEndpoint;

/// What happened to a translated session, or to a port block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// The session ended.
    Closed,
    /// The host got the block.
    Given,
    /// The session began.
    Opened,
    /// The host gave the block back.
    Returned,
}

/// One entry of the log, as a worker tells of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// When.
    pub at: Tick,
    /// The internal endpoint; of a block the host, with port 0.
    pub internal: InternalEndpoint,
    /// The external endpoint; of a block its first port.
    pub external: (u32, u16),
    /// Sessions that share the external endpoint from now on; `None` where the configuration fixes it.
    pub sharing: Option<u32>,
    /// The last port of a block.
    pub last_port: u16,
    /// IP protocol number; zero for a block, which has all of them.
    pub protocol: u8,
    /// What happened.
    pub event: Recorded,
}

/// A worker's pen: off by default, and never waiting for anybody.
#[derive(Default)]
pub struct Recorder {
    blocks: bool,
    sessions: bool,
    rings: Option<Arc<Rings>>,
    lost: u64,
}

impl Recorder {
    /// Writes to these rings what `log` asks for.
    pub fn new(rings: Arc<Rings>, log: NatLog) -> Self {
        let mut recorder = Self { rings: Some(rings), ..Self::default() };
        recorder.follow(log);
        recorder
    }

    /// From now on writes what `log` asks for.
    pub fn follow(&mut self, log: NatLog) {
        self.blocks = log == NatLog::Blocks;
        self.sessions = log == NatLog::Sessions;
    }

    /// Whether port blocks are put on record.
    #[inline]
    pub fn blocks(&self) -> bool {
        self.blocks
    }

    /// Whether sessions are put on record.
    #[inline]
    pub fn sessions(&self) -> bool {
        self.sessions
    }

    /// Hands a record over; without room it is lost and counted.
    pub fn put(&mut self, record: Record) {
        let Some(rings) = &self.rings else { return };
        if rings.records.push(record).is_err() {
            self.lost += 1;
        }
    }

    /// Counts what was lost before it could be handed over.
    pub fn lose(&mut self, records: u64) {
        self.lost += records;
    }

    /// Records that found no room.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Records that wait for management at most: a tenth of a second at half a million a second.
pub const RECORDS: usize = 65_536;
