//! Which octets of one datagram have come: the test for repeated and overlapping fragments (RFC 5722, RFC 1858).

#[cfg(test)]
mod tests;

use crate::engine::meta::{Kind, Meta};

/// The octets of its datagram's payload that a fragment carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extent {
    /// The first octet: a multiple of 8.
    pub(super) from: u16,
    /// The first octet behind it.
    pub(super) to: u16,
    /// Whether no more follow.
    pub(super) last: bool,
}

impl Extent {
    /// What `parse` found of a fragment.
    pub(super) fn of(meta: &Meta) -> Self {
        if meta.kind != Kind::LaterFragment {
            return Self { from: 0, to: meta.fragment_at, last: false };
        }
        let from = meta.fragment_at & !7;
        let length = meta.ip_length.saturating_sub(u16::from(meta.l4 - meta.l3));
        Self { from, to: from.saturating_add(length), last: meta.fragment_at & 1 == 0 }
    }
}

/// Why a fragment is not added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// It carries octets that came before, and others, or contradicts the end of the datagram.
    Overlapping,
    /// It came before.
    Repeated,
    /// The datagram is in more pieces than are told apart.
    TooMany,
}

/// The fragments of one datagram that have come, in order of their offsets.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C)]
pub(super) struct Coverage {
    /// Start and end of each, in units of 8 octets.
    ranges: [[u16; 2]; MOST],
    count: u16,
    /// Units that have come.
    covered: u16,
    /// Octets of the datagram's payload; 0 until its last fragment has come.
    end: u16,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { ranges: [[0; 2]; MOST], count: 0, covered: 0, end: 0 }
    }
}

impl Coverage {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.count, self.covered, self.end) = (0, 0, 0);
    }

    /// Adds a fragment that overlaps none before it.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub(super) fn add(&mut self, extent: Extent) -> Result<(), Refused> {
        let range @ [from, to] = [extent.from / 8, extent.to.div_ceil(8)];
        let count = usize::from(self.count);
        let known = &self.ranges[..count];
        let at = known.partition_point(|range| range[0] < from);
        let ends_elsewhere = match (self.end, extent.last) {
            (0, false) => false,
            (0, true) => known.last().is_some_and(|range| range[1] >= to),
            (end, false) => extent.to >= end,
            (end, true) => extent.to != end,
        };
        if ends_elsewhere || from >= to {
            return Err(Refused::Overlapping);
        }
        if known.get(at) == Some(&range) {
            return Err(Refused::Repeated);
        }
        let reaches_in = at > 0 && known[at - 1][1] > from;
        if reaches_in || known.get(at).is_some_and(|next| next[0] < to) {
            return Err(Refused::Overlapping);
        }
        if count == MOST {
            return Err(Refused::TooMany);
        }
        self.ranges.copy_within(at..count, at + 1);
        self.ranges[at] = range;
        self.count += 1;
        self.covered += to - from;
        if extent.last {
            self.end = extent.to;
        }
        Ok(())
    }

    /// Whether the whole datagram has come.
    pub(super) fn is_complete(&self) -> bool {
        self.end != 0 && self.covered == self.end.div_ceil(8)
    }
}

/// Fragments of one datagram at most. The largest one arrives in 119 where the MTU is 576 octets, which every IPv4
/// module must take (RFC 791 3.2).
const MOST: usize = 128;
