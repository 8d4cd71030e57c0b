//! Routes that change while the VNF runs: all or nothing, published to the workers in batches.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use log::warn;

use super::Control;
use crate::assembly::tables::ribs;
use crate::config::Settings;
use crate::engine::ids::{InterfaceId, VrfId};
use crate::engine::tables::Tables;
use crate::forward::rib::{Origin, Ribs};
use crate::forward::route_table::{Gateway, RouteTarget};
use crate::mgmt::request::{Cursor, Failure, Page, Rows};
use crate::mgmt::view::{RouteEntry, RouteRow, RoutesChanged};

/// A route with its names resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The VRF whose packets it routes.
    pub vrf: VrfId,
    /// The destination.
    pub prefix: IpNet,
    /// Where to.
    pub target: RouteTarget,
}

impl Control {
    /// Changes routes of an origin: removes some, then adds others in the place of those for the same prefixes. Either all of
    /// it is done or, when there are too many different next hops, nothing. Workers know within 50 ms.
    ///
    /// # Errors
    /// When there are too many different next hops.
    pub fn change_routes(
        &mut self,
        origin: Origin,
        add: Vec<Route>,
        remove: &[(VrfId, IpNet)],
    ) -> Result<RoutesChanged, Failure> {
        let mut changed = RoutesChanged::default();
        let mut undo: Vec<(VrfId, IpNet, Option<RouteTarget>)> = Vec::new();
        for (vrf, prefix) in remove {
            let Some(rib) = self.ribs.rib_mut(*vrf) else { continue };
            let before = rib.find(origin, *prefix).cloned();
            match rib.remove(origin, *prefix) {
                true => changed.removed += 1,
                false => changed.unchanged += 1,
            }
            undo.push((*vrf, *prefix, before));
        }
        for Route { vrf, prefix, target } in add {
            let Some(rib) = self.ribs.rib_mut(vrf) else { continue };
            let before = rib.find(origin, prefix).cloned();
            match rib.set(origin, prefix, target) {
                Ok(true) if before.is_none() => changed.added += 1,
                Ok(true) => changed.replaced += 1,
                Ok(false) => changed.unchanged += 1,
                Err(why) => {
                    self.undo_routes(origin, undo);
                    return Err(Failure::Invalid(format!("{why}; nothing was changed")));
                }
            }
            undo.push((vrf, prefix, before));
        }
        self.publish_routes();
        Ok(changed)
    }

    fn undo_routes(&mut self, origin: Origin, undo: Vec<(VrfId, IpNet, Option<RouteTarget>)>) {
        for (vrf, prefix, before) in undo.into_iter().rev() {
            let Some(rib) = self.ribs.rib_mut(vrf) else { continue };
            match before {
                // Its target was there a moment ago.
                Some(target) => drop(rib.set(origin, prefix, target)),
                None => drop(rib.remove(origin, prefix)),
            }
        }
    }

    /// Changes routes as the API asks.
    pub(super) fn patch_routes(
        &mut self,
        add: &[RouteEntry],
        remove: &[RouteEntry],
    ) -> Result<RoutesChanged, Failure> {
        let mut wrong = Vec::new();
        let mut keep =
            |list: &str, at: usize, why: String| wrong.push(format!("{list}[{at}].{why}"));
        let mut added = Vec::new();
        for (at, entry) in add.iter().enumerate() {
            match self.resolve_route(entry) {
                Ok(route) => added.push(route),
                Err(why) => keep("add", at, why),
            }
        }
        let mut removed = Vec::new();
        for (at, entry) in remove.iter().enumerate() {
            match self
                .find_vrf("vrf", entry.vrf.as_deref())
                .and_then(|vrf| Ok((vrf, whole(entry)?)))
            {
                Ok(route) => removed.push(route),
                Err(why) => keep("remove", at, why),
            }
        }
        if !wrong.is_empty() {
            wrong.truncate(ERRORS);
            return Err(Failure::Invalid(wrong.join("\n")));
        }
        self.change_routes(Origin::Api, added, &removed)
    }

    /// Finds what a route's names stand for.
    fn resolve_route(&self, entry: &RouteEntry) -> Result<Route, String> {
        let vrf = self.find_vrf("vrf", entry.vrf.as_deref())?;
        let prefix = whole(entry)?;
        let other = entry.next_hop_vrf.as_deref();
        let other = other.map(|name| self.find_vrf("next_hop_vrf", Some(name))).transpose()?;
        let alone = usize::from(entry.discard) + usize::from(entry.unreachable);
        if alone + usize::from(!entry.next_hops.is_empty()) > 1 || alone > 0 && other.is_some() {
            return Err("next_hops: one of next_hops, discard and unreachable is meant".to_owned());
        }
        let gateways = entry
            .next_hops
            .iter()
            .map(|address| self.gateway(other.unwrap_or(vrf), *address, prefix))
            .collect::<Result<Vec<_>, _>>()?;
        let target = match other {
            _ if entry.discard => RouteTarget::Discard,
            _ if entry.unreachable => RouteTarget::Unreachable,
            _ if !gateways.is_empty() => RouteTarget::Gateways(gateways),
            Some(other) if other == vrf => {
                return Err("next_hop_vrf: another VRF than the route's own is meant".to_owned());
            }
            Some(other) => RouteTarget::Vrf(other),
            None => return Err("next_hops: found nothing, expected next hops".to_owned()),
        };
        Ok(Route { vrf, prefix, target })
    }

    fn find_vrf(&self, key: &str, name: Option<&str>) -> Result<VrfId, String> {
        let Some(name) = name else { return Ok(VrfId::DEFAULT) };
        let found = self.parts.settings.vrfs.find(name).map(|vrf| VrfId(vrf as u8));
        found.ok_or_else(|| format!("{key}: found `{name}`, which no port or VLAN has"))
    }

    fn gateway(&self, vrf: VrfId, address: IpAddr, prefix: IpNet) -> Result<Gateway, String> {
        if address.is_ipv4() != prefix.addr().is_ipv4() {
            return Err(format!("next_hops: {address} is not of the family of {prefix}"));
        }
        let mut of_vrf = self.parts.tables.interfaces.iter().filter(|port| port.vrf == vrf);
        if of_vrf.clone().any(|interface| interface.owns(address)) {
            return Err(format!("next_hops: {address} is an own address, not a neighbour's"));
        }
        let interface = of_vrf.find(|interface| interface.on_link(address));
        let interface = interface
            .ok_or_else(|| format!("next_hops: {address} lies in no subnet of a port or VLAN"))?;
        Ok(Gateway { address, interface: interface.id.0 })
    }

    /// Tells the workers of routes that changed, unless they have been told a moment ago.
    pub(super) fn publish_routes(&mut self) {
        if !self.ribs.is_outdated() || self.routes_published.elapsed() < PUBLISH_EVERY {
            return;
        }
        self.routes_published = Instant::now();
        let tables = Tables {
            generation: Tables::after_routes(self.parts.tables.generation),
            routes: Arc::new(self.ribs.publish()),
            ..Tables::clone(&self.parts.tables)
        };
        self.publish(Arc::new(tables));
    }

    /// The routes of other settings, and those of the API and the kernel that still lead to a neighbour's address.
    pub(super) fn carry_over(&self, settings: &Settings) -> Result<Ribs, Failure> {
        let mut next = ribs(settings).map_err(|why| Failure::Invalid(why.to_string()))?;
        let leads = |gateway: &Gateway| {
            let interface = settings.interfaces.get(usize::from(gateway.interface));
            let link_local =
                matches!(gateway.address, IpAddr::V6(own) if own.is_unicast_link_local());
            interface.is_some_and(|interface| {
                link_local
                    || interface
                        .addresses
                        .iter()
                        .any(|net| net.contains(&gateway.address) && net.addr() != gateway.address)
            })
        };
        for vrf in (0..settings.vrfs.count()).map(|vrf| VrfId(vrf as u8)) {
            let (Some(old), Some(new)) = (self.ribs.rib(vrf), next.rib_mut(vrf)) else { continue };
            for origin in [Origin::Api, Origin::Kernel] {
                for (prefix, target) in old.routes(origin, None) {
                    let holds = match target {
                        RouteTarget::Gateways(gateways) => gateways.iter().all(leads),
                        _ => true,
                    };
                    if !holds || new.set(origin, prefix, target.clone()).is_err() {
                        warn!(
                            "route {prefix} ({}): its next hops are gone, and so is it",
                            origin.name()
                        );
                    }
                }
            }
        }
        Ok(next)
    }

    /// A part of the routes, by VRF and origin. A list is a walk: what changes meanwhile may be missed or told twice.
    pub(super) fn route_page(&self, page: &Page) -> Rows<RouteRow> {
        let names = &self.parts.settings.vrfs;
        let wanted = page.filter.vrf.as_ref();
        let vrfs = (0..names.count())
            .filter(|vrf| wanted.is_none_or(|name| names.name(*vrf) == name))
            .map(|vrf| VrfId(vrf as u8));
        let all = vrfs.filter_map(|vrf| Some((vrf, self.ribs.rib(vrf)?))).flat_map(|(vrf, rib)| {
            let of = move |origin| rib.routes(origin, None).map(move |route| (vrf, origin, route));
            Origin::ALL.into_iter().flat_map(of)
        });
        let from = page.from.0 as usize;
        let most = if page.limit < SHORT_PAGE { page.limit } else { LONG_PAGE };
        let mut rest = all.skip(from);
        let rows: Vec<RouteRow> = rest
            .by_ref()
            .take(most)
            .map(|(vrf, origin, (prefix, target))| self.route_row(vrf, origin, prefix, target))
            .collect();
        let next = rest.next().is_some().then(|| Cursor((from + rows.len()) as u64));
        Rows { rows, next }
    }

    fn route_row(&self, vrf: VrfId, origin: Origin, prefix: IpNet, to: &RouteTarget) -> RouteRow {
        let settings = &self.parts.settings;
        let port =
            |interface: u8| Some(settings.interfaces.get(usize::from(interface))?.name.clone());
        let name = |vrf: VrfId| settings.vrfs.name(vrf.index()).to_owned();
        let (next_hops, port, kind, other) = match to {
            RouteTarget::Connected { interface } => {
                (Vec::new(), port(*interface), "connected", None)
            }
            RouteTarget::Discard => (Vec::new(), None, "discard", None),
            RouteTarget::Gateways(gateways) => {
                let first = gateways.first();
                let via = first.and_then(|gateway| port(gateway.interface));
                let there =
                    first.map(|gateway| self.parts.tables.vrf(InterfaceId(gateway.interface)));
                let hops = gateways.iter().map(|gateway| gateway.address.to_string()).collect();
                (hops, via, "next-hops", there.filter(|there| *there != vrf))
            }
            RouteTarget::Local { interface } => (Vec::new(), port(*interface), "local", None),
            RouteTarget::Unreachable => (Vec::new(), None, "unreachable", None),
            RouteTarget::Vrf(other) => (Vec::new(), None, "vrf", Some(*other)),
        };
        RouteRow {
            prefix: prefix.to_string(),
            next_hops,
            port,
            origin: origin.name().to_owned(),
            vrf: name(vrf),
            next_hop_vrf: other.map(name),
            kind: kind.to_owned(),
        }
    }
}

/// The prefix of an entry, all of whose host bits are zero.
fn whole(entry: &RouteEntry) -> Result<IpNet, String> {
    match entry.prefix == entry.prefix.trunc() {
        true => Ok(entry.prefix),
        false => Err(format!("prefix: found {}, expected {}", entry.prefix, entry.prefix.trunc())),
    }
}

/// Between two publications of routes: changes in between are told together.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// Errors told of one request.
const ERRORS: usize = 20;
/// Pages shorter than this are somebody's limit.
const SHORT_PAGE: usize = 1024;
/// Other pages: to find the next one takes as long as to skip those before.
const LONG_PAGE: usize = 16_384;
