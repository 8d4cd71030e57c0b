use dpdk_bindings::Mempool;
use dpdk_bindings::testing::pool;

use super::*;
use crate::engine::ids::InterfaceId;
use crate::engine::mask::Slot;
use crate::engine::meta::{Family, FlowKey, Form};
use crate::engine::verdict::Verdict;

/// A tracker with what it needs, at a time of its own.
struct Bench {
    tracker: Tracker,
    burst: Burst,
    counters: Counters,
    pool: Mempool,
    now: Tick,
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Became {
    Dropped(DropReason),
    Held,
    Passed(u16, u16),
}

use Became::{Dropped, Held, Passed};
use DropReason::{FragmentInvalid, FragmentLimit};

impl Bench {
    fn new(buffers: u32) -> Self {
        let now = Tick(u64::from(u32::MAX) - 500); // the low 32 bits wrap under way
        Self {
            tracker: Tracker::new(Hasher::random(), Source::Plain).unwrap(),
            burst: Burst::new(),
            counters: Counters::new(1),
            pool: pool(buffers),
            now,
        }
    }

    fn send(&mut self, meta: Meta) -> Became {
        self.send_from(Origin::Port, meta)
    }

    fn send_from(&mut self, origin: Origin, meta: Meta) -> Became {
        let mut packet = self.pool.frame(&[meta.fragment_at as u8]);
        self.burst.fill(origin, || packet.take().map(|packet| (packet, Arrival::default())));
        self.take_through(meta)
    }

    fn take_through(&mut self, meta: Meta) -> Became {
        let slot = Slot::new(0);
        self.burst.meta[slot] = meta;
        self.tracker.run(&mut self.burst, Mask::first(1), &self.counters, self.now);
        if self.burst.live().contains(slot) {
            let key = self.burst.meta[slot].key;
            drop(self.burst.take(slot));
            return Passed(key.source_port, key.destination_port);
        }
        match self.burst.next_settled() {
            Some((_, Verdict::Drop(reason), _)) => Dropped(reason),
            Some((_, other, _)) => panic!("{other:?}"),
            None => Held,
        }
    }

    /// Lets what was released go through again, and tells what became of each.
    fn released(&mut self, meta: impl Fn(u8) -> Meta) -> Vec<Became> {
        let mut all = Vec::new();
        while self.tracker.has_released() {
            let mut next = self.tracker.next_released();
            let at = next.as_ref().unwrap().0.data()[0];
            self.burst.fill(Origin::Fragments, || next.take());
            all.push(self.take_through(meta(at)));
        }
        all
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.counters.drops[reason as usize].read()
    }

    fn wait(&mut self, ms: u64) {
        self.now.0 += ms;
        for _ in 0..DATAGRAMS / EXPIRIES + 1 {
            self.tracker.expire(&self.counters, self.now);
        }
    }

    /// Nothing is remembered, held or spent.
    fn is_clean(&self) -> bool {
        let spent = self.tracker.budgets.iter().any(|b| b.held > 0 || b.datagrams > 0);
        !spent
            && self.tracker.ids.used() == 0
            && self.tracker.index.is_empty()
            && self.tracker.held() == 0
            && self.tracker.oldest().is_none()
            && self.pool.in_use() == 0
    }
}

fn fragment(source: u32, id: u32) -> Meta {
    Meta {
        key: FlowKey {
            source: [source, 0, 0, 0],
            destination: [0xc000_0201, 0, 0, 0],
            protocol: 17,
            ..FlowKey::default()
        },
        l3: 14,
        l4: 34,
        ip_length: 28,
        form: Form::Fragment,
        fragment_id: id,
        ..Meta::default()
    }
}

/// The first eight octets of a datagram from port 5000 to port 53.
fn first(id: u32) -> Meta {
    let mut meta = fragment(0x0a00_0002, id);
    (meta.key.source_port, meta.key.destination_port) = (5000, 53);
    (meta.fragment_at, meta.detail) = (8, 77);
    meta
}

/// Eight octets at this offset, with more to follow.
fn middle(id: u32, at: u16) -> Meta {
    Meta { fragment_at: at | 1, kind: Kind::LaterFragment, ..fragment(0x0a00_0002, id) }
}

/// The last eight octets, at this offset.
fn end(id: u32, at: u16) -> Meta {
    Meta { fragment_at: at, ..middle(id, at) }
}

const KNOWN: Became = Passed(5000, 53);

#[test]
fn three_fragments_pass_in_every_order() {
    let parts = [first(1), middle(1, 8), end(1, 16)];
    for [a, b, c] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = Bench::new(8);
        let mut seen_first = false;
        let mut passed = 0;
        for at in [a, b, c] {
            seen_first |= at == 0;
            let became = bench.send(parts[at]);
            assert_eq!(became, if seen_first { KNOWN } else { Held });
            passed += usize::from(became == KNOWN);
            let again = bench.released(|at| if at & 1 == 1 { parts[1] } else { parts[2] });
            assert!(again.iter().all(|became| *became == KNOWN));
            passed += again.len();
        }
        assert_eq!(passed, 3);
        assert!(bench.is_clean(), "complete, so forgotten");
    }
}

#[test]
fn what_waited_is_released_in_the_order_it_came() {
    let mut bench = Bench::new(8);
    for at in [24, 8, 16] {
        assert_eq!(bench.send(middle(1, at)), Held);
    }
    assert_eq!(bench.tracker.held(), 3);
    assert_eq!(bench.send(first(1)), KNOWN);
    let order = std::cell::RefCell::new(Vec::new());
    bench.released(|at| {
        order.borrow_mut().push(at & !1);
        middle(1, (at & !1).into())
    });
    assert_eq!(*order.borrow(), [24, 8, 16]);
    assert_eq!(bench.tracker.held(), 0);
}

#[test]
fn later_fragments_learn_all_that_decides_about_the_first() {
    let mut bench = Bench::new(8);
    let mut upper = first(1);
    upper.key.family = Family::Ipv6;
    upper.key.protocol = 17;
    let mut later = end(1, 8);
    later.key.family = Family::Ipv6;
    later.key.protocol = 60; // the fragment header names the destination options before UDP
    assert_eq!(bench.send(upper), KNOWN);
    assert_eq!(bench.send(later), KNOWN);
    let meta = &bench.burst.meta[Slot::new(0)];
    assert_eq!((meta.key.protocol, meta.detail), (17, 77));
    assert!(bench.is_clean());
}

#[test]
fn nothing_else_is_taken_for_the_same_datagram() {
    let others: [fn(&mut Meta); 5] = [
        |meta| meta.key.source[0] += 1,
        |meta| meta.key.destination[0] += 1,
        |meta| meta.key.protocol = 6,
        |meta| meta.fragment_id += 1,
        |meta| meta.ingress = InterfaceId(1),
    ];
    for change in others {
        let mut bench = Bench::new(8);
        assert_eq!(bench.send(first(1)), KNOWN);
        let mut other = end(1, 8);
        change(&mut other);
        assert_eq!(bench.send(other), Held);
        assert_eq!(bench.send(end(1, 8)), KNOWN);
    }
}

#[test]
fn repeated_fragments_are_dropped_alone() {
    let mut bench = Bench::new(8);
    assert_eq!(bench.send(first(1)), KNOWN);
    for _ in 0..1000 {
        assert_eq!(bench.send(first(1)), Dropped(FragmentInvalid));
    }
    assert_eq!(bench.send(middle(1, 8)), KNOWN);
    assert_eq!(bench.send(middle(1, 8)), Dropped(FragmentInvalid));
    assert_eq!(bench.send(end(1, 16)), KNOWN);
    assert!(bench.is_clean());
}

#[test]
fn an_overlap_ends_the_whole_datagram() {
    let mut wide = middle(1, 8);
    wide.ip_length += 8;
    for before in [vec![first(1), middle(1, 16)], vec![middle(1, 16), end(1, 32)]] {
        let mut bench = Bench::new(8);
        for meta in &before {
            bench.send(*meta);
        }
        let held = bench.tracker.held() as u64;
        assert_eq!(bench.send(wide), Dropped(FragmentInvalid));
        assert_eq!(bench.drops(FragmentInvalid), held, "and what waited");
        for rest in [first(1), middle(1, 24), end(1, 40)] {
            assert_eq!(bench.send(rest), Dropped(FragmentInvalid));
        }
        assert_eq!(bench.tracker.held(), 0);
        bench.wait(2000);
        assert!(bench.is_clean());
    }
}

#[test]
fn what_is_released_from_a_datagram_that_ends_badly_is_dropped() {
    let mut bench = Bench::new(8);
    assert_eq!(bench.send(middle(1, 8)), Held);
    assert_eq!(bench.send(first(1)), KNOWN);
    let mut wide = middle(1, 8);
    wide.ip_length += 8;
    let mut packet = bench.pool.frame(&[0]);
    let released = bench.tracker.next_released().unwrap();
    bench.burst.fill(Origin::Port, || packet.take().map(|packet| (packet, Arrival::default())));
    assert_eq!(bench.take_through(wide), Dropped(FragmentInvalid));
    let mut released = Some(released);
    bench.burst.fill(Origin::Fragments, || released.take());
    assert_eq!(bench.take_through(middle(1, 8)), Dropped(FragmentInvalid));
}

#[test]
fn what_waits_too_long_is_dropped() {
    let mut bench = Bench::new(8);
    bench.send(middle(1, 8));
    bench.wait(1999);
    bench.send(middle(2, 8));
    bench.send(end(2, 16));
    bench.send(first(3));
    assert_eq!(bench.drops(FragmentLimit), 0);
    bench.wait(1);
    assert_eq!((bench.drops(FragmentLimit), bench.tracker.held()), (1, 2));
    bench.wait(1999);
    assert_eq!(bench.drops(FragmentLimit), 3);
    assert!(bench.is_clean());
}

#[test]
fn an_identification_may_be_used_again_after_a_lost_fragment() {
    let mut bench = Bench::new(8);
    assert_eq!(bench.send(first(1)), KNOWN);
    bench.now.0 += 2000; // and nothing has looked since
    assert_eq!(bench.send(first(1)), KNOWN);
    assert_eq!(bench.send(end(1, 8)), KNOWN);
    assert!(bench.is_clean());
}

#[test]
fn a_flood_of_orphans_from_everywhere_is_bounded_and_the_oldest_go_first() {
    let mut bench = Bench::new(1024);
    for source in 0..20_000 {
        let orphan =
            Meta { key: FlowKey { source: [source, 0, 0, 0], ..middle(1, 8).key }, ..middle(1, 8) };
        assert_eq!(bench.send(orphan), Held);
        assert!(bench.tracker.held() <= HELD);
    }
    assert_eq!(bench.drops(FragmentLimit), 20_000 - HELD as u64);
    // Another sender's datagram comes through meanwhile.
    let mut last = end(7, 8);
    last.key.source[0] = 0x0a00_0063;
    let mut head = first(7);
    head.key.source[0] = 0x0a00_0063;
    assert_eq!(bench.send(last), Held);
    assert_eq!(bench.send(head), KNOWN);
    assert_eq!(bench.released(|_| last), [KNOWN]);
    bench.wait(2000);
    assert!(bench.is_clean());
}

#[test]
fn one_source_takes_its_share_at_most() {
    let mut bench = Bench::new(1024);
    let became: Vec<Became> = (0..1000).map(|id| bench.send(middle(id, 8))).collect();
    let most = usize::from(HELD_PER_SOURCE);
    assert!(became[..most].iter().all(|became| *became == Held));
    assert!(became[most..].iter().all(|became| *became == Dropped(FragmentLimit)));
    assert_eq!(bench.tracker.held(), most);
    for id in 0..u32::from(DATAGRAMS_PER_SOURCE) * 2 {
        bench.send(first(id | 1 << 16));
    }
    assert_eq!(bench.tracker.ids.used(), usize::from(DATAGRAMS_PER_SOURCE));
    bench.wait(2000);
    assert!(bench.is_clean());
}

#[test]
fn one_datagram_waits_with_a_bounded_number_of_fragments() {
    let mut bench = Bench::new(1024);
    for at in 1..100 {
        let fits = at <= HELD_PER_DATAGRAM;
        let expected = if fits { Held } else { Dropped(FragmentLimit) };
        assert_eq!(bench.send(middle(1, at * 8)), expected);
    }
    assert_eq!(bench.tracker.held(), usize::from(HELD_PER_DATAGRAM));
}

#[test]
fn more_datagrams_than_there_are_places_for_push_out_the_oldest() {
    let mut bench = Bench::new(8);
    for source in 0..DATAGRAMS as u32 + 1 {
        let mut meta = first(1);
        meta.key.source[0] = source;
        assert_eq!(bench.send(meta), KNOWN);
    }
    assert_eq!(bench.tracker.ids.used(), DATAGRAMS);
    let later = |source: u32| {
        let mut meta = middle(1, 8);
        meta.key.source[0] = source;
        meta
    };
    assert_eq!(bench.send(later(1)), KNOWN);
    assert_eq!(bench.send(later(0)), Held, "forgotten");
    assert_eq!(bench.send(later(2)), Held, "which took the next oldest one's place");
}

#[test]
fn fragments_that_come_back_from_waiting_for_a_neighbour_are_not_repetitions() {
    let mut bench = Bench::new(8);
    assert_eq!(bench.send(first(1)), KNOWN);
    assert_eq!(bench.send(middle(1, 8)), KNOWN);
    assert_eq!(bench.send_from(Origin::Held, first(1)), KNOWN);
    assert_eq!(bench.send_from(Origin::Held, middle(1, 8)), KNOWN);
    bench.wait(2000);
    // Forgotten by now: the first one makes it known again, another one is late for good.
    assert_eq!(bench.send_from(Origin::Held, middle(1, 8)), Dropped(FragmentLimit));
    assert_eq!(bench.send_from(Origin::Held, first(1)), KNOWN);
    assert_eq!(bench.send_from(Origin::Held, end(1, 8)), KNOWN);
    assert!(bench.is_clean());
}
