//! Which worker has which address of the pool. An address stays with its worker when the pool around it changes: flows go
//! on, and no endpoint has two owners.

use super::pool_ranges::PoolRanges;
use crate::engine::ids::WorkerId;

/// Whose one address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Share {
    /// Every worker has an equal slice of its ports.
    Sliced,
    /// One worker has all its ports.
    Whole(WorkerId),
}

/// The shares of a pool's addresses, by their numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shares {
    shares: Box<[Share]>,
}

impl Shares {
    /// Deals the addresses of a pool out: whole ones where there are at least as many as workers, else slices of each.
    /// Addresses that were dealt before stay where they are, unless a worker had none at all then.
    pub fn deal(pool: &PoolRanges, workers: usize, before: Option<(&PoolRanges, &Self)>) -> Self {
        if pool.len() < workers {
            return Self { shares: vec![Share::Sliced; pool.len()].into() };
        }
        let kept = |address| {
            let (pool, dealt) = before?;
            dealt.of(pool.index_of(address)?)
        };
        let mut shares: Vec<Option<Share>> = pool.addresses().map(kept).collect();
        let mut counts = vec![0usize; workers];
        for share in shares.iter().flatten() {
            if let Share::Whole(worker) = share {
                counts[worker.index()] += 1;
            }
        }
        for share in shares.iter_mut().filter(|share| share.is_none()) {
            let poorest = poorest(&counts);
            counts[poorest] += 1;
            *share = Some(Share::Whole(WorkerId(poorest as u8)));
        }
        let mut shares: Vec<Share> = shares.into_iter().flatten().collect();
        while !shares.contains(&Share::Sliced) && counts[poorest(&counts)] == 0 {
            let (poorest, richest) = (poorest(&counts), richest(&counts));
            let is_of_richest =
                |share: &&mut Share| **share == Share::Whole(WorkerId(richest as u8));
            let Some(share) = shares.iter_mut().rev().find(is_of_richest) else { break };
            *share = Share::Whole(WorkerId(poorest as u8));
            counts[richest] -= 1;
            counts[poorest] += 1;
        }
        Self { shares: shares.into() }
    }

    /// Whose the address of this number is; `None` where the pool ends before it.
    #[inline]
    pub fn of(&self, index: u32) -> Option<Share> {
        self.shares.get(index as usize).copied()
    }
}

fn poorest(counts: &[usize]) -> usize {
    (0..counts.len()).min_by_key(|worker| counts[*worker]).unwrap_or(0)
}

fn richest(counts: &[usize]) -> usize {
    (0..counts.len()).max_by_key(|worker| counts[*worker]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn pool(first: u8, last: u8) -> PoolRanges {
        PoolRanges::new(&[Ipv4Addr::new(192, 0, 2, first)..=Ipv4Addr::new(192, 0, 2, last)])
    }

    fn whole(workers: &[u8]) -> Vec<Share> {
        workers.iter().map(|worker| Share::Whole(WorkerId(*worker))).collect()
    }

    #[test]
    fn few_addresses_are_sliced_and_many_dealt_in_turn() {
        assert_eq!(Shares::deal(&pool(1, 2), 3, None).shares[..], [Share::Sliced; 2]);
        assert_eq!(Shares::deal(&pool(1, 5), 3, None).shares[..], whole(&[0, 1, 2, 0, 1]));
        assert_eq!(Shares::deal(&PoolRanges::EMPTY, 3, None).shares.len(), 0);
    }

    #[test]
    fn addresses_stay_with_their_workers_as_a_pool_grows() {
        let (small, large) = (pool(10, 14), pool(8, 16));
        let before = Shares::deal(&small, 3, None);
        let after = Shares::deal(&large, 3, Some((&small, &before)));
        assert_eq!(after.shares[2..7], before.shares[..]);
        assert_eq!(after.shares[..2], whole(&[2, 0]));
        assert_eq!(after.shares[7..], whole(&[1, 2]));

        let one = pool(10, 10);
        let sliced = Shares::deal(&one, 3, None);
        let grown = Shares::deal(&large, 3, Some((&one, &sliced)));
        assert_eq!(grown.shares[2], Share::Sliced);
    }

    #[test]
    fn a_worker_that_lost_all_its_addresses_gets_one() {
        let (large, small) = (pool(1, 9), pool(1, 3));
        let before = Shares { shares: whole(&[0, 0, 0, 1, 1, 1, 2, 2, 2]).into() };
        let after = Shares::deal(&small, 3, Some((&large, &before)));
        let mut workers = after.shares.to_vec();
        workers.sort_by_key(|share| if let Share::Whole(worker) = share { worker.0 } else { 9 });
        assert_eq!(workers, whole(&[0, 1, 2]));
        assert_eq!(after.shares[0], before.shares[0]);
    }
}
