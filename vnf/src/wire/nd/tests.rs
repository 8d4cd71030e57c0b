use etherparse::{Icmpv6Type, NetHeaders, PacketHeaders, TransportHeader};
use proptest::prelude::*;

use super::*;

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const HERE: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd, 0xef];
const THERE: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn written(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut frame = vec![0xff; 100];
    let length = write(&mut frame).unwrap();
    frame.truncate(length);
    frame
}

/// Their solicitation for our address.
fn question(vlan: u16) -> Vec<u8> {
    written(|out| solicitation((THEIRS, vlan), THERE, HERE, None, out))
}

/// Changes an untagged frame and makes its checksum right again.
fn changed(mut frame: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut frame);
    frame[56..58].fill(0);
    let pseudo = Sum::ipv6_pseudo(
        frame[22..38].try_into().unwrap(),
        frame[38..54].try_into().unwrap(),
        protocol::ICMPV6,
        frame.len() as u32 - 54,
    );
    let checksum = pseudo.bytes(&frame[54..]).checksum();
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// Etherparse's view: ICMPv6 type, addresses; its recomputed checksum agrees.
fn read(frame: &[u8]) -> (u8, [u8; 16], [u8; 16], [u8; 6], [u8; 6]) {
    let read = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let Some(NetHeaders::Ipv6(ip, _)) = read.net else { panic!("no IPv6") };
    let Some(TransportHeader::Icmpv6(icmp)) = read.transport else { panic!("no ICMPv6") };
    let payload = read.payload.slice();
    let checksum = icmp.icmp_type.calc_checksum(ip.source, ip.destination, payload).unwrap();
    assert_eq!(icmp.checksum, checksum);
    assert_eq!(ip.hop_limit, 255);
    let kind = match icmp.icmp_type {
        Icmpv6Type::NeighborSolicitation => 135,
        Icmpv6Type::NeighborAdvertisement(_) => 136,
        other => panic!("{other:?}"),
    };
    let link = read.link.unwrap().ethernet2().unwrap();
    (kind, ip.source, ip.destination, link.source, link.destination)
}

#[test]
fn solicitations_go_to_the_group_of_the_target() {
    for vlan in [0, 100] {
        let frame = question(vlan);
        let group = address::solicited_node(HERE);
        assert_eq!(
            read(&frame),
            (135, THERE, group, THEIRS.0, [0x33, 0x33, 0xff, 0xab, 0xcd, 0xef])
        );
        let packet = wire::network(&frame, ethernet::IPV6).unwrap();
        let wanted =
            Message::Solicitation { source: THERE, source_mac: Some(THEIRS), target: HERE };
        assert_eq!(parse(packet), Some(wanted));
    }
}

#[test]
fn solicitations_to_a_known_neighbor_go_there() {
    let frame = written(|out| solicitation((OURS, 0), HERE, THERE, Some(THEIRS), out));
    assert_eq!(read(&frame), (135, HERE, THERE, OURS.0, THEIRS.0));
}

#[test]
fn answers_go_to_whoever_asked() {
    for vlan in [0, 100] {
        let frame = written(|out| answer(&question(vlan), OURS, out));
        assert_eq!(read(&frame), (136, HERE, THERE, OURS.0, THEIRS.0));
        let wanted = Message::Advertisement {
            target: HERE,
            target_mac: Some(OURS),
            router: true,
            solicited: true,
            overrides: true,
        };
        assert_eq!(parse(wire::network(&frame, ethernet::IPV6).unwrap()), Some(wanted));
        assert_eq!(answer(&frame, OURS, &mut [0; 100]), None, "an answer has no answer");
    }
    assert_eq!(answer(&question(0), OURS, &mut [0; 85]), None);
}

#[test]
fn whoever_looks_for_duplicates_is_answered_with_all() {
    let nobody = changed(question(0), |frame| {
        frame.truncate(78);
        frame[19] = 24;
        frame[22..38].fill(0);
    });
    let frame = written(|out| answer(&nobody, OURS, out));
    assert_eq!(read(&frame), (136, HERE, address::ALL_NODES, OURS.0, [0x33, 0x33, 0, 0, 0, 1]));
    let Some(Message::Advertisement { solicited, .. }) = parse(&frame[14..]) else { panic!() };
    assert!(!solicited);
    let with_option = changed(question(0), |frame| frame[22..38].fill(0));
    assert_eq!(parse(&with_option[14..]), None);
    let to_one = changed(nobody, |frame| frame[38..54].copy_from_slice(&HERE));
    assert_eq!(parse(&to_one[14..]), None);
}

#[test]
fn announcements_go_to_all_nodes() {
    let frame = written(|out| announcement((OURS, 0), HERE, out));
    assert_eq!(read(&frame), (136, HERE, address::ALL_NODES, OURS.0, [0x33, 0x33, 0, 0, 0, 1]));
    let solicited = changed(frame, |frame| frame[58] |= 0x40);
    assert_eq!(parse(&solicited[14..]), None, "a solicited one goes to one node");
}

#[test]
fn messages_that_may_be_forged_are_refused() {
    assert!(parse(&changed(question(0), |_| {})[14..]).is_some());
    type Spoil = fn(&mut Vec<u8>);
    let spoils: [(&str, Spoil); 9] = [
        ("hop limit", |frame| frame[21] = 254),
        ("code", |frame| frame[55] = 1),
        ("multicast target", |frame| frame[62] = 0xff),
        ("multicast source", |frame| frame[22] = 0xff),
        ("option length 0", |frame| frame[79] = 0),
        ("option beyond the end", |frame| frame[79] = 2),
        ("multicast address", |frame| frame[80] |= 1),
        ("another kind", |frame| frame[54] = 133),
        ("short", |frame| {
            frame.truncate(77);
            frame[19] = 23;
        }),
    ];
    for (what, spoil) in spoils {
        assert_eq!(parse(&changed(question(0), spoil)[14..]), None, "{what}");
    }
    let mut wrong = question(0);
    wrong[57] ^= 1;
    assert_eq!(parse(&wrong[14..]), None, "checksum");
    assert_eq!(parse(&question(0)[14..85]), None, "cut off");
}

#[test]
fn other_options_are_skipped() {
    let frame = changed(question(0), |frame| {
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        frame.splice(78..78, nonce);
        frame[19] += 8;
    });
    let Some(Message::Solicitation { source_mac, .. }) = parse(&frame[14..]) else { panic!() };
    assert_eq!(source_mac, Some(THEIRS));
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(
        bytes in prop::collection::vec(any::<u8>(), 0..90),
        keep in 0..90usize,
    ) {
        let mut frame = question(0);
        for (to, from) in frame.iter_mut().skip(keep).zip(bytes) {
            *to = from;
        }
        let frame = changed(frame, |_| {});
        if let Some(length) = answer(&frame, OURS, &mut [0; 100]) {
            prop_assert_eq!(length, 86);
            prop_assert!(parse(&frame[14..]).is_some());
        }
    }
}
