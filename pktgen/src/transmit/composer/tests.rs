use super::*;
use crate::flow::{Plan, Pool, Sizes};
use crate::frame::{Frame, Transport};
use crate::trailer::Owner;
use proptest::prelude::*;
use std::net::IpAddr;

const PROTOCOLS: [Protocol; 3] = [Protocol::Icmp, Protocol::Tcp, Protocol::Udp];
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

fn flows(protocol: Protocol, family: Family, sizes: Sizes, seed: u64) -> Flows {
    let (prefix, remote) = match family {
        Family::V4 => ("10.0.0.2/24", "198.51.100.2"),
        Family::V6 => ("2001:db8:1::2/64", "2001:db8:2::2"),
    };
    let remote = remote.parse::<IpAddr>().unwrap().into();
    let pool = Pool::for_flows(50, prefix.parse().unwrap(), None, &[remote]);
    let plan = Plan::new(50, pool, seed).unwrap();
    Flows::new(vec![Stream::new("test", protocol, family, sizes, plan, true)])
}

fn composer(vlan: Option<u16>, key: Key) -> Composer {
    Composer::new([Route { source: [2; 6], next_hops: [[4; 6], [6; 6]], vlan }; 2], key)
}

/// The same frame from the slow and clear builder.
fn described(
    flows: &Flows,
    direction: Direction,
    kind: Kind,
    vlan: Option<u16>,
    frame: &[u8],
) -> Vec<u8> {
    let (source, destination) = flows.sent(0, direction).unwrap();
    let (stream, flow) = (flows.stream_of(0), flows.flow(0).unwrap());
    let (flags, sequence, acknowledgment) = flow.tcp(direction, kind);
    let identifier = source.port.max(destination.port);
    let transport = match stream.protocol {
        Protocol::Icmp => {
            Transport::Echo { identifier, sequence: 1, reply: direction == Direction::Inward }
        }
        Protocol::Tcp => {
            let (source, destination) = (source.port, destination.port);
            Transport::Tcp { source, destination, flags, sequence, acknowledgment, window: 0xffff }
        }
        Protocol::Udp => Transport::Udp { source: source.port, destination: destination.port },
    };
    let mut described = Frame::udp(([0; 4], 0).into(), ([0; 4], 0).into());
    described = described.macs([2; 6], if stream.family == Family::V4 { [4; 6] } else { [6; 6] });
    described.vlan = vlan;
    (described.source, described.destination) = (source.address.ip(), destination.address.ip());
    described.transport = transport;
    (described.traffic_class, described.identification) = (10 << 2, flow.identification);
    (described.flow_label, described.minimum) = (flow.identification.into(), 0);
    let payload = described.payload_offset();
    described.payload(&frame[payload..]).build()
}

proptest! {
    #[test]
    fn every_frame_is_what_its_description_builds(
        size in 64..9217_usize, seed: u64, now: u64, tagged: bool,
    ) {
        let vlan = tagged.then_some(100);
        for (protocol, family) in PROTOCOLS.iter().flat_map(|p| FAMILIES.map(|f| (*p, f))) {
            let mut flows = flows(protocol, family, Sizes::one(size).unwrap(), seed);
            flows.learn_untranslated();
            let composer = composer(vlan, Key::new(seed, 0));
            for direction in Direction::BOTH {
                for kind in [Kind::Data, Kind::Syn, Kind::SynAck, Kind::Ack, Kind::Fin, Kind::Reset] {
                    let mut frame = vec![0xee; composer.frame_len(&flows, 0, direction)];
                    prop_assert!(composer.write(&mut flows, 0, direction, kind, now, &mut frame));
                    let described = described(&flows, direction, kind, vlan, &frame);
                    prop_assert_eq!(&frame, &described, "{:?} {:?} {:?}", protocol, family, kind);
                }
            }
        }
    }
}

#[test]
fn sizes_take_turns_and_those_too_small_are_raised() {
    let cases = [
        (Protocol::Udp, Family::V4, 64),
        (Protocol::Icmp, Family::V4, 64),
        (Protocol::Tcp, Family::V4, 76),
        (Protocol::Udp, Family::V6, 84),
        (Protocol::Tcp, Family::V6, 96),
    ];
    for (protocol, family, least) in cases {
        let mut flows = flows(protocol, family, "64,1518".parse().unwrap(), 1);
        let composer = composer(None, Key::new(0, 0));
        let mut sizes = Vec::new();
        for _ in 0..4 {
            let mut frame = vec![0; composer.frame_len(&flows, 3, Direction::Outward)];
            sizes.push(frame.len() + 4);
            assert!(composer.write(&mut flows, 3, Direction::Outward, Kind::Data, 0, &mut frame));
        }
        assert_eq!(sizes, [1518, least, 1518, least], "{protocol:?} {family:?}");
    }
}

#[test]
fn a_new_stamp_changes_the_time_only() {
    for (size, protocol) in [(64, Protocol::Udp), (101, Protocol::Tcp), (9216, Protocol::Icmp)] {
        let mut flows = flows(protocol, Family::V4, Sizes::one(size).unwrap(), 1);
        let key = Key::new(0, 0);
        let composer = composer(None, key);
        let mut frame = vec![0; composer.frame_len(&flows, 0, Direction::Outward)];
        composer.write(&mut flows, 0, Direction::Outward, Kind::Data, 1600, &mut frame);
        let (_, before) = key.read(frame.last_chunk().unwrap());
        composer.restamp(&flows, 3200, &mut frame);
        let (owner, after) = key.read(frame.last_chunk().unwrap());
        assert_eq!((owner, after), (Owner::Ours, Trailer { ts: 200, ..before }));
        assert_eq!(frame, described(&flows, Direction::Outward, Kind::Data, None, &frame));
    }
}

#[test]
fn nothing_is_sent_back_to_an_unknown_endpoint() {
    let mut flows = flows(Protocol::Udp, Family::V4, Sizes::one(64).unwrap(), 1);
    let composer = composer(None, Key::new(0, 0));
    let mut frame = [7; 60];
    let mut write = |direction, frame: &mut [u8]| {
        composer.write(&mut flows, 0, direction, Kind::Data, 0, frame)
    };
    assert!(!write(Direction::Inward, &mut frame));
    assert!(!write(Direction::Outward, &mut frame[1..]));
    assert_eq!(frame, [7; 60]);
}
