//! What opening the sessions of a burst will touch, asked for before, so that its cache misses overlap.

use rand::Rng;

use super::{Endpoint, Flows};
use crate::engine::burst::Burst;
use crate::engine::mask::{BURST, Mask, Slot};
use crate::engine::meta::Direction;
use crate::engine::tables::Tables;
use crate::nat::table::Internal;
use crate::session::{NIL, Opening, Plan};
use crate::table::Place;

/// What is known of a flow before it is opened to an endpoint from the pool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    /// Where its host is entered.
    pub(super) host: Place,
    /// Where its internal endpoint is entered.
    pub(super) inside: Place,
    /// What chooses its external port.
    pub(super) draw: u64,
    /// The external endpoint that it probably gets.
    pub(super) external: Option<Endpoint>,
    /// Where that is entered.
    pub(super) outside: Place,
    /// Where the key of the answers is entered then.
    pub(super) answers: Place,
}

impl Flows {
    /// Asks the processor for everything that opening the sessions of these packets will touch: their cache misses overlap.
    #[inline(never)]
    pub fn prepare(&mut self, burst: &Burst, tables: &Tables) {
        let mut translated = Mask::EMPTY;
        for slot in burst.undecided() {
            let decision = &self.decisions[slot];
            if decision.plan == Plan::TranslateDynamic {
                let key = &decision.real;
                let internal = (Internal::source_of(key), key.source_port);
                let ahead = &mut self.ahead[slot];
                ahead.host = self.hosts.prefetch_entry(internal.0);
                ahead.inside = self.mappings.prefetch_internal(key.protocol, internal);
                translated.insert(slot);
            }
        }
        self.sessions.prefetch_free(translated.len());
        self.mappings.prefetch_free(translated.len());
        let mut hosts = [NIL; BURST];
        for slot in translated {
            let ahead = &mut self.ahead[slot];
            hosts[slot.index()] = self.hosts.prefetch_candidate(ahead.host).unwrap_or(NIL);
            ahead.draw = self.random.next_u64();
        }
        for slot in translated {
            let (key, ahead) = (&self.decisions[slot].real, &mut self.ahead[slot]);
            let host = self.hosts.in_use(hosts[slot.index()]);
            ahead.external = host
                .and_then(|host| self.ports.preview(&tables.nat, host, key.protocol, ahead.draw));
            if let Some(external) = ahead.external {
                ahead.outside = self.mappings.prefetch_external(key.protocol, external);
                let mut answers = key.reversed();
                answers.vrf = tables.vrf(burst.meta[slot].egress);
                (answers.destination[0], answers.destination_port) = external;
                ahead.answers = self.sessions.prefetch_entry(&answers);
            }
        }
    }

    /// Where the keys of both directions are entered: that of the packet is known, and often that of the answers.
    pub(super) fn places_of(&self, slot: Slot, opening: &Opening, plan: Plan) -> [Place; 2] {
        let first = self.sessions.place(slot);
        if opening.direction == Direction::Inbound {
            return [self.sessions.prefetch_entry(&opening.key_of(Direction::Outbound)), first];
        }
        let ahead = &self.ahead[slot];
        let foreseen = plan == Plan::TranslateDynamic && opening.external == ahead.external;
        let answers = || self.sessions.prefetch_entry(&opening.key_of(Direction::Inbound));
        [first, if foreseen { ahead.answers } else { answers() }]
    }
}
