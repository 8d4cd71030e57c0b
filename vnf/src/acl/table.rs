//! The compiled ACLs of one configuration, with what each rule matched.

use std::sync::Arc;

use super::{Decision, RuleSet};
use crate::engine::counters::Counter;
use crate::engine::ids::WorkerId;

/// All ACLs, in the order of the configuration.
pub struct AclTable {
    lists: Vec<List>,
}

struct List {
    rules: Arc<RuleSet>,
    /// By worker, then by rule, the default last: packets and octets.
    hits: Arc<Vec<Vec<[Counter; 2]>>>,
}

/// A compiled ACL with its counters, to be kept when only other things change.
pub type Compiled = (Arc<RuleSet>, usize);

impl AclTable {
    /// The ACLs with their number of rules, counters at zero.
    pub fn new(lists: impl IntoIterator<Item = Compiled>, workers: usize) -> Self {
        let lists = lists.into_iter().map(|(rules, count)| List {
            rules,
            hits: Arc::new(
                (0..workers).map(|_| (0..=count).map(|_| Default::default()).collect()).collect(),
            ),
        });
        Self { lists: lists.collect() }
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
