//! Who holds an external endpoint: found at once while the mapping is in use, by looking through them where it rests.

use super::Worker;
use crate::engine::ids::Tick;
use crate::engine::message::{HolderRecord, Inquiry};

impl Worker {
    /// Adds what this worker knows.
    pub(super) fn inquire(&self, inquiry: &mut Inquiry, now: Tick) {
        let (mappings, nat) = (&self.pipeline.flows.mappings, &self.tables.nat);
        let external = inquiry.external;
        if inquiry.from == 0 {
            for at in 0..inquiry.protocols.len() {
                let protocol = inquiry.protocols[at];
                if let Some(id) = mappings.of_external(protocol, external) {
                    let internal = mappings.mapping(id).internal();
                    inquiry.add(HolderRecord { protocol, internal, rests_ms: None });
                }
            }
        }
        let end = mappings.capacity() as u32;
        if mappings.resting() == 0 || inquiry.holders.len() == inquiry.protocols.len() {
            (inquiry.from, inquiry.more) = (end, false);
            return;
        }
        let stop = end.min(inquiry.from.saturating_add(VISITS));
        for id in inquiry.from..stop {
            let Some((mapping, rested)) = mappings.at_rest(id, now) else { continue };
            let protocol = mapping.protocol();
            if mapping.external() == external && inquiry.protocols.contains(&protocol) {
                let rests_ms = Some(nat.reuse_hold_ms().saturating_sub(rested));
                inquiry.add(HolderRecord { protocol, internal: mapping.internal(), rests_ms });
            }
        }
        (inquiry.from, inquiry.more) = (stop, stop < end);
    }
}

impl Inquiry {
    /// A worker allocates nothing: what finds no room is left out.
    fn add(&mut self, holder: HolderRecord) {
        if self.holders.len() < self.holders.capacity() {
            self.holders.push(holder);
        }
    }
}

/// Mappings looked at for one command: ten microseconds or so.
const VISITS: u32 = 2048;
