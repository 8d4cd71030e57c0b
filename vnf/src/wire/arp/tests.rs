use etherparse::{ArpOperation, NetHeaders, PacketHeaders};
use proptest::prelude::*;

use super::*;

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const HERE: [u8; 4] = [10, 0, 0, 1];
const THERE: [u8; 4] = [10, 0, 0, 2];

/// Their request for our address.
fn question(vlan: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 64];
    let link = Link { destination: MacAddr::BROADCAST, source: THEIRS, vlan };
    let length = request(link, THERE, HERE, &mut frame).unwrap();
    frame.truncate(length);
    frame
}

fn payload(frame: &mut [u8]) -> &mut ArpPacket {
    let l3 = ethernet::Layer2::parse(frame).unwrap().l3;
    wire::at_mut(frame, l3).unwrap()
}

#[test]
fn etherparse_reads_requests_and_replies() {
    for vlan in [0, 100] {
        let mut frame = question(vlan);
        assert_eq!(frame.len(), 60);
        assert!(frame[46..].iter().all(|byte| *byte == 0), "padding is zero");
        let read = PacketHeaders::from_ethernet_slice(&frame).unwrap();
        let Some(NetHeaders::Arp(arp)) = read.net else { panic!("no ARP") };
        let arp = arp.try_eth_ipv4().unwrap();
        assert_eq!(arp.operation, ArpOperation::REQUEST);
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (THEIRS.0, THERE));
        assert_eq!((arp.target_mac, arp.target_ipv4), ([0; 6], HERE));
        assert_eq!(read.link.unwrap().ethernet2().unwrap().destination, [0xff; 6]);

        let length = reply(&mut frame, OURS).unwrap();
        let read = PacketHeaders::from_ethernet_slice(&frame[..length]).unwrap();
        let Some(NetHeaders::Arp(arp)) = read.net else { panic!("no ARP") };
        let arp = arp.try_eth_ipv4().unwrap();
        assert_eq!(arp.operation, ArpOperation::REPLY);
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (OURS.0, HERE));
        assert_eq!((arp.target_mac, arp.target_ipv4), (THEIRS.0, THERE));
        let link = read.link.unwrap().ethernet2().unwrap();
        assert_eq!((link.destination, link.source), (THEIRS.0, OURS.0));
        assert_eq!(read.link_exts.is_empty(), vlan == 0);
    }
}

#[test]
fn announcements_are_requests_for_oneself() {
    let mut frame = [0; 60];
    assert_eq!(announcement(OURS, 0, HERE, &mut frame), Some(60));
    let packet = parse(&frame[14..]).unwrap();
    assert!(packet.is_gratuitous() && !packet.is_probe());
    assert_eq!((packet.sender, packet.sender_mac), (HERE, OURS));
    assert_eq!(announcement(OURS, 0, HERE, &mut frame[..59]), None);
}

#[test]
fn probes_are_answered_and_have_no_sender_to_learn() {
    let mut frame = question(0);
    payload(&mut frame).sender = [0; 4];
    assert!(parse(&frame[14..]).unwrap().is_probe());
    assert_eq!(reply(&mut frame, OURS), Some(42));
    assert_eq!(parse(&frame[14..]).unwrap().target, [0; 4]);
}

#[test]
fn impossible_packets_are_refused() {
    let spoils: [fn(&mut ArpPacket); 10] = [
        |arp| arp.hardware = 6.into(),
        |arp| arp.protocol = ethernet::IPV6.into(),
        |arp| arp.hardware_len = 8,
        |arp| arp.protocol_len = 16,
        |arp| arp.operation = 3.into(),
        |arp| arp.sender_mac = MacAddr::BROADCAST,
        |arp| arp.sender_mac = MacAddr::ZERO,
        |arp| arp.sender = [224, 0, 0, 1],
        |arp| arp.sender = [255; 4],
        |arp| arp.target = [255; 4],
    ];
    for (i, spoil) in spoils.into_iter().enumerate() {
        let mut frame = question(0);
        spoil(payload(&mut frame));
        let before = frame.clone();
        assert!(parse(&frame[14..]).is_none(), "{i}");
        assert_eq!(reply(&mut frame, OURS), None, "{i}");
        assert_eq!(frame, before, "{i}");
    }
    let mut frame = question(0);
    assert_eq!(reply(&mut frame[..41], OURS), None);
    payload(&mut frame).operation = REPLY.into();
    assert_eq!(reply(&mut frame, OURS), None, "a reply is not answered");
    payload(&mut frame).sender = [0; 4];
    assert!(parse(&frame[14..]).is_none(), "a reply tells an address");
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        keep in 0..64usize,
    ) {
        let mut frame = question(0);
        for (to, from) in frame.iter_mut().skip(keep).zip(bytes) {
            *to = from;
        }
        let before = frame.clone();
        if reply(&mut frame, OURS).is_none() {
            prop_assert_eq!(frame, before);
        }
    }
}
