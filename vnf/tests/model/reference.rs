//! A NAT made of hash maps: what RFC 4787 and 5382 say of mappings, filtering and timeouts, without any thought of speed.

use std::collections::HashMap;

/// Protocol, and an endpoint as (address, port).
pub(crate) type Side = (u8, (u32, u16));
/// Protocol, internal and remote endpoint.
pub(crate) type Flow = (u8, (u32, u16), (u32, u16));

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Filtering {
    Address,
    Endpoint,
    None,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    pub(crate) endpoint_independent: bool,
    pub(crate) filtering: Filtering,
    /// Milliseconds: UDP, TCP half open, TCP established, ICMP, rest after use.
    pub(crate) udp: u64,
    pub(crate) half_open: u64,
    pub(crate) established: u64,
    pub(crate) icmp: u64,
    pub(crate) hold: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) external: (u32, u16),
    opened_out: bool,
    /// Packets seen from the inside, from the outside.
    seen: [bool; 2],
    last: u64,
}

/// The reference.
pub(crate) struct Reference {
    behaviour: Behaviour,
    pub(crate) sessions: HashMap<Flow, Session>,
    /// External endpoints at rest, and until when at least.
    resting: HashMap<Side, u64>,
}

impl Reference {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, sessions: HashMap::new(), resting: HashMap::new() }
    }

    /// Ends what has timed out by now.
    pub(crate) fn expire(&mut self, now: u64) {
        let behaviour = self.behaviour;
        let due =
            |flow: &Flow, session: &Session| session.last + timeout(&behaviour, flow, session);
        self.end(|flow, session| (due(flow, session) <= now).then(|| due(flow, session)));
    }

    /// Ends all sessions of a host.
    pub(crate) fn clear(&mut self, host: u32, now: u64) {
        self.end(|flow, _| (flow.1.0 == host).then_some(now));
    }

    fn end(&mut self, ends: impl Fn(&Flow, &Session) -> Option<u64>) {
        let ended: Vec<(Flow, u64)> =
            self.sessions.iter().filter_map(|(f, s)| ends(f, s).map(|at| (*f, at))).collect();
        for (flow, at) in ended {
            let session = self.sessions.remove(&flow).expect("a session that is there");
            let rest = self.resting.entry((flow.0, session.external)).or_default();
            *rest = (*rest).max(at + self.behaviour.hold);
        }
    }

    /// The sessions that go through an external endpoint.
    fn through(
        &self,
        protocol: u8,
        external: (u32, u16),
    ) -> impl Iterator<Item = (&Flow, &Session)> {
        self.sessions.iter().filter(move |(f, s)| f.0 == protocol && s.external == external)
    }

    /// The endpoints that a new flow may get, by what is there already; `None`: any free one.
    pub(crate) fn must_use(&self, flow: &Flow) -> Option<Vec<(u32, u16)>> {
        if !self.behaviour.endpoint_independent {
            return None;
        }
        let same = self.sessions.iter().filter(|(f, _)| (f.0, f.1) == (flow.0, flow.1));
        let kept = same.filter(|(_, s)| self.is_kept(flow.0, s.external));
        let externals: Vec<_> = kept.map(|(_, s)| s.external).collect();
        (!externals.is_empty()).then_some(externals)
    }

    /// Whether the host itself keeps the mapping, by a session that it has sent through.
    fn is_kept(&self, protocol: u8, external: (u32, u16)) -> bool {
        self.through(protocol, external).any(|(_, session)| session.seen[0])
    }

    /// Whether nobody has an endpoint, and it has rested.
    pub(crate) fn is_free(&self, protocol: u8, external: (u32, u16), now: u64) -> bool {
        self.through(protocol, external).next().is_none()
            && self.resting.get(&(protocol, external)).is_none_or(|until| *until <= now)
    }

    /// The address that a host is paired with.
    pub(crate) fn paired(&self, host: u32) -> Option<u32> {
        self.sessions.iter().find(|(f, _)| f.1.0 == host).map(|(_, s)| s.external.0)
    }

    pub(crate) fn sessions_of(&self, host: u32) -> usize {
        self.sessions.keys().filter(|flow| flow.1.0 == host).count()
    }

    /// Whom a packet from outside reaches; `None`: nobody.
    pub(crate) fn inbound(
        &self,
        protocol: u8,
        remote: (u32, u16),
        external: (u32, u16),
    ) -> Option<(u32, u16)> {
        let mut through = self.through(protocol, external);
        if let Some((flow, _)) = through.find(|(flow, _)| flow.2 == remote) {
            return Some(flow.1);
        }
        if !self.is_kept(protocol, external) {
            return None;
        }
        let mut through = self.through(protocol, external);
        let admits = |(flow, session): &(&Flow, &Session)| match self.behaviour.filtering {
            Filtering::Address => session.opened_out && flow.2.0 == remote.0,
            Filtering::Endpoint => false,
            Filtering::None => true,
        };
        let to = through.find(admits).map(|(flow, _)| flow.1)?;
        // A host that speaks with this endpoint through another mapping could not tell the two apart.
        (!self.sessions.contains_key(&(protocol, to, remote))).then_some(to)
    }

    /// Notes a packet that passed: out (0) or in (1).
    pub(crate) fn pass(&mut self, flow: Flow, external: (u32, u16), way: usize, now: u64) {
        self.resting.remove(&(flow.0, external));
        let opened_out = way == 0;
        let session = self.sessions.entry(flow).or_insert(Session {
            external,
            opened_out,
            seen: [false; 2],
            last: now,
        });
        let was_open = flow.0 == 6 && session.seen == [true; 2];
        session.seen[way] = true;
        if way == 0 || was_open || flow.0 == 6 && session.seen == [true; 2] {
            session.last = now;
        }
    }
}

fn timeout(behaviour: &Behaviour, flow: &Flow, session: &Session) -> u64 {
    match flow.0 {
        6 if session.seen == [true; 2] => behaviour.established,
        6 => behaviour.half_open,
        17 => behaviour.udp,
        _ => behaviour.icmp,
    }
}
