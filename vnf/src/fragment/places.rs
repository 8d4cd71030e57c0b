//! Room for fragments that wait for their datagram's first one: places made at start, in chains.

use dpdk_bindings::mbuf::Mbuf;

use crate::engine::ids::Arrival;

/// A bounded number of packets, each in one chain.
pub(super) struct Places {
    places: Vec<Place>,
    free: Chain,
    used: usize,
}

#[derive(Default)]
struct Place {
    packet: Option<(Mbuf, Arrival)>,
    next: u32,
}

/// Packets in the order they came. A place is known by its number plus one; 0 is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, zerocopy::FromZeros)]
#[repr(C)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Places {
    /// Room for so many packets.
    pub(super) fn new(capacity: usize) -> Self {
        let mut places = Self { places: Vec::new(), free: Chain::default(), used: 0 };
        places.places.resize_with(capacity, Place::default);
        let mut free = Chain::default();
        (1..=capacity as u32).for_each(|place| places.link(&mut free, place));
        places.free = free;
        places
    }

    /// Puts a packet at the end of a chain; gives it back when every place is taken.
    pub(super) fn push(
        &mut self,
        chain: &mut Chain,
        packet: (Mbuf, Arrival),
    ) -> Result<(), (Mbuf, Arrival)> {
        let mut free = self.free;
        let Some(place) = self.unlink(&mut free) else { return Err(packet) };
        self.free = free;
        self.place(place).packet = Some(packet);
        self.link(chain, place);
        self.used += 1;
        Ok(())
    }

    /// Takes the first packet of a chain.
    pub(super) fn pop(&mut self, chain: &mut Chain) -> Option<(Mbuf, Arrival)> {
        let place = self.unlink(chain)?;
        let mut free = self.free;
        self.link(&mut free, place);
        self.free = free;
        self.used -= 1;
        self.place(place).packet.take()
    }

    /// Moves all packets of one chain behind those of another.
    pub(super) fn append(&mut self, chain: &mut Chain, other: &mut Chain) {
        if other.first == 0 {
            return;
        }
        match chain.last {
            0 => chain.first = other.first,
            last => self.place(last).next = other.first,
        }
        chain.last = other.last;
        *other = Chain::default();
    }

    /// How many packets there are.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// How many there may be.
    pub(super) fn capacity(&self) -> usize {
        self.places.len()
    }

    /// Memory reserved, in octets.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    fn place(&mut self, place: u32) -> &mut Place {
        &mut self.places[place as usize - 1]
    }

    fn link(&mut self, chain: &mut Chain, place: u32) {
        self.append(chain, &mut Chain { first: place, last: place });
    }

    fn unlink(&mut self, chain: &mut Chain) -> Option<u32> {
        let place = chain.first;
        if place == 0 {
            return None;
        }
        chain.first = std::mem::take(&mut self.place(place).next);
        if chain.first == 0 {
            chain.last = 0;
        }
        Some(place)
    }
}

impl Chain {
    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.first == 0
    }
}

#[cfg(test)]
mod tests {
    use dpdk_bindings::testing::pool;

    use super::*;

    fn contents(places: &mut Places, chain: &mut Chain) -> Vec<u8> {
        std::iter::from_fn(|| places.pop(chain)).map(|(packet, _)| packet.data()[0]).collect()
    }

    #[test]
    fn chains_keep_their_order_and_share_the_places() {
        let pool = pool(8);
        let mut places = Places::new(5);
        let push = |places: &mut Places, chain: &mut Chain, content| {
            places.push(chain, (pool.frame(&[content]).unwrap(), Arrival::default())).is_ok()
        };
        for _ in 0..3 {
            let [mut a, mut b, mut empty] = [Chain::default(); 3];
            for content in 0..4 {
                let chain = if content % 2 == 0 { &mut a } else { &mut b };
                assert!(push(&mut places, chain, content));
            }
            assert!(push(&mut places, &mut a, 4));
            assert!(!push(&mut places, &mut b, 5), "five places");
            assert_eq!((places.used(), places.capacity()), (5, 5));
            places.append(&mut b, &mut a);
            places.append(&mut b, &mut empty);
            places.append(&mut empty, &mut b);
            assert!(a.is_empty() && b.is_empty());
            assert_eq!(contents(&mut places, &mut empty), [1, 3, 0, 2, 4]);
            assert!(empty.is_empty() && places.used() == 0);
        }
        assert_eq!(pool.in_use(), 0);
    }
}
