//! Ports of one worker that only the journal's record makes usable: see [`Leases`].

use std::ops::RangeInclusive;

use rand::Rng;
use rand::rngs::SmallRng;

use super::{Address, ExternalPorts, SPACES, space_of};
use crate::engine::ids::Tick;
use crate::nat::hosts::Hosts;
use crate::nat::layout::Layout;
use crate::nat::leases::{Lease, Leases};
use crate::nat::table::NatTable;

/// What of an address has to be leased: nothing without a journal, nor what belongs to a host by arithmetic (RFC 6888 REQ-8,
/// exception b).
pub(super) fn leases(
    table: &NatTable,
    blocks: Option<&(RangeInclusive<u16>, u16)>,
    ports: &RangeInclusive<u16>,
) -> Option<Box<Leases>> {
    if !table.journals() {
        return None;
    }
    let leases = match (table.layout().blocks(), blocks) {
        (Some((all, size)), Some((own, _))) => Leases::new(own.clone(), *all.start(), size),
        _ if table.layout() == &Layout::Dynamic => Leases::new(ports.clone(), 0, 1),
        _ => return None,
    };
    Some(Box::new(leases))
}

impl ExternalPorts {
    /// Lets ports rest that may have been in use when the process before this one ended.
    pub fn rest_again(
        &mut self,
        since_before: impl Iterator<Item = (u32, RangeInclusive<u16>)>,
        until: Tick,
    ) {
        self.rests_until = until;
        for (address, ports) in since_before {
            if let Some(at) = self.position(address)
                && let Some(leases) = &mut self.addresses[at].leases
            {
                leases.rest(&ports);
            }
        }
    }

    /// Looks after one address: says what the journal shall record, so that there are always ports to hand out, and what
    /// it may strike off. Takes a bounded number of steps.
    #[cold]
    pub fn tend(&mut self, random: &mut SmallRng, now: Tick, mut tell: impl FnMut(Lease)) {
        let count = self.addresses.len();
        if count == 0 {
            return;
        }
        let at = self.hungry.take().filter(|at| *at < count).unwrap_or_else(|| {
            self.next_tended = (self.next_tended + 1) % count;
            self.next_tended
        });
        let awake = now >= self.rests_until;
        let entry = &mut self.addresses[at];
        let (address, free) = (entry.address, entry.leased_free());
        let Some(leases) = &mut entry.leases else { return };
        if awake {
            leases.wake();
        }
        let untold = leases.take_untold();
        let wanted = leases.wanted();
        let asked = match wanted.checked_sub(free) {
            Some(missing) if missing > 0 => leases.ask(missing, || random.next_u64()),
            _ => 0,
        };
        if untold | asked != 0 {
            tell(leases.lease(address, untold | asked, false));
        } else if free > 3 * wanted
            && let Some(lease) = entry.end_a_lease(random.next_u64())
        {
            tell(lease);
        }
    }

    /// Uses what the journal has recorded.
    pub fn grant(&mut self, lease: &Lease) {
        let Some(at) = self.position(lease.address) else { return };
        let entry = &mut self.addresses[at];
        let Some(leases) = &mut entry.leases else { return };
        for unit in leases.grant(lease.units) {
            self.open_unit(at, unit);
        }
    }

    /// Units of ports that were used before the journal had them: it did not keep up.
    pub fn forced(&self) -> u64 {
        self.forced
    }

    /// Whether anything has to be leased.
    #[inline]
    pub fn leases_ports(&self) -> bool {
        self.addresses.first().is_some_and(|entry| entry.leases.is_some())
    }

    /// Remembers an address of which few leased ports are free.
    #[inline]
    pub(super) fn note_hunger(&mut self, at: usize) {
        let entry = &self.addresses[at];
        if let Some(leases) = &entry.leases
            && entry.leased_free() < leases.wanted() / 2
        {
            self.hungry = Some(at);
        }
    }

    /// A port of a unit that is not on record yet: all others are taken, and no host shall wait for a disk.
    #[cold]
    pub(super) fn take_forced(
        &mut self,
        at: usize,
        space: usize,
        random: &mut SmallRng,
    ) -> Option<u16> {
        loop {
            self.force(at, random)?;
            let entry = &mut self.addresses[at];
            if let Some(port) = entry.take(space, entry.ports.clone(), random.next_u64()) {
                return Some(port);
            }
        }
    }

    /// A port of one of the host's blocks, or of a new one.
    pub(super) fn take_of_blocks(
        &mut self,
        at: usize,
        space: usize,
        (hosts, id): (&mut Hosts, u32),
        table: &NatTable,
        random: &mut SmallRng,
    ) -> Option<u16> {
        loop {
            let entry = &mut self.addresses[at];
            if let Some(port) = entry.take_of_blocks(space, hosts, id, table, random) {
                self.note_hunger(at);
                return Some(port);
            }
            let at_limit = hosts.host(id).blocks >= u32::from(table.max_blocks_per_host());
            if at_limit || !entry.has_block() {
                return None;
            }
            self.force(at, random)?;
        }
    }

    fn force(&mut self, at: usize, random: &mut SmallRng) -> Option<()> {
        let unit = self.addresses[at].leases.as_mut()?.force(random.next_u64())?;
        self.open_unit(at, unit);
        self.hungry = Some(at);
        self.forced += 1;
        Some(())
    }

    /// Lets the ports of a unit be handed out, those of forwards apart.
    fn open_unit(&mut self, at: usize, unit: u32) {
        let entry = &mut self.addresses[at];
        let Some(ports) = entry.leases.as_ref().and_then(|leases| leases.range(unit)) else {
            return;
        };
        for used in entry.used.iter_mut() {
            used.give_all(ports.clone());
        }
        if let Some(foreign) = &entry.foreign {
            for port in ports.clone().filter(|port| foreign.is_used(*port)) {
                entry.used.iter_mut().for_each(|used| _ = used.take_exact(port));
            }
        }
        for (protocol, (address, port)) in &self.reserved {
            if *address == entry.address
                && ports.contains(port)
                && let Some(space) = space_of(*protocol)
            {
                entry.take_exact(space, *port);
            }
        }
    }
}

impl Address {
    /// Takes the ports of all units that are not leased out of the way.
    pub(super) fn close_all(&mut self) {
        let Some(leases) = &self.leases else { return };
        for ports in leases.closed_ranges() {
            self.used.iter_mut().for_each(|used| used.take_all(ports.clone()));
        }
    }

    /// Goes on with the leases of before a change of configuration. None of the ports that are not leased is in use.
    pub(super) fn follow_leases(&mut self) {
        let Some(leases) = &mut self.leases else { return };
        if self.blocks.is_some() || leases.ports() == &self.ports {
            return;
        }
        for ports in leases.closed_ranges() {
            self.used.iter_mut().for_each(|used| used.give_all(ports.clone()));
        }
        leases.move_to(self.ports.clone());
        self.close_all();
    }

    /// Whether a port is not to be handed out before it is on record.
    pub(super) fn is_closed(&self, port: u16) -> bool {
        let mut closed = self.leases.iter().flat_map(|leases| leases.closed_ranges());
        closed.any(|ports| ports.contains(&port))
    }

    /// How many ports those are, foreign ones apart.
    pub(super) fn closed_count(&self) -> u32 {
        let own = |ports: RangeInclusive<u16>| {
            let foreign = self.foreign.as_ref().map_or(0, |foreign| foreign.used(ports.clone()));
            (ports.len() - foreign) as u32
        };
        self.leases.iter().flat_map(|leases| leases.closed_ranges()).map(own).sum()
    }

    /// Leased ports that are free in every space.
    fn leased_free(&self) -> u32 {
        let Some(leases) = &self.leases else { return 0 };
        let used = match &self.blocks {
            Some(blocks) => blocks.given_ports(),
            None => self.taken.iter().copied().max().unwrap_or(0),
        };
        leases.leased_ports().saturating_sub(used)
    }

    /// Gives one of the leased units back that nobody uses, if the one looked at is one.
    fn end_a_lease(&mut self, random: u64) -> Option<Lease> {
        let leases = self.leases.as_mut()?;
        let (unit, ports) = leases.any_leased(random)?;
        if (0..SPACES).any(|space| self.used[space].used(ports.clone()) > 0) {
            return None;
        }
        leases.end(unit);
        for used in self.used.iter_mut() {
            used.take_all(ports.clone());
        }
        Some(leases.lease(self.address, 1 << unit, true))
    }
}
