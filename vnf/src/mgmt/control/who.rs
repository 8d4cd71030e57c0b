//! Who holds an external endpoint: told by the configuration, or by the workers, each of which looks at its own mappings.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::SystemTime;

use super::Control;
use crate::config::VrfNames;
use crate::engine::ids::WorkerId;
use crate::engine::message::{Command, HolderRecord, Inquiry};
use crate::mgmt::nat_log::{parameters, show_time};
use crate::mgmt::request::{Cursor, Page, Protocol, Reply, WhoAnswer, WhoQuestion};
use crate::mgmt::view::{Holder, HolderKind, HostRow};
use crate::nat::layout::Layout;
use crate::wire::protocol;

/// A question on its way through the workers.
pub(super) struct Inquest {
    number: u64,
    external: SocketAddrV4,
    /// Workers that have not told everything.
    waiting: usize,
    answer: WhoAnswer,
    reply: Reply<WhoAnswer>,
}

impl Control {
    pub(super) fn begin_inquest(&mut self, question: &WhoQuestion, reply: Reply<WhoAnswer>) {
        let nat44 = self.parts.settings.nat44.as_ref();
        let log = nat44.map(|nat44| nat44.log_file.clone());
        let parameters = parameters(&self.parts.settings);
        let holders = self.fixed_holders(question);
        let mut answer = WhoAnswer { holders, log, parameters };
        if question.past && answer.holders.is_empty() {
            answer.holders.extend(self.computed_holder(question.external));
        }
        if question.past || !answer.holders.is_empty() && question.protocol.is_some() {
            return reply.send(answer);
        }
        let external = (u32::from(*question.external.ip()), question.external.port());
        self.inquests_begun += 1;
        let number = self.inquests_begun;
        for worker in self.workers() {
            let protocols = protocols(question);
            let holders = Vec::with_capacity(protocols.len());
            let inquiry = Inquiry { number, external, protocols, from: 0, more: false, holders };
            self.command(worker, Command::Inquire(Box::new(inquiry)));
        }
        let (waiting, external) = (self.parts.workers.len(), question.external);
        self.inquests.push(Inquest { number, external, waiting, answer, reply });
    }

    /// Takes what a worker found so far, and asks on or answers.
    pub(super) fn inquired(&mut self, worker: WorkerId, inquiry: Box<Inquiry>) {
        if inquiry.more {
            return self.command(worker, Command::Inquire(inquiry));
        }
        let found = self.inquests.iter().position(|inquest| inquest.number == inquiry.number);
        let Some(at) = found else { return };
        let inquest = &mut self.inquests[at];
        let vrfs = &self.parts.settings.vrfs;
        let found = inquiry.holders.iter().map(|record| holder(record, vrfs));
        inquest.answer.holders.extend(found);
        inquest.waiting -= 1;
        if inquest.waiting == 0 {
            let Inquest { external, mut answer, reply, .. } = self.inquests.swap_remove(at);
            if answer.holders.is_empty() {
                answer.holders.extend(self.computed_holder(external));
            }
            answer.holders.sort_by(|a, b| a.protocol.cmp(&b.protocol));
            reply.send(answer);
        }
    }

    fn fixed_holders(&self, question: &WhoQuestion) -> Vec<Holder> {
        let nat = &self.parts.tables.nat;
        let external = (u32::from(*question.external.ip()), question.external.port());
        let fixed = |protocol: &u8| Some((*protocol, nat.fixed_internal(*protocol, external)?));
        let mut holders: Vec<Holder> = protocols(question)
            .iter()
            .filter_map(fixed)
            .map(|(protocol, (host, port))| Holder {
                protocol: Protocol(protocol).to_string(),
                internal: SocketAddrV4::new(host.address.into(), port).to_string(),
                vrf: self.parts.settings.vrfs.name(host.vrf.index()).to_owned(),
                kind: HolderKind::Static,
                since: None,
                until: None,
                uncertain: false,
            })
            .collect();
        if nat.is_static(external.0) && question.protocol.is_none() {
            holders.truncate(1);
            holders.iter_mut().for_each(|holder| holder.protocol = "any".to_owned());
        }
        holders
    }

    /// What belongs to a host by arithmetic alone, for a list of hosts that asks about one without sessions (RFC 7422 section
    /// 2.1): at the page of the worker that would have it.
    pub(super) fn computed_host(&self, page: &Page) -> Option<HostRow> {
        let Layout::Deterministic(functions) = self.parts.tables.nat.layout() else { return None };
        let Some(IpAddr::V4(host)) = page.filter.host else { return None };
        let only = self.parts.tables.nat.only_host(host.into());
        let owner = self.parts.ownership.of_host(only);
        let vrf = self.parts.settings.vrfs.name(only.vrf.index());
        page.filter.vrf.as_ref().is_none_or(|wanted| wanted == vrf).then_some(())?;
        let share = functions.forward(host.into()).filter(|_| page.from == Cursor::first(owner))?;
        page.filter.port.is_none_or(|port| share.ports.contains(&port)).then(|| HostRow {
            internal: host.to_string(),
            external: Ipv4Addr::from(share.address).to_string(),
            sessions: 0,
            mappings: 0,
            blocks: vec![format!("{}-{}", share.ports.start(), share.ports.end())],
            vrf: vrf.to_owned(),
        })
    }

    /// The host that an endpoint belongs to by arithmetic alone (RFC 7422), whether it uses it or not.
    fn computed_holder(&self, external: SocketAddrV4) -> Option<Holder> {
        let Layout::Deterministic(functions) = self.parts.tables.nat.layout() else { return None };
        let host = functions.reverse((u32::from(*external.ip()), external.port()))?;
        let vrf = self.parts.tables.nat.only_host(host).vrf;
        Some(Holder {
            protocol: "any".to_owned(),
            internal: Ipv4Addr::from(host).to_string(),
            vrf: self.parts.settings.vrfs.name(vrf.index()).to_owned(),
            kind: HolderKind::Deterministic,
            since: None,
            until: None,
            uncertain: false,
        })
    }
}

fn protocols(question: &WhoQuestion) -> Vec<u8> {
    match question.protocol {
        Some(Protocol(number)) => vec![number],
        None => vec![protocol::ICMP, protocol::TCP, protocol::UDP],
    }
}

fn holder(record: &HolderRecord, vrfs: &VrfNames) -> Holder {
    let (host, port) = record.internal;
    let until = record.rests_ms.map(|ms| {
        let rest = std::time::Duration::from_millis(ms.into());
        show_time(SystemTime::now() + rest)
    });
    Holder {
        protocol: Protocol(record.protocol).to_string(),
        internal: SocketAddrV4::new(Ipv4Addr::from(host.address), port).to_string(),
        vrf: vrfs.name(host.vrf.index()).to_owned(),
        kind: if until.is_some() { HolderKind::Held } else { HolderKind::Dynamic },
        since: None,
        until,
        uncertain: false,
    }
}
