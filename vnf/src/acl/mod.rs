//! The packet filter: asks the ACLs of a packet's ports about flows that are new, or were decided under other tables.

pub mod key;
pub mod rule_set;
pub mod table;

use crate::config::AclAction;
use crate::engine::burst::{Burst, Origin};
use crate::engine::counters::CloseCause;
use crate::engine::ids::{InterfaceId, SessionId, Tick, WorkerId};
use crate::engine::mask::{BURST, Mask, Slot};
use crate::engine::meta::{FlowKey, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::session::{Decision as FlowDecision, Flows, Plan, tcp};
use crate::table::TokenBucket;
use crate::wire::{icmp, protocol, transport};

pub use key::{AclKey, Upper};
pub use rule_set::{CompileError, Decision, RuleSet};
pub use table::{AclTable, List};

/// The ACL stage of one worker.
pub struct Acl {
    worker: WorkerId,
    keys: [AclKey; BURST],
    answers: [Decision; BURST],
    /// Packets whose flow the tables no longer permit.
    ended: Mask,
    /// Packets that rules with `log` decided, until the worker tells management.
    matches: Vec<RuleMatch>,
    allowance: TokenBucket,
    /// Packets of rules with `log` since the last one told of.
    untold: u32,
}

/// A packet that a rule with `log` decided.
#[derive(Clone, Copy, Debug)]
pub struct RuleMatch {
    /// The ACL, as an index.
    pub acl: usize,
    /// The rule, as an index.
    pub rule: u32,
    /// Where the packet came in.
    pub ingress: InterfaceId,
    /// Its real endpoints.
    pub key: FlowKey,
    /// What the rule said.
    pub action: AclAction,
    /// How many packets of rules with `log` came before it that the worker did not tell of.
    pub untold: u32,
}

/// Which of a packet's two ACLs is asked.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Side {
    In,
    Out,
}

impl Acl {
    /// The stage of this worker.
    pub fn new(worker: WorkerId) -> Self {
        Self {
            worker,
            keys: [AclKey::ipv4(0, 0, 0, Upper::None); BURST],
            answers: [Decision::PERMITTED; BURST],
            ended: Mask::EMPTY,
            matches: Vec::with_capacity(LOGGED_PER_SECOND as usize),
            allowance: TokenBucket::default(),
            untold: 0,
        }
    }

    /// Drops or rejects what the ACLs of both ports do not permit. Known flows were permitted before and cost nothing.
    #[inline]
    pub fn run(&mut self, burst: &mut Burst, flows: &mut Flows, tables: &Tables, now: Tick) {
        if !burst.undecided().is_empty() && !tables.acl.is_empty() {
            self.ended = Mask::EMPTY;
            self.ask(Side::In, burst, flows, tables, now);
            self.ask(Side::Out, burst, flows, tables, now);
            if !self.ended.is_empty() {
                close(burst, self.ended, flows, now);
            }
        }
    }

    /// The next packet that a rule with `log` decided.
    pub fn next_match(&mut self) -> Option<RuleMatch> {
        self.matches.pop()
    }

    /// Asks one side's ACLs, each once about all packets it concerns.
    fn ask(
        &mut self,
        side: Side,
        burst: &mut Burst,
        flows: &mut Flows,
        tables: &Tables,
        now: Tick,
    ) {
        let mut waiting = burst.undecided();
        while let Some(first) = waiting.next() {
            let Some(acl) = acl_of(first, side, burst, flows, tables) else { continue };
            let mut asked = Mask::EMPTY;
            asked.insert(first);
            for slot in waiting {
                asked.insert_if(slot, acl_of(slot, side, burst, flows, tables) == Some(acl));
            }
            waiting &= !asked;
            self.decide(acl, asked, burst, flows, tables, now);
        }
    }

    fn decide(
        &mut self,
        acl: usize,
        asked: Mask,
        burst: &mut Burst,
        flows: &mut Flows,
        tables: &Tables,
        now: Tick,
    ) {
        let count = asked.len();
        for (at, slot) in asked.enumerate() {
            self.keys[at % BURST] = acl_key(slot, burst, flows, tables);
        }
        tables.acl.rules(acl).classify(&self.keys[..count], &mut self.answers[..count]);
        for (answer, slot) in self.answers[..count].iter().zip(asked) {
            if burst.origin != Origin::Held {
                let octets = burst.meta[slot].ip_length.into();
                tables.acl.count(self.worker, acl, answer.rule, octets);
            }
            flows.decisions[slot].asked = true;
            if answer.log {
                if self.matches.len() < self.matches.capacity()
                    && self.allowance.take(now.0, LOGGED_PER_SECOND, LOGGED_PER_SECOND)
                {
                    let (ingress, key) = (burst.meta[slot].ingress, flows.decisions[slot].real);
                    let (rule, action) = (answer.rule, answer.action);
                    let untold = std::mem::take(&mut self.untold);
                    self.matches.push(RuleMatch { acl, rule, ingress, key, action, untold });
                } else {
                    self.untold = self.untold.saturating_add(1);
                }
            }
            if answer.action != AclAction::Permit {
                self.ended.insert_if(slot, is_outdated(slot, burst, flows, tables));
            }
            match answer.action {
                AclAction::Permit => flows.decisions[slot].stateful |= answer.stateful,
                AclAction::Deny => burst.drop(slot, DropReason::AclDenied),
                AclAction::Reject => {
                    let told = Rejection::AdministrativelyProhibited;
                    burst.settle(slot, Verdict::Reject(told, DropReason::AclDenied));
                }
            }
        }
    }
}

/// Whether a refusal concerns a whole session: its rules have changed, and the packet is not made up by somebody on another
/// port.
fn is_outdated(slot: Slot, burst: &Burst, flows: &Flows, tables: &Tables) -> bool {
    let meta = &burst.meta[slot];
    as_opened(meta, &flows.decisions[slot], flows) && {
        let session = flows.sessions.session(meta.session);
        session.generation != tables.generation && session.came_in_by(meta.direction, meta.ingress)
    }
}

/// Ends the sessions of these packets, and with them what else of theirs the burst has.
#[cold]
fn close(burst: &mut Burst, ended: Mask, flows: &mut Flows, now: Tick) {
    for slot in ended {
        let session = std::mem::take(&mut burst.meta[slot].session);
        if !session.is_some() {
            continue;
        }
        flows.close(session, CloseCause::Reconfigured, now);
        for other in ended | burst.live() {
            if burst.meta[other].session == session {
                burst.meta[other].session = SessionId::NONE;
                if burst.live().contains(other) {
                    burst.drop(other, DropReason::AclDenied);
                }
            }
        }
    }
}

/// The ACL that is asked about a packet on one side. For a reply that is decided again it is the other side's: what was
/// permitted is the flow as it was opened, unless its rule wants replies to have their own.
fn acl_of(slot: Slot, side: Side, burst: &Burst, flows: &Flows, tables: &Tables) -> Option<usize> {
    let meta = &burst.meta[slot];
    let (entered, leaves) = if replies(meta, &flows.decisions[slot], flows) {
        (meta.egress, meta.ingress)
    } else {
        (meta.ingress, meta.egress)
    };
    let find = |interface: InterfaceId| tables.interfaces.find(interface);
    match side {
        Side::In => find(entered)?.acl_in,
        Side::Out => find(leaves)?.acl_out,
    }
}

fn replies(meta: &Meta, decision: &FlowDecision, flows: &Flows) -> bool {
    as_opened(meta, decision, flows)
        && flows.sessions.session(meta.session).opened_by() != meta.direction
}

fn as_opened(meta: &Meta, decision: &FlowDecision, flows: &Flows) -> bool {
    decision.plan == Plan::Renew && !flows.sessions.session(meta.session).stateless()
}

/// What the rules see: real addresses, and of a reply the flow as it was opened.
fn acl_key(slot: Slot, burst: &Burst, flows: &Flows, tables: &Tables) -> AclKey {
    let (meta, decision) = (&burst.meta[slot], &flows.decisions[slot]);
    if as_opened(meta, decision, flows) {
        let session = flows.sessions.session(meta.session);
        let replies = session.opened_by() != meta.direction;
        let entered = if replies { meta.egress } else { meta.ingress };
        let key = session.real_key(session.opened_by());
        return AclKey::of(&key, opening(&key), tables.interfaces.vlan(entered));
    }
    let real = &decision.real;
    let vlan = tables.interfaces.vlan(meta.ingress);
    AclKey::of(real, upper(real, meta, || burst.packet(slot).data()), vlan)
}

/// What the packet carries that opens this flow: a SYN, or an echo request (RFC 5508 REQ-1).
pub fn opening(key: &FlowKey) -> Upper {
    let (source, destination) = (key.source_port, key.destination_port);
    match key.protocol {
        protocol::ICMP => Upper::Icmp { kind: icmp::v4::ECHO_REQUEST, code: 0 },
        protocol::ICMPV6 => Upper::Icmp { kind: icmp::v6::ECHO_REQUEST, code: 0 },
        protocol::TCP => Upper::Tcp { source, destination, flags: tcp::SYN },
        number if transport::has_ports(number) => Upper::Ports { source, destination },
        _ => Upper::None,
    }
}

/// What a packet carries.
fn upper<'p>(key: &FlowKey, meta: &Meta, frame: impl FnOnce() -> &'p [u8]) -> Upper {
    let (source, destination) = (key.source_port, key.destination_port);
    match key.protocol {
        // Later fragments carry no type and no code.
        protocol::ICMP | protocol::ICMPV6 if meta.kind == Kind::LaterFragment => Upper::None,
        protocol::ICMP | protocol::ICMPV6 => {
            let code = frame().get(usize::from(meta.l4) + 1).copied();
            code.map_or(Upper::None, |code| Upper::Icmp { kind: meta.detail, code })
        }
        protocol::TCP if meta.kind != Kind::IcmpError => {
            Upper::Tcp { source, destination, flags: meta.detail }
        }
        number if transport::has_ports(number) => Upper::Ports { source, destination },
        _ => Upper::None,
    }
}

/// Packets of rules with `log` that one worker tells of in a second.
const LOGGED_PER_SECOND: u32 = 32;
