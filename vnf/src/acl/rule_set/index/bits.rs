//! Sets of rules as trees of bits in which equal parts are stored once: a set that differs from another in a few rules
//! costs a few cache lines.

use dpdk_bindings::Eal;
use dpdk_bindings::memory::{HugeArray, Source};
use zerocopy::FromZeros;

/// 512 rules.
#[derive(Clone, Copy, Eq, FromZeros, PartialEq)]
#[repr(C, align(64))]
struct Leaf([u64; 8]);

/// Sixteen smaller parts; [`EMPTY`] where there is no rule.
#[derive(Clone, Copy, Eq, FromZeros, PartialEq)]
#[repr(C, align(64))]
struct Branch([u32; 16]);

/// A set, or a part of one: a leaf or a branch by its height.
pub(super) type SetId = u32;

/// The set without rules, at every height.
pub(super) const EMPTY: SetId = 0;

/// The sets would take more memory than they may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooLarge;

/// Sets that grow.
pub(super) struct Sets {
    leaves: Vec<Leaf>,
    branches: Vec<Branch>,
    height: u32,
    most_bytes: usize,
}

impl Sets {
    /// Sets of so many rules, in at most this memory.
    pub(super) fn of_rules(rules: usize, most_bytes: usize) -> Self {
        let mut height = 0;
        while rules > 1 << bits(height) {
            height += 1;
        }
        Self { leaves: vec![Leaf([0; 8])], branches: vec![Branch([0; 16])], height, most_bytes }
    }

    /// The set that differs from `set` in these rules: in it, or not. They are in order, and none twice.
    pub(super) fn changed(
        &mut self,
        set: SetId,
        changes: &[(u32, bool)],
    ) -> Result<SetId, TooLarge> {
        self.part(set, self.height, changes)
    }

    fn part(
        &mut self,
        part: SetId,
        height: u32,
        changes: &[(u32, bool)],
    ) -> Result<SetId, TooLarge> {
        if changes.is_empty() {
            return Ok(part);
        }
        if height == 0 {
            let mut leaf = self.leaves[part as usize];
            for (rule, is_in) in changes {
                let word = &mut leaf.0[*rule as usize / 64 % 8];
                let bit = 1 << (rule % 64);
                *word = if *is_in { *word | bit } else { *word & !bit };
            }
            return self.leaf(part, leaf);
        }
        let mut branch = self.branches[part as usize];
        let child = |rule: u32| (rule >> bits(height - 1)) as usize;
        for changes in changes.chunk_by(|a, b| child(a.0) == child(b.0)) {
            let place = child(changes[0].0) % 16;
            branch.0[place] = self.part(branch.0[place], height - 1, changes)?;
        }
        self.branch(part, branch)
    }

    fn leaf(&mut self, before: SetId, leaf: Leaf) -> Result<SetId, TooLarge> {
        match leaf {
            Leaf([0, 0, 0, 0, 0, 0, 0, 0]) => Ok(EMPTY),
            same if same == self.leaves[before as usize] => Ok(before),
            other => {
                self.leaves.push(other);
                self.checked(self.leaves.len() - 1)
            }
        }
    }

    fn branch(&mut self, before: SetId, branch: Branch) -> Result<SetId, TooLarge> {
        match branch {
            same if same == self.branches[before as usize] => Ok(before),
            none if none.0 == [EMPTY; 16] => Ok(EMPTY),
            other => {
                self.branches.push(other);
                self.checked(self.branches.len() - 1)
            }
        }
    }

    fn checked(&self, id: usize) -> Result<SetId, TooLarge> {
        let bytes = (self.leaves.len() + self.branches.len()) * size_of::<Leaf>();
        if bytes > self.most_bytes { Err(TooLarge) } else { Ok(id as SetId) }
    }

    /// The sets in memory of DPDK's, never to change again.
    pub(super) fn freeze(self, eal: &Eal) -> dpdk_bindings::Result<Frozen> {
        let mut leaves = HugeArray::zeroed("acl rules", self.leaves.len(), Source::Dpdk(eal))?;
        leaves.copy_from_slice(&self.leaves);
        let mut branches = HugeArray::zeroed("acl sets", self.branches.len(), Source::Dpdk(eal))?;
        branches.copy_from_slice(&self.branches);
        Ok(Frozen { leaves, branches, height: self.height })
    }
}

/// Sets to be asked.
#[derive(Debug)]
pub(super) struct Frozen {
    leaves: HugeArray<Leaf>,
    branches: HugeArray<Branch>,
    height: u32,
}

impl Frozen {
    /// The lowest rule that all these sets have in common; at least one set is given.
    #[inline]
    pub(super) fn first_common(&self, sets: &[SetId]) -> Option<u32> {
        match sets.contains(&EMPTY) {
            true => None,
            false if self.height == 0 => self.in_leaves(sets),
            false => self.in_branches(sets, self.height),
        }
    }

    fn in_branches(&self, sets: &[SetId], height: u32) -> Option<u32> {
        let mut parts = [EMPTY; MOST_SETS];
        let parts = parts.get_mut(..sets.len())?;
        for child in 0..16 {
            let mut everywhere = true;
            for (part, set) in parts.iter_mut().zip(sets) {
                *part = self.branches[*set as usize].0[child];
                everywhere &= *part != EMPTY;
            }
            if !everywhere {
                continue;
            }
            let found = match height {
                1 => self.in_leaves(parts),
                _ => self.in_branches(parts, height - 1),
            };
            if let Some(rule) = found {
                return Some((child as u32) << bits(height - 1) | rule);
            }
        }
        None
    }

    #[inline]
    fn in_leaves(&self, sets: &[SetId]) -> Option<u32> {
        let (first, others) = sets.split_first()?;
        let mut common = self.leaves[*first as usize].0;
        for set in others {
            let leaf = &self.leaves[*set as usize].0;
            for (common, word) in common.iter_mut().zip(leaf) {
                *common &= word;
            }
        }
        if common == [0; 8] {
            return None;
        }
        let word = common.iter().position(|word| *word != 0)?;
        Some(word as u32 * 64 + common[word].trailing_zeros())
    }

    /// Memory, in octets.
    pub(super) fn bytes(&self) -> usize {
        (self.leaves.len() + self.branches.len()) * size_of::<Leaf>()
    }
}

/// A part of this height holds two to the power of this rules.
const fn bits(height: u32) -> u32 {
    9 + 4 * height
}

/// How many sets can be asked at once.
pub(super) const MOST_SETS: usize = 7;
