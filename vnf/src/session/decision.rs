//! What the stages decide about a packet whose flow is new, or was decided under other tables.

use std::net::IpAddr;

use crate::engine::meta::FlowKey;

/// How a packet's flow is translated, before anything is spent on it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Plan {
    /// In through this dynamic mapping ([`NIL`](super::NIL): a fixed one), to the internal endpoint in the real key.
    Admit(u32),
    /// For the VNF itself.
    Local,
    /// Not translated.
    #[default]
    Plain,
    /// The session exists and stays as it is, if the ACLs still permit it.
    Renew,
    /// Out to an endpoint from the pool.
    TranslateDynamic,
    /// Out to this fixed endpoint.
    TranslateFixed(u32, u16),
}

impl Plan {
    /// Whether the packet will be rewritten by a new session.
    pub fn translates(self) -> bool {
        matches!(self, Self::Admit(_) | Self::TranslateDynamic | Self::TranslateFixed(..))
    }
}

impl Decision {
    /// Whether the flow gets a session.
    pub fn wants_session(&self) -> bool {
        self.stateful || self.plan.translates()
    }

    /// Whether replies need a rule of their own although there is a session.
    pub fn is_stateless(&self) -> bool {
        self.asked && !self.stateful
    }
}

/// The decision about one packet, as it grows from stage to stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decision {
    /// What the ACLs see: the internal host's own endpoint and the true remote one.
    pub real: FlowKey,
    /// The translation.
    pub plan: Plan,
    /// The neighbour it goes to, where it has no number yet.
    pub neighbor: Option<IpAddr>,
    /// Whether an ACL was asked.
    pub asked: bool,
    /// Whether a rule wants replies to pass without a rule of their own.
    pub stateful: bool,
}
