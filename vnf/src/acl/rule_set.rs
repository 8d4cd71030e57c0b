//! An access list compiled for bulk classification: the first rule that matches decides.

use std::num::NonZeroU32;

use dpdk_bindings::{acl::Classifier, eal::Eal};

use super::key::AclKey;
use crate::config::{AclAction, AclSettings, RuleSettings};

mod expand;
mod layout;

#[cfg(test)]
mod tests;

use expand::Expansion;

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
    /// `rte_acl` refused it: too large, or no memory.
    #[error(
        "acl {acl:?}: {entries} combinations of prefixes, protocols and port ranges do not fit into \
         {limit_mib} MiB or into DPDK's memory"
    )]
    Classifier {
        /// The list's name.
        acl: String,
        /// How many combinations it has for one address family.
        entries: usize,
        /// The size the compiled list may have at most, in MiB.
        limit_mib: usize,
        /// What DPDK said.
        #[source]
        source: dpdk_bindings::Error,
    },
    /// One rule multiplies out to too many combinations, or the list up to it does.
    #[error(
        "acl {acl:?}: with rule {rule} ({text}) the list has {entries} combinations of prefixes, \
         protocols and port ranges, at most {} are accepted",
        RuleSet::MAX_ENTRIES
    )]
    TooManyEntries {
        /// The list's name.
        acl: String,
        /// How many combinations the list has with this rule.
        entries: usize,
        /// The rule's index.
        rule: usize,
        /// The rule on one line.
        text: String,
    },
}

/// A compiled list. Immutable: any number of workers may ask it.
///
/// A packet whose ports or ICMP type are unknown ([`super::Upper::None`], and also ports that are both zero) is never
/// treated better than the whole packet might be: a rule that names ports or a type permits no such packet, and
/// denies or rejects it if the rest of the rule matches.
#[derive(Debug)]
pub struct RuleSet {
    /// By the classifier's answer: the default first, then the rules.
    decisions: Vec<Decision>,
    ipv4: Option<Classifier<AclKey>>,
    ipv6: Option<Classifier<AclKey>>,
}

impl RuleSet {
    /// How many combinations of prefixes, protocols and port ranges a list may have.
    pub const MAX_ENTRIES: usize = 1 << 18;
    /// How large a list may get for one address family, in bytes.
    pub const MAX_BYTES: usize = 1 << 30;

    /// Compiles a list.
    pub fn compile(eal: &Eal, settings: &AclSettings) -> Result<Self, CompileError> {
        let mut expansion = Expansion::default();
        let mut decisions = vec![Decision::of_default(settings.default)];
        for (rule, index) in settings.rules.iter().zip(0..) {
            decisions.push(Decision::of_rule(rule, index));
            let id = NonZeroU32::MIN.saturating_add(index);
            expansion.add(rule, id, Self::MAX_ENTRIES).map_err(|entries| {
                CompileError::TooManyEntries {
                    acl: settings.name.clone(),
                    entries,
                    rule: index as usize,
                    text: rule.text.clone(),
                }
            })?;
        }
        let refused = |entries| {
            let acl = settings.name.clone();
            let limit_mib = Self::MAX_BYTES >> 20;
            move |source| CompileError::Classifier { acl, entries, limit_mib, source }
        };
        Ok(Self {
            decisions,
            ipv4: compile(eal, &layout::IPV4, &expansion.ipv4)
                .map_err(refused(expansion.ipv4.len()))?,
            ipv6: compile(eal, &layout::IPV6, &expansion.ipv6)
                .map_err(refused(expansion.ipv6.len()))?,
        })
    }

    /// Decides for every key; writes as many decisions as there are keys, or as fit.
    pub fn classify(&self, keys: &[AclKey], decisions: &mut [Decision]) {
        for (keys, decisions) in keys.chunks(BULK).zip(decisions.chunks_mut(BULK)) {
            let mut ids = [0; BULK];
            ask(self.ipv4.as_ref(), 4, keys, &mut ids);
            ask(self.ipv6.as_ref(), 6, keys, &mut ids);
            for (decision, id) in decisions.iter_mut().zip(ids).take(keys.len()) {
                if let Some(found) = self.decisions.get(id as usize) {
                    *decision = *found;
                }
            }
        }
    }

    /// The memory the list takes, in bytes.
    pub fn bytes(&self) -> usize {
        let classifiers = [&self.ipv4, &self.ipv6];
        size_of_val(&self.decisions[..])
            + classifiers.into_iter().flatten().map(Classifier::bytes).sum::<usize>()
    }
}

fn compile<const FIELDS: usize>(
    eal: &Eal,
    layout: &[dpdk_bindings::acl::Field; FIELDS],
    rules: &[dpdk_bindings::acl::Rule<FIELDS>],
) -> dpdk_bindings::Result<Option<Classifier<AclKey>>> {
    if rules.is_empty() {
        return Ok(None);
    }
    Classifier::build(eal, layout, rules, RuleSet::MAX_BYTES).map(Some)
}

/// Asks one classifier about the keys of its IP version, and writes its answers at their places.
#[inline]
fn ask(
    classifier: Option<&Classifier<AclKey>>,
    version: u8,
    keys: &[AclKey],
    ids: &mut [u32; BULK],
) {
    let (Some(classifier), Some(first)) = (classifier, keys.first()) else { return };
    let mut chosen = [first; BULK];
    let mut slots = [0; BULK];
    let mut count = 0;
    for (slot, key) in keys.iter().enumerate().take(BULK) {
        chosen[count % BULK] = key;
        slots[count % BULK] = slot;
        count += usize::from(key.version == version);
    }
    let mut found = [0; BULK];
    classifier.classify(&chosen[..count.min(BULK)], &mut found);
    for (slot, id) in slots.into_iter().zip(found).take(count) {
        ids[slot % BULK] = id;
    }
}

/// Keys asked at once.
const BULK: usize = 64;
