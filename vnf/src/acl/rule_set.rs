//! An access list compiled for bulk classification: the first rule that matches decides.

use dpdk_bindings::{acl::Classifier, eal::Eal};

use super::key::AclKey;
use crate::config::{AclAction, AclSettings, RuleSettings};

mod expand;
mod index;
mod layout;

#[cfg(test)]
mod tests;

use expand::Expansion;
use index::{Address, Index, Refused};

/// What a list says of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What becomes of the packet.
    pub action: AclAction,
    /// Whether the rule asks for a log line.
    pub log: bool,
    /// The rule's index in the list, or [`Decision::DEFAULT_RULE`].
    pub rule: u32,
    /// Whether replies pass without a rule of their own.
    pub stateful: bool,
}

impl Decision {
    /// In place of an index: no rule matched, the list's default decided.
    pub const DEFAULT_RULE: u32 = u32::MAX;

    /// What a packet gets that no rule matches, where the default is to permit.
    pub const PERMITTED: Self =
        Self { action: AclAction::Permit, log: false, rule: Self::DEFAULT_RULE, stateful: true };

    fn of_default(action: AclAction) -> Self {
        Self { action, log: false, rule: Self::DEFAULT_RULE, stateful: true }
    }

    fn of_rule(rule: &RuleSettings, index: u32) -> Self {
        Self { action: rule.action, log: rule.log, rule: index, stateful: rule.state }
    }
}

/// Why a list does not compile; the one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// DPDK's memory is used up.
    #[error("no memory for its {rules} rules: raise dpdk.memory, or make the list shorter")]
    NoMemory {
        /// How many rules the list has.
        rules: usize,
        /// What DPDK said.
        #[source]
        source: dpdk_bindings::Error,
    },
    /// The list says too much.
    #[error(
        "its {rules} rules take more than {limit_mib} MiB compiled: name fewer addresses and port ranges, or put addresses into sets"
    )]
    TooLarge {
        /// How many rules the list has.
        rules: usize,
        /// The size the compiled list may have at most, in MiB.
        limit_mib: usize,
    },
}

/// A compiled list. Immutable: any number of workers may ask it.
///
/// A packet whose ports or ICMP type are unknown ([`super::Upper::None`], and also ports that are both zero) is never
/// treated better than the whole packet might be: a rule that names ports or a type permits no such packet, and
/// denies or rejects it if the rest of the rule matches.
#[derive(Debug)]
pub struct RuleSet {
    /// By the engines' answer: the default first, then the rules.
    decisions: Vec<Decision>,
    ipv4: Engine<u32>,
    ipv6: Engine<u128>,
}

/// What finds the rule for the packets of one IP version.
#[derive(Debug)]
enum Engine<A> {
    /// `rte_acl`: fast, but its memory and its time to build have no useful bound.
    Classifier(Classifier<AclKey>),
    /// For every other list.
    Index(Box<Index<A>>),
    /// No rule concerns this version.
    Nothing,
}

impl RuleSet {
    /// How large a list may get for one address family, in bytes.
    pub const MAX_BYTES: usize = 1 << 30;

    /// Compiles a list.
    ///
    /// # Errors
    /// When the list is too large, or DPDK's memory too small.
    pub fn compile(eal: &Eal, settings: &AclSettings) -> Result<Self, CompileError> {
        Self::compile_within(eal, settings, SHORT, Self::MAX_BYTES)
    }

    fn compile_within(
        eal: &Eal,
        settings: &AclSettings,
        short: usize,
        most_bytes: usize,
    ) -> Result<Self, CompileError> {
        let rules = settings.rules.iter().zip(0..);
        let decisions = std::iter::once(Decision::of_default(settings.default))
            .chain(rules.map(|(rule, place)| Decision::of_rule(rule, place)));
        let (ipv4, ipv6) = match Self::classifiers(eal, settings, short) {
            Some(engines) => engines,
            None => (indexed(eal, settings, most_bytes)?, indexed(eal, settings, most_bytes)?),
        };
        Ok(Self { decisions: decisions.collect(), ipv4, ipv6 })
    }

    /// The list for `rte_acl`, where it is short enough.
    fn classifiers(
        eal: &Eal,
        settings: &AclSettings,
        short: usize,
    ) -> Option<(Engine<u32>, Engine<u128>)> {
        let expansion = Expansion::of(&settings.rules, short)?;
        let ipv4 = classified(eal, &layout::IPV4, &expansion.ipv4)?;
        Some((ipv4, classified(eal, &layout::IPV6, &expansion.ipv6)?))
    }

    /// Decides for every key; writes as many decisions as there are keys, or as fit.
    pub fn classify(&self, keys: &[AclKey], decisions: &mut [Decision]) {
        for (keys, decisions) in keys.chunks(BULK).zip(decisions.chunks_mut(BULK)) {
            let mut ids = [0; BULK];
            ask(&self.ipv4, keys, &mut ids);
            ask(&self.ipv6, keys, &mut ids);
            for (decision, id) in decisions.iter_mut().zip(ids).take(keys.len()) {
                if let Some(found) = self.decisions.get(id as usize) {
                    *decision = *found;
                }
            }
        }
    }

    /// The memory the list takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.decisions[..]) + self.ipv4.bytes() + self.ipv6.bytes()
    }
}

impl<A: Address> Engine<A> {
    fn bytes(&self) -> usize {
        match self {
            Self::Classifier(classifier) => classifier.bytes(),
            Self::Index(index) => index.bytes(),
            Self::Nothing => 0,
        }
    }
}

/// `None`: `rte_acl` could not do it.
fn classified<A, const FIELDS: usize>(
    eal: &Eal,
    layout: &[dpdk_bindings::acl::Field; FIELDS],
    rules: &[dpdk_bindings::acl::Rule<FIELDS>],
) -> Option<Engine<A>> {
    if rules.is_empty() {
        return Some(Engine::Nothing);
    }
    let classifier = Classifier::build(eal, layout, rules, RuleSet::MAX_BYTES);
    classifier.ok().map(Engine::Classifier)
}

fn indexed<A: Address>(
    eal: &Eal,
    settings: &AclSettings,
    most_bytes: usize,
) -> Result<Engine<A>, CompileError> {
    let rules = settings.rules.len();
    match Index::build(eal, settings, most_bytes) {
        Ok(index) => Ok(index.map_or(Engine::Nothing, |index| Engine::Index(Box::new(index)))),
        Err(Refused::TooLarge) => {
            Err(CompileError::TooLarge { rules, limit_mib: most_bytes >> 20 })
        }
        Err(Refused::NoMemory(source)) => Err(CompileError::NoMemory { rules, source }),
    }
}

/// Asks one engine about the keys of its IP version, and writes its answers at their places.
#[inline]
fn ask<A: Address>(engine: &Engine<A>, keys: &[AclKey], ids: &mut [u32; BULK]) {
    let Some(first) = keys.first() else { return };
    if matches!(engine, Engine::Nothing) {
        return;
    }
    let mut chosen = [first; BULK];
    let mut slots = [0; BULK];
    let mut count = 0;
    for (slot, key) in keys.iter().enumerate().take(BULK) {
        chosen[count % BULK] = key;
        slots[count % BULK] = slot;
        count += usize::from(key.version == A::VERSION);
    }
    let mut found = [0; BULK];
    let chosen = &chosen[..count.min(BULK)];
    match engine {
        Engine::Classifier(classifier) => classifier.classify(chosen, &mut found),
        Engine::Index(index) => index.find(chosen, &mut found),
        Engine::Nothing => {}
    }
    for (slot, id) in slots.into_iter().zip(found).take(count) {
        ids[slot % BULK] = id;
    }
}

/// Keys asked at once.
const BULK: usize = index::BULK;
/// Combinations of prefixes, ranges and flags up to which a list is `rte_acl`'s, for one address family.
const SHORT: usize = 1024;
