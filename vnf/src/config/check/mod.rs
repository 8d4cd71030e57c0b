//! What can be checked only with the whole file read; turns names into indexes on the way.

mod interfaces;
mod nat44;
mod routes;
mod vrfs;

use std::collections::BTreeSet;

use super::reader::quoted;
use super::report::{Found, Place, Report};
use super::section::acl::{Acl, Sets};
use super::section::interface::Interface;
use super::section::nat44::{Nat44, default_sessions};
use super::section::route::{Neighbor, Route};
use super::settings::{DpdkSettings, ManagementSettings, Settings, WorkerSettings};

/// The whole file, read section by section.
pub(super) struct Draft {
    pub(super) acls: Vec<Acl>,
    pub(super) dpdk: DpdkSettings,
    pub(super) management: ManagementSettings,
    /// Top-level keys of which nothing can be said: misspelt, or no tables.
    pub(super) unreadable: Vec<&'static str>,
    pub(super) nat44: Option<Nat44>,
    pub(super) neighbors: Vec<Neighbor>,
    pub(super) ports: Vec<Interface>,
    pub(super) routes: Vec<Route>,
    pub(super) sets: Sets,
    pub(super) vlans: Vec<Interface>,
    pub(super) workers: WorkerSettings,
}

/// Checks a draft and resolves its names. The settings hold only if nothing was reported.
pub(super) fn settle(draft: Draft, report: &Report<'_>) -> Settings {
    let Draft { acls, dpdk, unreadable, nat44, neighbors, ports, routes, vlans, .. } = draft;
    let acl_names =
        Names::new(acls.iter().map(|acl| acl.name.as_ref()), report, !unreadable.contains(&"acl"));
    let network = interfaces::check(&ports, &vlans, &acl_names, &unreadable, report);
    // A misspelt [nat44] has had its message.
    if !unreadable.contains(&"nat44") && !report.incomplete() {
        let place = nat44.as_ref().map(|nat44| &nat44.place);
        nat44::check_roles(place, ports.iter().chain(&vlans), report);
    }
    if let Some(nat44) = &nat44 {
        nat44::check_vrfs(nat44, ports.iter().chain(&vlans), &network, report);
    }
    Settings {
        routes: routes::routes(&routes, &network, report),
        neighbors: routes::neighbors(&neighbors, &network, report),
        sessions: nat44.as_ref().map_or_else(default_sessions, |nat44| nat44.sessions),
        nat44: nat44::check(nat44, &network, dpdk.worker_cores.len(), report),
        acls: acls.into_iter().map(|acl| acl.settings).collect(),
        dpdk,
        vrfs: network.vrfs.names.clone(),
        interfaces: network.interfaces,
        management: draft.management,
        ports: network.ports,
        sets: draft.sets.into_iter().filter_map(|(name, nets)| Some((name, nets?))).collect(),
        warnings: Vec::new(),
        workers: draft.workers,
    }
}

/// The names that references are looked up in.
struct Names {
    /// Whether all names were readable: else a reference may be right.
    complete: bool,
    known: Vec<Option<String>>,
}

impl Names {
    /// Takes the names in order, and reports those that are taken.
    fn new<'a>(
        names: impl Iterator<Item = Option<&'a Found<String>>>,
        report: &Report<'_>,
        complete: bool,
    ) -> Self {
        let mut read: Vec<Option<&Found<String>>> = Vec::new();
        for name in names {
            let taken = |name: &Found<String>| {
                read.iter().flatten().find(|known| known.value == name.value).map(|k| k.place.line)
            };
            if let Some((name, line)) = name.and_then(|name| Some((name, taken(name)?))) {
                name.reject(report, format!("a name of its own: line {line} has this one"));
            }
            read.push(name);
        }
        Self {
            complete: complete && !report.incomplete() && read.iter().all(Option::is_some),
            known: read.into_iter().map(|name| name.map(|name| name.value.clone())).collect(),
        }
    }

    /// The index of a name, which `what` describes; an unknown one is reported.
    fn find(&self, name: &Found<String>, what: &str, report: &Report<'_>) -> Option<usize> {
        let index = self.position(&name.value);
        if index.is_none() {
            self.reject_unknown(name, what, self.known.len(), report);
        }
        index
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.known.iter().position(|known| known.as_deref() == Some(name))
    }

    /// Reports a name that is none of the first `count`, unless one of those is unreadable.
    fn reject_unknown(&self, name: &Found<String>, what: &str, count: usize, report: &Report<'_>) {
        let known = self.known[..count].iter().flatten().collect::<BTreeSet<_>>();
        let known = known.into_iter().collect::<Vec<_>>();
        match known.is_empty() {
            _ if !self.complete => {}
            true => name.reject(report, format!("{what}, and the file has none")),
            false => name.reject(report, format!("{what}: {}", quoted(&known))),
        }
    }
}

/// The place of `key` in the table at `place`.
fn below(place: &Place, key: &str) -> Place {
    Place { key: format!("{}.{key}", place.key), line: place.line }
}
