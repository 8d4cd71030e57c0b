//! The compiled ACLs of one configuration, with what each rule matched.

use std::sync::Arc;

use super::{Decision, RuleSet};
use crate::engine::counters::Counter;
use crate::engine::ids::WorkerId;

/// All ACLs, in the order of the configuration.
pub struct AclTable {
    lists: Vec<List>,
}

/// A compiled ACL with what its rules counted; a handle to share.
#[derive(Clone)]
pub struct List {
    rules: Arc<RuleSet>,
    /// By worker, then by rule, the default last: packets and octets.
    hits: Arc<Vec<Vec<[Counter; 2]>>>,
}

impl List {
    /// A list of so many rules, counters at zero.
    pub fn new(rules: RuleSet, count: usize, workers: usize) -> Self {
        let hits = (0..workers).map(|_| (0..=count).map(|_| Default::default()).collect());
        Self { rules: Arc::new(rules), hits: Arc::new(hits.collect()) }
    }
}

impl AclTable {
    /// The ACLs, in the order of the configuration.
    pub fn new(lists: Vec<List>) -> Self {
        Self { lists }
    }

    /// One ACL, to be kept when only others change.
    pub fn list(&self, acl: usize) -> List {
        self.lists[acl].clone()
    }

    /// Whether one ACL here is the same as one there, with its counters.
    pub fn shares(&self, acl: usize, other: &Self, at: usize) -> bool {
        Arc::ptr_eq(&self.lists[acl].hits, &other.lists[at].hits)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// One ACL's rules.
    #[inline]
    pub fn rules(&self, acl: usize) -> &RuleSet {
        &self.lists[acl].rules
    }

    /// Counts a packet for the rule that decided about it; each worker has its own counters.
    #[inline]
    pub fn count(&self, worker: WorkerId, acl: usize, rule: u32, octets: u64) {
        let hits = &self.lists[acl].hits[worker.index()];
        let at = if rule == Decision::DEFAULT_RULE { hits.len() - 1 } else { rule as usize };
        if let Some([packets, bytes]) = hits.get(at) {
            packets.add(1);
            bytes.add(octets);
        }
    }

    /// Packets and octets that a rule decided, all workers together; the default is the rule after the last.
    pub fn hits(&self, acl: usize, rule: usize) -> (u64, u64) {
        let sum = |at: usize| {
            let hits = self.lists[acl].hits.iter();
            hits.filter_map(|worker| worker.get(rule)).map(|pair| pair[at].read()).sum()
        };
        (sum(0), sum(1))
    }

    /// Memory of the compiled rules, in octets.
    pub fn bytes(&self) -> usize {
        self.lists.iter().map(|list| list.rules.bytes()).sum()
    }
}
