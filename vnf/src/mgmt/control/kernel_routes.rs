//! The kernel's routes through the taps as routes of the VNF.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;
use log::warn;

use super::Control;
use super::routes::Route;
use crate::engine::ids::{InterfaceId, VrfId};
use crate::forward::RouteTarget;
use crate::forward::rib::Origin;
use crate::forward::route_table::Gateway;
use crate::mgmt::linux::{KernelRoute, RouteChange};

/// The VRF that each of the kernel's routes was put into: that of its tap.
pub(super) type KernelRoutes = HashMap<IpNet, VrfId>;

impl Control {
    /// Takes up what the kernel's routes have changed to.
    pub(super) fn follow_kernel_routes(&mut self) {
        let Some(linux) = &self.parts.linux else { return };
        let mut latest: BTreeMap<IpNet, Option<KernelRoute>> = BTreeMap::new();
        for change in std::iter::from_fn(|| linux.next_change()).take(CHANGES_PER_TURN) {
            match change {
                RouteChange::Gone(prefix) => latest.insert(prefix, None),
                RouteChange::Set(route) => latest.insert(route.prefix, Some(route)),
            };
        }
        if latest.is_empty() {
            return;
        }
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for (prefix, route) in latest {
            let before = self.kernel_routes.remove(&prefix);
            let target = route.as_ref().and_then(target);
            let vrf = target.as_ref().and_then(|(interface, _)| {
                self.parts.tables.interfaces.find(*interface).map(|interface| interface.vrf)
            });
            if let Some(before) = before.filter(|before| vrf != Some(*before)) {
                remove.push((before, prefix));
            }
            if let (Some(vrf), Some((_, target))) = (vrf, target) {
                self.kernel_routes.insert(prefix, vrf);
                add.push(Route { vrf, prefix, target });
            }
        }
        if let Err(why) = self.change_routes(Origin::Kernel, add, &remove) {
            warn!("the kernel's routes: {why}");
        }
    }
}

/// Where a route of the kernel leads, and by which interface first; none where it mixes neighbours and subnets.
fn target(route: &KernelRoute) -> Option<(InterfaceId, RouteTarget)> {
    let (first, _) = *route.next_hops.first()?;
    if let [(interface, None)] = route.next_hops[..] {
        return Some((first, RouteTarget::Connected { interface: interface.0 }));
    }
    let gateway = |(interface, gateway): &(InterfaceId, Option<_>)| {
        Some(Gateway { address: (*gateway)?, interface: interface.0 })
    };
    let gateways = route.next_hops.iter().map(gateway).collect::<Option<Vec<_>>>()?;
    Some((first, RouteTarget::Gateways(gateways)))
}

/// Changes taken up in one turn.
const CHANGES_PER_TURN: usize = 1000;
