//! Which of the 65,536 ports of an address are taken: a bit each, and two levels above that say where all are.

use std::ops::RangeInclusive;

/// The ports of one external address and protocol.
#[derive(Clone, Debug)]
pub struct PortBitmap {
    /// A set bit is a taken port.
    ports: Box<[u64; WORDS]>,
    /// A set bit is a word of `ports` without a free one.
    full: [u64; WORDS / 64],
    /// A set bit is a word of `full` without a free one.
    fuller: u64,
}

impl PortBitmap {
    /// Makes a map with every port free: 8 KiB.
    pub fn new() -> Self {
        Self { ports: Box::new([0; WORDS]), full: [0; WORDS / 64], fuller: !0 << (WORDS / 64) }
    }

    /// Takes a free port of `range` chosen by `random`, or returns `None` when the range has none left.
    ///
    /// Exactly uniform while the port first thought of is free; else a random neighbour among its 64 (RFC 6056, section
    /// 3.3.2, spread out as far as one cache line allows), and only in a crowd the next free one upwards.
    pub fn take(&mut self, range: RangeInclusive<u16>, random: u64) -> Option<u16> {
        let port = self.peek(range, random)?;
        Some(self.mark(usize::from(port)))
    }

    /// The port that [`take`](Self::take) would take.
    pub fn peek(&self, range: RangeInclusive<u16>, random: u64) -> Option<u16> {
        let (first, last) = (usize::from(*range.start()), usize::from(*range.end()));
        let ports = (last + 1).checked_sub(first).filter(|&ports| ports > 0)?;
        let mut port = 0;
        for random in [random, random.rotate_left(32)] {
            port = first + (((random >> 32) * ports as u64) >> 32) as usize;
            if self.ports[port / 64] >> (port % 64) & 1 == 0 {
                return Some(port as u16);
            }
            let free = !self.ports[port / 64] & within(port / 64, first, last);
            if free != 0 {
                let nth = (u64::from(random as u16) * u64::from(free.count_ones())) >> 16;
                let rest = (0..nth).fold(free, |free, _| free & (free - 1));
                return Some((port / 64 * 64 + rest.trailing_zeros() as usize) as u16);
            }
        }
        self.free_in(port, last).or_else(|| self.free_in(first, port)).map(|port| port as u16)
    }

    /// Takes `port` and tells whether it was free.
    pub fn take_exact(&mut self, port: u16) -> bool {
        let free = !self.is_used(port);
        self.mark(usize::from(port));
        free
    }

    /// Gives `port` back and tells whether it was taken.
    pub fn give(&mut self, port: u16) -> bool {
        let taken = self.is_used(port);
        let word = usize::from(port) / 64;
        self.ports[word] &= !(1 << (port % 64));
        self.full[word / 64] &= !(1 << (word % 64));
        self.fuller &= !(1 << (word / 64));
        taken
    }

    /// Takes all ports of `range`, free or not.
    pub fn take_all(&mut self, range: RangeInclusive<u16>) {
        self.each_word(range, |word, bits| *word |= bits);
    }

    /// Gives all ports of `range` back, taken or not.
    pub fn give_all(&mut self, range: RangeInclusive<u16>) {
        self.each_word(range, |word, bits| *word &= !bits);
    }

    fn each_word(&mut self, range: RangeInclusive<u16>, change: impl Fn(&mut u64, u64)) {
        let (first, last) = (usize::from(*range.start()), usize::from(*range.end()));
        if first > last {
            return;
        }
        let set = |bits: &mut u64, at: usize, value: bool| {
            *bits = *bits & !(1 << (at % 64)) | u64::from(value) << (at % 64);
        };
        for word in first / 64..=last / 64 {
            change(&mut self.ports[word], within(word, first, last));
            set(&mut self.full[word / 64], word, self.ports[word] == !0);
        }
        for group in first / 4096..=last / 4096 {
            set(&mut self.fuller, group, self.full[group] == !0);
        }
    }

    /// Whether `port` is taken.
    pub fn is_used(&self, port: u16) -> bool {
        self.ports[usize::from(port) / 64] >> (port % 64) & 1 == 1
    }

    /// How many ports of `range` are taken.
    pub fn used(&self, range: RangeInclusive<u16>) -> usize {
        let (first, last) = (usize::from(*range.start()), usize::from(*range.end()));
        let taken = |word| (self.ports[word] & within(word, first, last)).count_ones() as usize;
        if first > last { 0 } else { (first / 64..=last / 64).map(taken).sum() }
    }

    /// How many bytes a map takes.
    pub const fn bytes() -> usize {
        size_of::<Self>() + size_of::<[u64; WORDS]>()
    }

    fn mark(&mut self, port: usize) -> u16 {
        let word = port / 64;
        self.ports[word] |= 1 << (port % 64);
        if self.ports[word] == !0 {
            self.full[word / 64] |= 1 << (word % 64);
            if self.full[word / 64] == !0 {
                self.fuller |= 1 << (word / 64);
            }
        }
        port as u16
    }

    /// The first free port from `first` to `last`: at most one look at each level down and one up again.
    fn free_in(&self, first: usize, last: usize) -> Option<usize> {
        let here = |word: usize| !self.ports[word] & within(word, first, last);
        let found = |word: usize| Some(word * 64 + here(word).trailing_zeros() as usize);
        let word = first / 64;
        if here(word) != 0 {
            return found(word);
        }
        let word = self.word_after(word)?;
        // The word found has a free port; whether before `last`, its bits say.
        if word <= last / 64 && here(word) != 0 { found(word) } else { None }
    }

    /// The next word after `word` with a free port.
    fn word_after(&self, word: usize) -> Option<usize> {
        let after = |index: usize| (!1_u64) << (index % 64);
        let rest = !self.full[word / 64] & after(word);
        if rest != 0 {
            return Some(word / 64 * 64 + rest.trailing_zeros() as usize);
        }
        let rest = !self.fuller & after(word / 64);
        let group = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
        Some(group * 64 + (!self.full[group]).trailing_zeros() as usize)
    }
}

impl Default for PortBitmap {
    fn default() -> Self {
        Self::new()
    }
}

/// The bits of `word` that stand for ports from `first` to `last`.
fn within(word: usize, first: usize, last: usize) -> u64 {
    let from = if word == first / 64 { !0 << (first % 64) } else { !0 };
    let to = if word == last / 64 { !0 >> (63 - last % 64) } else { !0 };
    from & to
}

/// Words of 64 ports.
const WORDS: usize = 65_536 / 64;

#[cfg(test)]
mod tests;
