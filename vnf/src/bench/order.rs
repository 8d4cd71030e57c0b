//! Whose turn it is: the order of the flows' packets.

use std::fmt;

use serde::Serialize;

/// In which order the packets of the flows come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Any flow at any time.
    Random,
    /// One flow after the other.
    RoundRobin,
    /// A few flows most of the time: the n-th most frequent one with a frequency of 1/n.
    Zipf,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "random order",
            Self::RoundRobin => "round-robin",
            Self::Zipf => "Zipf distribution",
        })
    }
}

/// Chooses flows.
pub(super) struct Choice {
    order: Order,
    flows: u32,
    state: u64,
    /// Logarithm to base 2 of one more than the number of flows, in 2^-32: a rank is what is below it, rounded down.
    log_flows: u64,
    /// Powers of 2 with the exponents 0/256 to 255/256, in 2^-16.
    powers: [u32; 256],
}

impl Choice {
    /// Chooses among this many flows.
    pub(super) fn new(order: Order, flows: u32) -> Self {
        let powers = std::array::from_fn(|at| ((at as f64 / 256.0).exp2() * 65_536.0) as u32);
        let log_flows = ((f64::from(flows) + 1.0).log2() * 4_294_967_296.0) as u64;
        Self { order, flows, state: rand::random(), log_flows, powers }
    }

    /// The next packet's flow.
    #[inline]
    pub(super) fn next(&mut self) -> u32 {
        if self.order == Order::RoundRobin {
            self.state += 1;
            if self.state >= u64::from(self.flows) {
                self.state = 0;
            }
            return self.state as u32;
        }
        self.state = self.state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let random = self.state >> 32;
        if self.order == Order::Random {
            return ((random * u64::from(self.flows)) >> 32) as u32;
        }
        // With a density of 1/n the logarithm of n is uniform.
        let exponent = ((u128::from(random) * u128::from(self.log_flows)) >> 32) as u64;
        let power = u64::from(self.powers[(exponent >> 24) as usize % 256]);
        let fine = self.state >> 16 & 0xffff; // the steps between the powers, filled in
        let rank =
            ((power << (exponent >> 32)) + (((fine * power) >> 24) << (exponent >> 32))) >> 16;
        (rank * STRIDE % u64::from(self.flows)) as u32
    }
}

/// A prime above every number of flows there can be, to visit them out of order.
pub(super) const STRIDE: u64 = 4_294_967_311;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_stride_visits_every_flow_once() {
        for flows in [1, 2, 64, 1000, 65_536] {
            let visited: HashSet<u64> = (0..flows).map(|at| at * STRIDE % flows).collect();
            assert_eq!(visited.len() as u64, flows);
        }
    }

    #[test]
    fn every_order_chooses_among_all_flows() {
        for order in [Order::Random, Order::RoundRobin, Order::Zipf] {
            for flows in [1, 3, 100] {
                let mut choice = Choice::new(order, flows);
                let chosen: HashSet<u32> = (0..10_000).map(|_| choice.next()).collect();
                assert_eq!(chosen, (0..flows).collect(), "{order}");
            }
        }
    }

    #[test]
    fn in_zipf_order_each_doubling_of_the_rank_is_as_frequent() {
        let flows = 1 << 12;
        let mut choice = Choice::new(Order::Zipf, flows);
        let mut by_octave = [0; 12];
        for _ in 0..120_000 {
            let flow = choice.next();
            // Undo the scattering: 15 is what the stride is modulo a power of two.
            let rank = (1..=flows).find(|rank| rank * 15 % flows == flow).unwrap();
            by_octave[rank.ilog2().min(11) as usize] += 1;
        }
        assert!(by_octave.iter().all(|n| (9_000..11_000).contains(n)), "{by_octave:?}");
    }
}
