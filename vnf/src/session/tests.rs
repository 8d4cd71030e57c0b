//! Sessions without DPDK: keys, translation and counting.

use dpdk_bindings::memory::Source;

use super::*;
use crate::engine::ids::SessionId;
use crate::engine::meta::Meta;
use crate::table::Hasher;

fn key4() -> FlowKey {
    FlowKey {
        source: [0x0a00_0002, 0, 0, 0],
        destination: [0xcb00_7107, 0, 0, 0],
        source_port: 5000,
        destination_port: 53,
        protocol: crate::wire::protocol::UDP,
        family: Family::Ipv4,
        vrf: VrfId::DEFAULT,
    }
}

fn opening(key: FlowKey, external: Option<(u32, u16)>) -> Opening {
    Opening {
        key,
        remote_vrf: VrfId::DEFAULT,
        external,
        direction: Direction::Outbound,
        ingress: InterfaceId(0),
        next_hop: NextHopId(7),
        generation: 3,
        stateless: false,
        mapping: NIL,
        host: NIL,
    }
}

fn sessions(capacity: usize) -> Sessions {
    Sessions::with_capacity(capacity, Hasher::random(), Source::Plain, Tick(0))
        .expect("plain memory")
}

fn count(table: &mut Sessions, id: SessionId, direction: Direction, octets: u16) {
    let rare = table.session_mut(id).account(direction, octets, None, Tick(0));
    let meta = Meta { direction, ip_length: octets, ..Meta::default() };
    table.settle(id, &meta, rare, &Timeouts::default(), Tick(0));
}

#[test]
fn a_translated_session_is_found_from_both_sides() {
    let mut table = sessions(16);
    let external = (0xc633_640a, 1024);
    let id = table.open(&opening(key4(), Some(external)), &Timeouts::default(), Tick(0)).unwrap();
    assert_eq!(table.find_one(&key4()), Some((id, Direction::Outbound)));
    let mut back = key4().reversed();
    assert_eq!(table.find_one(&back), None);
    (back.destination[0], back.destination_port) = external;
    assert_eq!(table.find_one(&back), Some((id, Direction::Inbound)));
    let session = table.session(id);
    assert_eq!(session.rewrite(Direction::Outbound), external);
    assert_eq!(session.rewrite(Direction::Inbound), (0x0a00_0002, 5000));
    assert_eq!(session.real_key(Direction::Inbound), key4().reversed());
    assert_eq!(session.key(Direction::Inbound), back);
}

#[test]
fn an_ipv6_session_keeps_both_addresses() {
    let mut table = sessions(16);
    let key =
        FlowKey { source: [1, 2, 3, 4], destination: [5, 6, 7, 8], family: Family::Ipv6, ..key4() };
    let id = table.open(&opening(key, None), &Timeouts::default(), Tick(0)).unwrap();
    assert_eq!(table.find_one(&key), Some((id, Direction::Outbound)));
    assert_eq!(table.find_one(&key.reversed()), Some((id, Direction::Inbound)));
    count(&mut table, id, Direction::Inbound, 1500);
    let tally = table.tally(id, Tick(5_000)).unwrap();
    assert_eq!((tally.packets, tally.bytes, tally.age_s), ([0, 1], [0, 1500], 5));
}

#[test]
fn a_closed_session_leaves_nothing() {
    let mut table = sessions(1);
    for round in 0..10 {
        let id = table.open(&opening(key4(), None), &Timeouts::default(), Tick(round)).unwrap();
        assert_eq!(table.open(&opening(key4(), None), &Timeouts::default(), Tick(0)), Err(Full));
        table.close(id);
        assert_eq!(table.find_one(&key4()), None);
        assert!(table.is_empty());
        assert!(table.tally(id, Tick(0)).is_none());
    }
}

#[test]
fn octets_carry_into_the_upper_word() {
    let mut table = sessions(1);
    let id = table.open(&opening(key4(), None), &Timeouts::default(), Tick(0)).unwrap();
    let packets = u64::from(u32::MAX / 60_000 + 2);
    for _ in 0..packets {
        count(&mut table, id, Direction::Outbound, 60_000);
    }
    assert_eq!(table.tally(id, Tick(0)).unwrap().bytes, [packets * 60_000, 0]);
}

#[test]
fn a_session_expires_after_its_timeout_and_not_before() {
    let mut table = sessions(4);
    let timeouts = Timeouts::default();
    let id = table.open(&opening(key4(), None), &timeouts, Tick(0)).unwrap();
    assert_eq!(table.expired::<32>(&timeouts, Tick(299_999)).count(), 0);
    table.session_mut(id).refresh(Direction::Outbound, Tick(299_999));
    for second in 300..599 {
        assert_eq!(table.expired::<32>(&timeouts, Tick(second * 1000)).count(), 0);
    }
    let gone: Vec<SessionId> = (599_999..=600_512)
        .step_by(256)
        .flat_map(|ms| table.expired::<32>(&timeouts, Tick(ms)).collect::<Vec<_>>())
        .collect();
    assert_eq!(gone, [id]);
}

#[test]
fn a_decision_under_new_tables_forgets_the_other_direction() {
    let mut table = sessions(1);
    let id = table.open(&opening(key4(), None), &Timeouts::default(), Tick(0)).unwrap();
    let session = table.session_mut(id);
    assert!(session.current(Direction::Outbound, InterfaceId(0), 3));
    assert!(!session.current(Direction::Outbound, InterfaceId(1), 3));
    assert!(!session.current(Direction::Inbound, InterfaceId(1), 3));
    session.decide(Direction::Inbound, InterfaceId(1), NextHopId(1), 3);
    assert!(session.current(Direction::Outbound, InterfaceId(0), 3));
    session.decide(Direction::Inbound, InterfaceId(1), NextHopId(1), 4);
    assert!(!session.current(Direction::Outbound, InterfaceId(0), 4));
}
