//! What is plain leaves as the long way would have it leave.

use std::net::IpAddr;

use dpdk_bindings::memory::Source;
use proptest::prelude::*;

use super::*;
use crate::engine::ids::{InterfaceId, NextHopId, PortId, SessionId, VrfId};
use crate::engine::mask::Slot;
use crate::engine::meta::{Direction, FlowKey, Kind};
use crate::nat::ExternalPorts;
use crate::neighbor::{NeighborTable, NextHop};
use crate::parse::plain::tests as frames;
use crate::session::{Flows, NIL, Opening};
use crate::table::Hasher;

fn tables() -> Tables {
    let mut neighbors = NeighborTable::default();
    neighbors.set(NextHop {
        ethernet: [7; 12],
        port: PortId(3),
        interface: InterfaceId(0),
        vlan: 0,
        mtu: 1500,
        resolved: true,
        stale: false,
        address: IpAddr::from([192, 0, 2, 1]),
    });
    frames::tables(neighbors)
}

fn flows(key: FlowKey, external: (u32, u16)) -> (Flows, SessionId) {
    let (hasher, ports) = (Hasher::random(), ExternalPorts::default());
    let mut flows = Flows::with_capacity(1, &hasher, ports, false, Source::Plain, Tick(0)).unwrap();
    let opening = Opening {
        remote_vrf: VrfId::DEFAULT,
        key,
        external: Some(external),
        direction: Direction::Outbound,
        ingress: InterfaceId(0),
        next_hop: NextHopId(0),
        generation: 1,
        stateless: false,
        mapping: NIL,
        host: NIL,
    };
    let session = flows.sessions.open(&opening, &tables().timeouts, Tick(0)).unwrap();
    (flows, session)
}

/// What becomes of a frame on either way, and of its session.
fn leave(frame: &[u8], external: (u32, u16), direction: Direction, form: Form) -> String {
    let tables = tables();
    let slot = Slot::new(0);
    let mut burst = frames::burst(frame);
    assert!(crate::parse::Parse.run(&mut burst, &tables).is_empty());
    let meta = &mut burst.meta[slot];
    assert_eq!((meta.form, meta.kind), (Form::Plain, Kind::Flow));
    let key = match direction {
        Direction::Outbound => meta.key,
        Direction::Inbound => meta.key.reversed(),
    };
    let (mut flows, session) = flows(key, external);
    (meta.form, meta.direction, meta.session) = (form, direction, session);
    meta.next_hop = NextHopId(0);
    let now = Tick(5000);
    let done = rewrite_all(&mut burst, &mut flows.sessions, &tables, now);
    if form == Form::Plain {
        assert!(done.others.is_empty());
        assert_eq!(done.ports.single(), Some(PortId(3)));
        assert_eq!(done.octets, burst.packet(slot).len());
    } else {
        assert!(done.others.contains(slot));
        super::super::rewrite(&mut burst, slot, &mut flows, &tables, now).unwrap();
    }
    let tally = flows.sessions.tally(session, now);
    let (data, session) = (burst.packet(slot).data(), flows.sessions.session(session));
    format!("{data:02x?} {tally:?} {session:?}")
}

#[test]
fn ports_are_single_only_if_they_are_all_the_same() {
    let ports = |numbers: &[u8]| {
        let mut ports = PortSet::EMPTY;
        numbers.iter().for_each(|number| ports.insert(PortSet::of(PortId(*number))));
        ports.single()
    };
    assert_eq!(ports(&[0]), Some(PortId(0)));
    assert_eq!(ports(&[6, 6, 6]), Some(PortId(6)));
    assert_eq!(ports(&[255]), Some(PortId(255)));
    for mixed in [&[0, 1][..], &[3, 1], &[0, 255], &[5, 5, 4]] {
        assert_eq!(ports(mixed), None, "{mixed:?}");
    }
}

#[test]
fn a_session_without_translation_goes_the_long_way() {
    let tables = tables();
    let mut burst = frames::burst(&frames::frame(protocol::UDP));
    let (mut flows, _) = flows(FlowKey::default(), (1, 1));
    let slot = Slot::new(0);
    crate::parse::Parse.run(&mut burst, &tables);
    burst.meta[slot].next_hop = NextHopId(0);
    burst.meta[slot].session = SessionId::NONE;
    let done = rewrite_all(&mut burst, &mut flows.sessions, &tables, Tick(0));
    assert!(done.others.contains(slot));
    assert_eq!(burst.packet(slot).len(), 64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn both_ways_write_the_same(
        tcp: bool,
        inbound: bool,
        checksum in prop_oneof![Just(0), Just(1), Just(0xffff), any::<u16>()],
        address: u32,
        port: u16,
        flags in prop_oneof![Just(0x10), Just(0x02), Just(0x11), Just(0x04)],
        ttl in 2_u8..,
    ) {
        let mut frame = frames::frame(if tcp { protocol::TCP } else { protocol::UDP });
        let at = if tcp { at::TCP_CHECKSUM } else { at::UDP_CHECKSUM };
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        if tcp {
            frame[at::TCP_FLAGS] = flags;
        }
        let old = [u16::from_be_bytes([frame[22], frame[23]]), u16::from(ttl) << 8 | u16::from(frame[23])];
        let header = u16::from_be_bytes([frame[24], frame[25]]);
        frame[22] = ttl;
        frame[24..26].copy_from_slice(&Delta::of_u16(old[0], old[1]).apply(header).to_be_bytes());
        let direction = if inbound { Direction::Inbound } else { Direction::Outbound };
        let ways = [Form::Plain, Form::Whole].map(|form| leave(&frame, (address, port), direction, form));
        prop_assert_eq!(&ways[0], &ways[1]);
    }
}
