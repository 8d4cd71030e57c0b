//! What is told of flows: records for the log, and hosts that got no session.

use super::Flows;
use crate::engine::ids::{SessionId, Tick};
use crate::engine::meta::{Direction, Family, FlowKey};
use crate::engine::record::{Record, Recorded};
use crate::engine::verdict::DropReason;
use crate::nat::Internal;
use crate::session::NIL;
use crate::session::refusals::Refusal;

impl Flows {
    /// Notes that a host got no session for this packet, seen from its side.
    #[cold]
    pub fn refused(&mut self, reason: DropReason, key: &FlowKey, now: Tick) {
        let vrf = key.vrf;
        let host = self.hosts.find(Internal::source_of(key)).filter(|_| key.family == Family::Ipv4);
        let external = host.map(|id| self.hosts.host(id).external).filter(|paired| *paired != 0);
        let host = crate::forward::address(key.family, &key.source);
        self.refusals.note(Refusal { reason, vrf, host, external, protocol: key.protocol }, now);
    }

    /// Puts a session on record that was just opened, or is about to be closed.
    #[cold]
    pub(super) fn record(&mut self, id: SessionId, event: Recorded, now: Tick) {
        let session = self.sessions.session(id);
        let Some(external) = session.external() else { return };
        let key = session.real_key(Direction::Outbound);
        let (internal, external, sharing) = match self.sessions.mapping_of(id) {
            NIL => ((Internal::source_of(&key), key.source_port), external, None),
            mapping => {
                // A query from outside has an identifier of its own; on record is whose mapping it came through.
                let mapping = self.mappings.mapping(mapping);
                let others = u32::from(event == Recorded::Closed);
                (mapping.internal(), mapping.external(), Some(mapping.sessions() - others))
            }
        };
        let protocol = key.protocol;
        let last_port = 0;
        self.recorder.put(Record {
            at: now,
            internal,
            external,
            sharing,
            last_port,
            protocol,
            event,
        });
    }

    /// Puts port blocks on record that hosts got or gave back since the last time.
    pub fn record_blocks(&mut self, now: Tick) {
        let (changes, lost) = self.hosts.take_block_changes();
        for change in changes {
            self.recorder.put(Record {
                at: now,
                internal: (change.host, 0),
                external: (change.address, change.ports.0),
                sharing: None,
                last_port: change.ports.1,
                protocol: 0,
                event: if change.opened { Recorded::Given } else { Recorded::Returned },
            });
        }
        self.recorder.lose(lost);
    }
}
