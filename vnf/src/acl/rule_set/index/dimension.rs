//! One field of the key: its values fall into intervals within which the same rules match.

use std::collections::HashMap;
use std::hash::Hash;

use super::bits::{EMPTY, SetId, Sets, TooLarge};

/// Both ends are included.
pub(super) type Interval = (u128, u128);

/// The rules that match each value of a field.
#[derive(Debug)]
pub(super) struct Dimension<T> {
    /// Where an interval begins that other rules match than the one before; the first at zero.
    starts: Vec<T>,
    sets: Vec<SetId>,
}

impl<T: Copy + PartialOrd> Dimension<T> {
    /// The rules that match each value.
    ///
    /// The values take the steps of their searches together, so that their cache misses overlap.
    #[inline]
    pub(super) fn find(&self, values: &[T], found: impl Iterator<Item = impl FnOnce(SetId)>) {
        let mut places = [0u32; super::BULK];
        let mut length = self.starts.len();
        while length > 1 {
            let half = length / 2;
            for (place, value) in places.iter_mut().zip(values) {
                let middle = *place + half as u32;
                *place = if self.starts[middle as usize] <= *value { middle } else { *place };
            }
            length -= half;
        }
        for (place, found) in places.iter().zip(found).take(values.len()) {
            found(self.sets[*place as usize]);
        }
    }

    /// Memory, in octets.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.starts[..]) + size_of_val(&self.sets[..])
    }
}

/// What the rules of a list say about one field.
pub(super) struct Demands<K> {
    /// Rules that take any value.
    any: Vec<u32>,
    groups: Vec<Group>,
    known: HashMap<K, usize>,
    rules: usize,
}

/// Values that the same rules ask for.
struct Group {
    /// In order and apart from each other.
    intervals: Vec<Interval>,
    rules: Vec<u32>,
}

impl<K: Eq + Hash> Demands<K> {
    /// Of a list of so many rules.
    pub(super) fn new(rules: usize) -> Self {
        Self { any: Vec::new(), groups: Vec::new(), known: HashMap::new(), rules }
    }

    /// The rule takes any value.
    pub(super) fn any(&mut self, rule: u32) {
        self.any.push(rule);
    }

    /// The rule takes these values, and what else is said of it. Equal names are for equal intervals.
    pub(super) fn some(&mut self, rule: u32, name: K, intervals: impl FnOnce() -> Vec<Interval>) {
        let Self { groups, known, .. } = self;
        let group = *known.entry(name).or_insert_with(|| {
            groups.push(Group { intervals: joined(intervals()), rules: Vec::new() });
            groups.len() - 1
        });
        self.groups[group].rules.push(rule);
    }

    /// Whether every rule takes every value.
    pub(super) fn is_trivial(&self) -> bool {
        self.groups.is_empty()
    }

    /// The intervals, by a walk along the values from the lowest to `most`.
    pub(super) fn resolve<T>(
        self,
        sets: &mut Sets,
        most: u128,
        value: impl Fn(u128) -> T,
    ) -> Result<Dimension<T>, TooLarge> {
        let Self { any, groups, rules, .. } = self;
        let mut bounds = Vec::new();
        for (group, number) in groups.iter().zip(0u32..) {
            for (first, last) in &group.intervals {
                bounds.push((*first, number));
                if *last < most {
                    bounds.push((*last + 1, number));
                }
            }
        }
        bounds.sort_unstable();
        let always: Vec<_> = any.into_iter().map(|rule| (rule, true)).collect();
        let mut walk = Walk {
            names: (0..groups.len() as u64).map(name).collect(),
            now: vec![false; groups.len()],
            counted: vec![false; groups.len()],
            turned: Vec::new(),
            counts: vec![0; rules],
            set: sets.changed(EMPTY, &always)?,
            known: HashMap::new(),
            name: 0,
            groups,
        };
        walk.known.insert(0, walk.set);
        let mut dimension = Dimension { starts: vec![value(0)], sets: vec![walk.set] };
        for bounds in bounds.chunk_by(|a, b| a.0 == b.0) {
            for (_, group) in bounds {
                walk.turn(*group as usize);
            }
            let set = walk.set(sets)?;
            let at = bounds[0].0;
            if at == 0 {
                dimension.sets[0] = set;
            } else if dimension.sets.last() != Some(&set) {
                dimension.starts.push(value(at));
                dimension.sets.push(set);
            }
        }
        Ok(dimension)
    }
}

/// The groups that a walk along the values is within, and their rules.
struct Walk {
    groups: Vec<Group>,
    /// A random number for each group; those of the groups that it is within, added bit by bit, name where it is.
    names: Vec<u128>,
    name: u128,
    /// The sets of places where it was before: the members of one address set have the same one.
    known: HashMap<u128, SetId>,
    now: Vec<bool>,
    /// As `now` was when `set` was made, and groups in which they may differ.
    counted: Vec<bool>,
    turned: Vec<usize>,
    set: SetId,
    /// By how many groups each rule is in `set`.
    counts: Vec<u32>,
}

impl Walk {
    /// Goes into a group, or out of it.
    fn turn(&mut self, group: usize) {
        if self.now[group] == self.counted[group] {
            self.turned.push(group);
        }
        self.now[group] = !self.now[group];
        self.name ^= self.names[group];
    }

    /// The rules that match here.
    fn set(&mut self, sets: &mut Sets) -> Result<SetId, TooLarge> {
        if let Some(set) = self.known.get(&self.name) {
            return Ok(*set);
        }
        let mut changes = Vec::new();
        for group in self.turned.drain(..) {
            if self.now[group] == self.counted[group] {
                continue;
            }
            self.counted[group] = self.now[group];
            for rule in &self.groups[group].rules {
                let count = &mut self.counts[*rule as usize];
                *count = if self.now[group] { *count + 1 } else { *count - 1 };
                changes.push((*rule, false));
            }
        }
        changes.sort_unstable();
        changes.dedup();
        for (rule, is_in) in &mut changes {
            *is_in = self.counts[*rule as usize] > 0;
        }
        self.set = sets.changed(self.set, &changes)?;
        self.known.insert(self.name, self.set);
        Ok(self.set)
    }
}

/// Intervals in order, those that overlap or touch joined.
fn joined(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
    for (first, last) in intervals {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// A number that looks random (the finalizer of SplitMix64, once for each half).
fn name(group: u64) -> u128 {
    let mix = |mut x: u64| {
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    let seed = (2 * group + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u128::from(mix(seed)) << 64 | u128::from(mix(seed ^ 0x5851_f42d_4c95_7f2d))
}
