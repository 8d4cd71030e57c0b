//! A new configuration: checked as a whole, built beside the old one, published at once, and what it means to live
//! sessions.

use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Instant;

use log::warn;

use super::Control;
use crate::acl::{self, AclKey, Decision};
use crate::assembly::Builder;
use crate::config::{self, AclAction, AclSettings, Filtering, NatRole, Settings};
use crate::engine::ids::{InterfaceId, WorkerId};
use crate::engine::message::{Command, Filter, Page, SessionRecord};
use crate::engine::meta::{Direction, Family, FlowKey, Meta};
use crate::engine::tables::Tables;
use crate::forward;
use crate::mgmt::linux;
use crate::mgmt::request::{Failure, Reload, Reply};
use crate::mgmt::view::{ReloadReport, RunningConfig};
use crate::nat::{ExternalPorts, Internal, NatTable, OutboundRule, Ownership};

/// A count of the sessions that tables would end, on its way through the workers.
pub(super) struct Forecast {
    tables: Arc<Tables>,
    changes: Vec<String>,
    ended: u64,
    reply: Reply<ReloadReport>,
}

/// A configuration that a thread of its own checks and builds: ten thousands of rules take their time.
pub(super) struct Preparation {
    reload: Reload,
    reply: Reply<ReloadReport>,
    outcome: mpsc::Receiver<Result<Prepared, Failure>>,
}

/// A configuration that could be applied.
struct Prepared {
    settings: Settings,
    effective: serde_json::Value,
    tables: Tables,
    /// Whether its routes are those of before.
    same_routes: bool,
    changes: Vec<String>,
}

/// What a new configuration is compared with and built from.
struct Basis {
    builder: Builder,
    ownership: Ownership,
    settings: Arc<Settings>,
    tables: Arc<Tables>,
}

impl Control {
    pub(super) fn reload(&mut self, reload: Reload, reply: Reply<ReloadReport>) {
        self.reloads.push_back((reload, reply));
        self.begin_reload();
    }

    /// Begins with the next configuration, once the one before is done.
    fn begin_reload(&mut self) {
        if self.preparation.is_some() {
            return;
        }
        let Some((reload, reply)) = self.reloads.pop_front() else { return };
        let basis = Basis {
            builder: self.parts.builder.clone(),
            ownership: self.parts.ownership.clone(),
            settings: Arc::clone(&self.parts.settings),
            tables: Arc::clone(&self.parts.tables),
        };
        let (sender, outcome) = mpsc::channel();
        let (file, text) = (reload.file.clone(), reload.text.clone());
        let prepare = move || {
            // Nobody waits any more when the VNF is stopping.
            let _ = sender.send(basis.prepare(&file, &text));
        };
        // Without a thread the sender is dropped, and the reload refused.
        if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(prepare) {
            warn!("cannot start a thread: {error}");
        }
        self.preparation = Some(Preparation { reload, reply, outcome });
    }

    /// Applies what was prepared meanwhile.
    pub(super) fn finish_reload(&mut self) {
        let Some(preparation) = &self.preparation else { return };
        let outcome = match preparation.outcome.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                Err(Failure::Unavailable("the configuration could not be built".to_owned()))
            }
            Ok(outcome) => outcome,
        };
        let Some(Preparation { reload, reply, .. }) = self.preparation.take() else { return };
        match outcome {
            Err(failure) => {
                self.reloads_refused += u64::from(!reload.dry_run);
                reply.settle(Err(failure));
            }
            Ok(Prepared { changes, .. }) if changes.is_empty() => {
                self.reloads_applied += u64::from(!reload.dry_run);
                reply.send(ReloadReport { sessions_ended: 0, changes });
            }
            Ok(Prepared { settings, effective, mut tables, same_routes, changes }) => {
                // Neighbours and routes were learned and lost meanwhile.
                tables.learn_again(&settings, &self.parts.tables);
                tables.generation = Tables::after_reload(self.parts.tables.generation);
                tables.routes = Arc::clone(&self.parts.tables.routes);
                let mut ribs = None;
                if !same_routes {
                    let mut carried = match self.carry_over(&settings) {
                        Ok(carried) => carried,
                        Err(failure) => {
                            self.reloads_refused += u64::from(!reload.dry_run);
                            reply.settle(Err(failure));
                            return self.begin_reload();
                        }
                    };
                    tables.routes = Arc::new(carried.publish());
                    ribs = Some(carried);
                }
                let tables = Arc::new(tables);
                if !reload.dry_run {
                    if let Some(ribs) = ribs {
                        self.ribs = ribs;
                    }
                    let Reload { file, text, .. } = reload;
                    let running = RunningConfig { file, text, effective };
                    self.apply(running, settings, Arc::clone(&tables));
                    self.reloads_applied += 1;
                }
                self.begin_forecast(Forecast { tables, changes, ended: 0, reply });
            }
        }
        self.begin_reload();
    }

    fn apply(&mut self, running: RunningConfig, settings: Settings, tables: Arc<Tables>) {
        let tables = Arc::new(self.with_checked_addresses(&tables));
        let configured = |(interface, address): (InterfaceId, _)| {
            let neighbors = &settings.neighbors;
            neighbors.iter().any(|n| n.interface == interface.index() && n.address == address)
        };
        self.neighbors.cache.reconfigure(configured, &tables.neighbors, Instant::now());
        self.parts.nat_log.configure(&settings);
        if let Some(linux) = &self.parts.linux {
            linux.adopt(&tables.interfaces);
        }
        let ports_change = settings.nat44 != self.parts.settings.nat44;
        for worker in self.workers() {
            let ports = ports_change
                .then(|| Box::new(ExternalPorts::new(&tables.nat, &self.parts.ownership, worker)));
            self.command(worker, Command::Adopt(Arc::clone(&tables), ports));
        }
        // Lists that are compiled anew count from zero.
        let old = &self.parts.tables.acl;
        self.baseline.acl.retain(|row| {
            let place = |acls: &[AclSettings]| acls.iter().position(|acl| acl.name == row.name);
            let places = (place(&self.parts.settings.acls), place(&settings.acls));
            matches!(places, (Some(before), Some(now)) if old.shares(before, &tables.acl, now))
        });
        self.parts.tables = tables;
        self.running = running;
        let before = crate::mgmt::nat_log::parameters(&self.parts.settings);
        self.parts.settings = Arc::new(settings);
        self.probe_new_addresses();
        self.say_parameters(before);
    }

    /// Counts the sessions that tables would end, once those who asked before have their count.
    fn begin_forecast(&mut self, forecast: Forecast) {
        self.forecasts.push_back(forecast);
        if self.forecasts.len() == 1 {
            self.survey(WorkerId(0));
        }
    }

    fn survey(&self, worker: WorkerId) {
        let page = Page::new(0, Filter::default(), SURVEYED_ROWS);
        self.command(worker, Command::SurveySessions(page));
    }

    pub(super) fn surveyed(&mut self, worker: WorkerId, mut page: Box<Page<SessionRecord>>) {
        let Some(forecast) = self.forecasts.front_mut() else { return };
        let ends = |record: &&SessionRecord| !survives(record, &forecast.tables);
        forecast.ended += page.rows.iter().filter(ends).count() as u64;
        if page.more {
            page.rows.clear();
            return self.command(worker, Command::SurveySessions(page));
        }
        let next = WorkerId(worker.0 + 1);
        if next.index() < self.parts.workers.len() {
            return self.survey(next);
        }
        if let Some(Forecast { changes, ended, reply, .. }) = self.forecasts.pop_front() {
            reply.send(ReloadReport { sessions_ended: ended, changes });
        }
        if !self.forecasts.is_empty() {
            self.survey(WorkerId(0));
        }
    }
}

/// Whether a session's next packet passes under these tables, translated as before: what the packet path will decide,
/// asked once more about a record.
fn survives(record: &SessionRecord, tables: &Tables) -> bool {
    let outbound = record.key;
    let opened = match record.opened_by {
        Direction::Outbound => outbound,
        Direction::Inbound => outbound.reversed(),
    };
    let (Some(entered), Some(leaves)) =
        (interface_towards(&opened.reversed(), tables), interface_towards(&opened, tables))
    else {
        return false;
    };
    translated_as_before(record, entered, leaves, tables)
        && permitted(&opened, entered, leaves, tables)
}

impl Basis {
    /// Checks a configuration and builds its tables; nothing is changed.
    fn prepare(&self, file: &str, text: &str) -> Result<Prepared, Failure> {
        let invalid = |error: &dyn std::fmt::Display| Failure::Invalid(error.to_string());
        let settings = config::parse(file, text).map_err(|e| invalid(&e))?;
        if let Some(why) = linux::ports::check(&settings).refused {
            return Err(Failure::Invalid(format!("{file}: {why}")));
        }
        let old = &self.settings;
        let diff = config::diff(old, &settings);
        let mut restart = diff.restart_required;
        let by_address = |s: &Settings| {
            s.nat44.as_ref().is_some_and(|n| n.filtering.any(Filtering::AddressDependent))
        };
        if by_address(&settings) && !by_address(old) {
            restart
                .push("nat44.filtering (address-dependent needs memory reserved at start)".into());
        }
        let (before, workers) = (&self.tables.nat, self.builder.workers);
        let nat = NatTable::new(settings.nat44.as_ref(), workers, Some(before));
        if !before.keeps_ports(&nat, &self.ownership) {
            restart.push("nat44 (other ports would belong to hosts with sessions)".into());
        }
        if !restart.is_empty() {
            let keys = restart.join(", ");
            return Err(Failure::NeedsRestart(format!(
                "{file}: needs a restart: {keys}; nothing was changed"
            )));
        }
        let generation = Tables::after_reload(self.tables.generation);
        let before = Some((&**old, &*self.tables));
        let tables = self.builder.build(&settings, generation, before).map_err(|e| invalid(&e))?;
        let effective = settings.to_json();
        let same_routes = Arc::ptr_eq(&tables.routes, &self.tables.routes);
        Ok(Prepared { settings, effective, tables, same_routes, changes: diff.changes })
    }
}

/// The interface by which packets with this key leave; the hairpin for the NAT's own addresses.
fn interface_towards(key: &FlowKey, tables: &Tables) -> Option<InterfaceId> {
    if forward::reaches_nat(key, tables) {
        return Some(InterfaceId::HAIRPIN);
    }
    let mut meta = Meta::default();
    forward::route(&mut meta, key, tables).ok()?;
    Some(meta.egress)
}

fn translated_as_before(
    record: &SessionRecord,
    entered: InterfaceId,
    leaves: InterfaceId,
    tables: &Tables,
) -> bool {
    let key = &record.key;
    let internal = (Internal::source_of(key), key.source_port);
    let crosses = {
        let pair = [tables.interfaces.role(entered), tables.interfaces.role(leaves)];
        pair == [Some(NatRole::Internal), Some(NatRole::External)]
            || pair == [Some(NatRole::External), Some(NatRole::Internal)]
    };
    match record.external {
        None => key.family == Family::Ipv6 || !crosses || exempt(key, [entered, leaves], tables),
        Some(external) => {
            let fixed = tables.nat.fixed_internal(key.protocol, external);
            let rule = tables.nat.outbound(key.protocol, internal, key.destination[0]);
            crosses
                && rule != OutboundRule::Untranslated
                && (fixed == Some(internal)
                    || fixed.is_none()
                        && rule == OutboundRule::Dynamic
                        && tables.nat.allows_dynamic(key.protocol, external))
        }
    }
}

fn exempt(key: &FlowKey, between: [InterfaceId; 2], tables: &Tables) -> bool {
    let internal =
        between.into_iter().find(|id| tables.interfaces.role(*id) == Some(NatRole::Internal));
    let vrf = internal.map_or(key.vrf, |id| tables.vrf(id));
    let (a, b) = (key.source[0], key.destination[0]);
    let exempts = |address, remote| tables.nat.exempts(Internal { vrf, address }, remote);
    exempts(a, b) || exempts(b, a)
}

fn permitted(opened: &FlowKey, entered: InterfaceId, leaves: InterfaceId, tables: &Tables) -> bool {
    let key = AclKey::of(opened, acl::opening(opened), tables.interfaces.vlan(entered));
    let interface = |id| tables.interfaces.find(id);
    let lists = [
        interface(entered).and_then(|interface| interface.acl_in),
        interface(leaves).and_then(|interface| interface.acl_out),
    ];
    lists.into_iter().flatten().all(|acl| {
        let mut decision = [Decision::PERMITTED];
        tables.acl.rules(acl).classify(&[key], &mut decision);
        decision[0].action == AclAction::Permit
    })
}

/// Sessions of one page of a survey.
const SURVEYED_ROWS: usize = 512;
