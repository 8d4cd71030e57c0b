//! Ids in the order they were last heard of.

use dpdk_bindings::{
    Result,
    memory::{HugeArray, Source},
};

/// A circular list through memory reserved at start: node 0 stands between the newest id and the oldest.
#[derive(Debug)]
pub(super) struct Aging {
    nodes: HugeArray<Node>,
}

#[derive(Clone, Copy, Debug, zerocopy::FromZeros)]
#[repr(C)]
struct Node {
    newer: u32,
    older: u32,
}

impl Aging {
    /// An empty list of ids below `ids`.
    pub(super) fn new(name: &str, ids: usize, source: Source<'_>) -> Result<Self> {
        Ok(Self { nodes: HugeArray::zeroed(name, ids + 1, source)? })
    }

    /// Puts an id in that is in no list, as the newest.
    pub(super) fn push(&mut self, id: u32) {
        let newest = std::mem::replace(&mut self.nodes[0].older, id + 1);
        self.nodes[newest as usize].newer = id + 1;
        self.nodes[id as usize + 1] = Node { newer: 0, older: newest };
    }

    /// Takes out an id that is in this list.
    pub(super) fn remove(&mut self, id: u32) {
        let Node { newer, older } = self.nodes[id as usize + 1];
        self.nodes[newer as usize].older = older;
        self.nodes[older as usize].newer = newer;
    }

    /// The id that was not heard of for longest.
    #[inline]
    pub(super) fn oldest(&self) -> Option<u32> {
        self.nodes[0].newer.checked_sub(1)
    }

    /// Memory reserved, in octets.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_first() {
        let mut aging = Aging::new("aging", 4, Source::Plain).unwrap();
        assert_eq!(aging.oldest(), None);
        for id in [2, 0, 3, 1] {
            aging.push(id);
        }
        aging.remove(2);
        aging.push(2);
        aging.remove(3);
        let order = std::iter::from_fn(|| aging.oldest().inspect(|id| aging.remove(*id)));
        assert_eq!(order.collect::<Vec<_>>(), [0, 1, 2]);
    }
}
