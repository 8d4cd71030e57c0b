//! Everything the management core decides, as the workers read it. Never changed in place: a change is a new `Tables`
//! that shares its unchanged parts.

use std::sync::Arc;

use super::ids::{InterfaceId, VrfId};
use super::interfaces::InterfaceTable;
use crate::acl::AclTable;
use crate::config::NatLog;
use crate::forward::Vrfs;
use crate::nat::NatTable;
use crate::neighbor::NeighborTable;
use crate::session::{Limits, Timeouts};

/// One state of the configuration and of what was learned from the network.
#[derive(Clone)]
pub struct Tables {
    /// The number of the configuration and, in its low [`ROUTES`] bits, of the routes. Sessions decide again when it changes,
    /// or look their routes up again where only those changed; learning a neighbour does not change it.
    pub generation: u32,
    /// Interfaces, their roles and addresses.
    pub interfaces: Arc<InterfaceTable>,
    /// Translation.
    pub nat: Arc<NatTable>,
    /// Access control lists.
    pub acl: Arc<AclTable>,
    /// Routes by VRF, own addresses among them.
    pub routes: Arc<Vrfs>,
    /// Neighbours.
    pub neighbors: Arc<NeighborTable>,
    /// Session timeouts.
    pub timeouts: Timeouts,
    /// Limits per host.
    pub limits: Limits,
    /// What is put on record about translations.
    pub log: NatLog,
}

impl Tables {
    /// The next number where only routes change.
    pub fn after_routes(generation: u32) -> u32 {
        generation.wrapping_add(1).max(1)
    }

    /// The next number where anything may change.
    pub fn after_reload(generation: u32) -> u32 {
        (generation | ROUTES).wrapping_add(1).max(1)
    }

    /// Whether only routes changed between two numbers.
    #[inline]
    pub fn differ_in_routes(one: u32, other: u32) -> bool {
        (one ^ other) & !ROUTES == 0
    }

    /// The VRF of an interface; a hairpinned packet is on the external side.
    #[inline]
    pub fn vrf(&self, interface: InterfaceId) -> VrfId {
        if interface == InterfaceId::HAIRPIN {
            return self.nat.external_vrf();
        }
        self.interfaces.find(interface).map_or(VrfId::DEFAULT, |interface| interface.vrf)
    }
}

/// The bits of the routes' number: at ten publications a second they carry over, as a new configuration does, after seven
/// hours.
const ROUTES: u32 = (1 << 18) - 1;
