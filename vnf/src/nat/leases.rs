//! Which ports of an external address are on record outside the process, so that after a crash it is known which may have
//! been in use (RFC 6888 REQ-8): a worker hands out ports of units that the journal has.

use std::ops::RangeInclusive;

/// Units of ports of one external address, to be put on record, or struck off it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// The external address.
    pub address: u32,
    /// The first port of unit 0.
    pub base: u16,
    /// Ports of a unit.
    pub unit: u16,
    /// The units, a bit each.
    pub units: u128,
    /// Whether they are given back.
    pub ended: bool,
}

/// What one worker has leased of one external address. Ports of units that are not leased count as taken elsewhere.
#[derive(Clone, Debug)]
pub struct Leases {
    /// What the worker may lease.
    ports: RangeInclusive<u16>,
    base: u16,
    unit: u16,
    /// Units with ports of the worker.
    all: u128,
    /// Units whose ports are handed out, and how many ports that are.
    leased: u128,
    leased_ports: u32,
    /// Units that the journal was asked to record.
    asked: u128,
    /// Units that were in use before a crash, perhaps, and rest.
    resting: u128,
    resting_ports: u32,
    /// Units that were leased before the journal had them.
    untold: u128,
}

impl Leases {
    /// Nothing leased of these ports. Units are counted from `base`; they consist of whole blocks of `block` ports.
    pub fn new(ports: RangeInclusive<u16>, base: u16, block: u16) -> Self {
        let unit = block.saturating_mul(UNIT.div_ceil(block.max(1)).max(1));
        let mut leases = Self {
            ports,
            base,
            unit,
            all: 0,
            leased: 0,
            leased_ports: 0,
            asked: 0,
            resting: 0,
            resting_ports: 0,
            untold: 0,
        };
        leases.all = leases.find_all();
        leases
    }

    /// The worker's ports of a unit.
    pub fn range(&self, unit: u32) -> Option<RangeInclusive<u16>> {
        let first = u32::from(self.base) + unit * u32::from(self.unit);
        let last = first + u32::from(self.unit) - 1;
        let (first, last) =
            (first.max((*self.ports.start()).into()), last.min((*self.ports.end()).into()));
        (first <= last).then_some(first as u16..=last as u16)
    }

    fn find_all(&self) -> u128 {
        let units = (0..u128::BITS).filter(|unit| self.range(*unit).is_some());
        units.fold(0, |all, unit| all | 1 << unit)
    }

    /// Units whose ports may not be handed out now.
    fn closed(&self) -> u128 {
        self.all & !self.leased
    }

    /// The ports that may not be handed out now, unit by unit.
    pub fn closed_ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> + '_ {
        units_of(self.closed()).filter_map(|unit| self.range(unit))
    }

    fn ports_of(&self, units: u128) -> u32 {
        units_of(units).filter_map(|unit| self.range(unit)).map(|ports| ports.len() as u32).sum()
    }

    /// How many ports may be handed out now, those in use included.
    #[inline]
    pub fn leased_ports(&self) -> u32 {
        self.leased_ports
    }

    /// How many ports rest because of what was before a crash.
    #[inline]
    pub fn resting_ports(&self) -> u32 {
        self.resting_ports
    }

    /// How many leased ports shall be free at any time: many, so that the next one cannot be guessed.
    pub fn wanted(&self) -> u32 {
        (self.ports.len() as u32 / 8).clamp(1, MOST_WANTED)
    }

    /// Chooses units to be recorded, of this many ports at least if there are.
    pub fn ask(&mut self, ports: u32, mut random: impl FnMut() -> u64) -> u128 {
        let mut chosen = 0;
        while self.ports_of(chosen) < ports {
            let Some(unit) = choose(self.closed() & !(self.asked | self.resting), random()) else {
                break;
            };
            self.asked |= 1 << unit;
            chosen |= 1 << unit;
        }
        chosen
    }

    /// Units that are recorded now, as far as they are not leased already.
    pub fn grant(&mut self, units: u128) -> impl Iterator<Item = u32> + use<> {
        let granted = units & self.asked & !self.leased & !self.resting;
        self.asked &= !units;
        self.lease_all(self.leased | granted);
        units_of(granted)
    }

    fn lease_all(&mut self, units: u128) {
        self.leased = units;
        self.leased_ports = self.ports_of(units & self.all);
    }

    /// A unit that is leased before it is recorded, as no other port is left.
    pub fn force(&mut self, random: u64) -> Option<u32> {
        let unit = choose(self.closed() & !self.resting, random)?;
        self.lease_all(self.leased | 1 << unit);
        self.untold |= 1 << unit;
        Some(unit)
    }

    /// Units leased before they were recorded, each once.
    pub fn take_untold(&mut self) -> u128 {
        std::mem::take(&mut self.untold)
    }

    /// One of the leased units, with its ports.
    pub fn any_leased(&self, random: u64) -> Option<(u32, RangeInclusive<u16>)> {
        let unit = choose(self.leased & self.all, random)?;
        Some((unit, self.range(unit)?))
    }

    /// Gives a unit back.
    pub fn end(&mut self, unit: u32) {
        self.lease_all(self.leased & !(1 << unit));
    }

    /// Lets the units rest that have any of these ports.
    pub fn rest(&mut self, ports: &RangeInclusive<u16>) {
        for unit in units_of(self.all) {
            let own = self.range(unit);
            if own.is_some_and(|own| own.start() <= ports.end() && ports.start() <= own.end()) {
                self.resting |= 1 << unit;
            }
        }
        self.resting_ports = self.ports_of(self.resting);
    }

    /// Lets what rested be leased again.
    pub fn wake(&mut self) {
        (self.resting, self.resting_ports) = (0, 0);
    }

    /// Goes on with other ports, as the configuration divides them now. Units that have more ports than before are leased with
    /// them: they may be in use already.
    pub fn move_to(&mut self, ports: RangeInclusive<u16>) {
        let before = self.clone();
        self.ports = ports;
        self.all = self.find_all();
        for unit in units_of(self.all & before.all) {
            if self.range(unit) != before.range(unit) {
                self.leased |= 1 << unit;
                self.untold |= 1 << unit;
            }
        }
        self.lease_all(self.leased);
        self.resting_ports = self.ports_of(self.resting & self.all);
    }

    /// The ports of the worker's that leases are about.
    pub fn ports(&self) -> &RangeInclusive<u16> {
        &self.ports
    }

    /// These units of an address, for the journal.
    pub fn lease(&self, address: u32, units: u128, ended: bool) -> Lease {
        Lease { address, base: self.base, unit: self.unit, units, ended }
    }
}

impl Lease {
    /// The ports of each unit.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> + use<> {
        let Self { base, unit, units, .. } = *self;
        units_of(units).filter_map(move |number| {
            let first = u32::from(base) + number * u32::from(unit);
            let last = (first + u32::from(unit).max(1) - 1).min(u16::MAX.into());
            u16::try_from(first).ok().map(|first| first..=last as u16)
        })
    }
}

/// One of the bits that are set.
fn choose(units: u128, random: u64) -> Option<u32> {
    let nth = ((u128::from(random) * u128::from(units.count_ones())) >> 64) as usize;
    units_of(units).nth(nth)
}

/// The numbers of the bits that are set.
fn units_of(mut units: u128) -> impl Iterator<Item = u32> + use<> {
    std::iter::from_fn(move || {
        let unit = (units != 0).then(|| units.trailing_zeros())?;
        units &= units - 1;
        Some(unit)
    })
}

/// Ports of a unit, where blocks are not larger: an address has at most 128 units.
const UNIT: u16 = 512;
/// Free ports that a worker has leased of an address, about.
const MOST_WANTED: u32 = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_whole_blocks_and_cover_every_port_once() {
        for (ports, base, block) in [
            (1024..=65535, 0, 1),
            (1..=65535, 0, 1),
            (1024..=65023, 1024, 500),
            (5000..=5099, 5000, 7),
            (2000..=61999, 2000, 60000),
        ] {
            let leases = Leases::new(ports.clone(), base, block);
            let mut next = u32::from(*ports.start());
            for unit in units_of(leases.all) {
                let range = leases.range(unit).expect("ports of a unit");
                assert_eq!(u32::from(*range.start()), next);
                next = u32::from(*range.end()) + 1;
                assert!(
                    (next - u32::from(base)).is_multiple_of(block.into())
                        || next > u32::from(*ports.end())
                );
            }
            assert_eq!(next, u32::from(*ports.end()) + 1);
            let lease = leases.lease(1, leases.all, false);
            assert!(ports.clone().all(|port| lease.ranges().any(|range| range.contains(&port))));
        }
    }

    #[test]
    fn a_unit_is_granted_once_and_rests_while_it_has_to() {
        let mut leases = Leases::new(1024..=65535, 0, 1);
        leases.rest(&(2000..=2000));
        let asked = leases.ask(u32::MAX, || 7);
        assert_eq!(leases.ports_of(asked), 64_512 - 512, "all but what rests");
        assert_eq!(leases.leased_ports(), 0);
        let (first, others) = (asked & asked.wrapping_neg(), asked & (asked - 1));
        assert_eq!(leases.grant(first).count(), 1);
        assert_eq!(leases.grant(first).count(), 0);
        assert_eq!(leases.force(u64::MAX), Some(127), "asked for, but not there yet");
        assert_eq!(leases.take_untold(), 1 << 127);
        assert_eq!(leases.grant(others).count() as u32, others.count_ones() - 1);
        assert_eq!(leases.leased_ports(), 64_512 - 512);
        assert_eq!((leases.force(0), leases.resting_ports()), (None, 512));
        leases.wake();
        assert_eq!(leases.force(0), Some(3));
        assert_eq!(leases.closed(), 0);
    }
}
