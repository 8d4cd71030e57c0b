use super::*;
use crate::frame::Frame;
use etherparse::{ArpOperation, NetSlice, SlicedPacket, TransportSlice};
use std::net::IpAddr;

const OURS: Mac = [2, 0, 0, 0, 0, 1];
const THEIRS: Mac = [2, 0, 0, 0, 0, 2];

fn address(text: &str) -> Address {
    text.parse::<IpAddr>().unwrap().into()
}

fn host(vlan: Option<u16>) -> Host {
    let own = ["10.0.0.2", "10.0.0.3", "2001:db8:1::2", "2001:db8:1::3"].map(address);
    Host::new(OURS, vlan, own.to_vec(), &["10.0.0.1", "2001:db8:1::1"].map(address))
}

#[test]
fn the_gateways_are_asked_for_until_they_answer() {
    let mut host = host(None);
    let [arp, nd] = host.questions().try_into().unwrap();
    let packet = SlicedPacket::from_ethernet(&arp).unwrap();
    let Some(NetSlice::Arp(asked)) = packet.net else { panic!("no ARP") };
    assert_eq!(asked.operation(), ArpOperation::REQUEST);
    assert_eq!(asked.target_protocol_addr(), [10, 0, 0, 1]);
    assert_eq!(asked.sender_protocol_addr(), [10, 0, 0, 2]);
    let packet = SlicedPacket::from_ethernet(&nd).unwrap();
    let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) =
        (packet.net, packet.transport)
    else {
        panic!("no ICMPv6")
    };
    assert_eq!(ip.header().destination_addr().to_string(), "ff02::1:ff00:1");
    assert!(icmp.is_checksum_valid(ip.header().source(), ip.header().destination()));
    assert_eq!(nd[..6], [0x33, 0x33, 0xff, 0, 0, 1]);
    assert_eq!(host.silent_gateway(), Some(address("10.0.0.1")));
    let reply = arp::frame(OURS, 2, (THEIRS, address("10.0.0.1")), (OURS, address("10.0.0.2")));
    assert_eq!(host.answer(&reply), None);
    assert_eq!(host.gateway_mac(Family::V4), Some(THEIRS));
    assert_eq!(host.silent_gateway(), Some(address("2001:db8:1::1")));
    let (gateway, own) = (address("2001:db8:1::1"), address("2001:db8:1::2"));
    assert_eq!(host.answer(&ndp::advertisement(THEIRS, gateway, own, OURS)), None);
    assert_eq!(host.gateway_mac(Family::V6), Some(THEIRS));
    assert_eq!((host.silent_gateway(), host.questions().len()), (None, 0));
}

#[test]
fn requests_for_each_of_our_addresses_are_answered_and_no_others() {
    let asker = address("10.0.0.1");
    for (last, answered) in [(2, true), (3, true), (4, false), (1, false)] {
        let target = address(&format!("10.0.0.{last}"));
        let answer = host(None).answer(&arp::request(THEIRS, asker, target));
        let expected = arp::frame(THEIRS, 2, (OURS, target), (THEIRS, asker));
        assert_eq!(answer, answered.then_some(expected), "{target}");
        let (asker, target) = (address("2001:db8:1::1"), address(&format!("2001:db8:1::{last}")));
        let answer = host(None).answer(&ndp::solicitation(THEIRS, asker, target));
        let expected = ndp::advertisement(OURS, target, asker, THEIRS);
        assert_eq!(answer, answered.then_some(expected), "{target}");
    }
}

#[test]
fn in_a_vlan_everything_is_tagged() {
    let tag = [0x81, 0x00, 0, 100];
    let mut host = host(Some(100));
    assert!(host.questions().iter().all(|frame| frame[12..16] == tag));
    let mut request = arp::request(THEIRS, address("10.0.0.1"), address("10.0.0.2"));
    request.splice(12..12, tag);
    let answer = host.answer(&request).unwrap();
    assert_eq!((answer.len(), &answer[12..18]), (64, &[0x81, 0x00, 0, 100, 8, 6][..]));
}

#[test]
fn a_ping_is_answered_with_right_checksums() {
    for len in [0, 1, 56, 1000] {
        let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let ping = |from: &str, to: &str| {
            let echo = Frame::echo(address(from).ip(), address(to).ip(), 7, 9);
            host(None).answer(&echo.macs(THEIRS, OURS).payload(&payload).build()).unwrap()
        };
        let answer = ping("10.0.0.1", "10.0.0.2");
        let packet = SlicedPacket::from_ethernet(&answer).unwrap();
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) =
            (packet.net, packet.transport)
        else {
            panic!("no ICMP")
        };
        let header = ip.header().to_header();
        assert_eq!((header.source, header.destination), ([10, 0, 0, 2], [10, 0, 0, 1]));
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        assert_eq!((icmp.type_u8(), icmp.payload()), (0, &payload[..]));
        assert_eq!(icmp.icmp_type().calc_checksum(icmp.payload()), icmp.checksum());
        let answer = ping("2001:db8:1::1", "2001:db8:1::3");
        let packet = SlicedPacket::from_ethernet(&answer).unwrap();
        let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) =
            (packet.net, packet.transport)
        else {
            panic!("no ICMPv6")
        };
        assert_eq!(
            ip.header().source_addr(),
            "2001:db8:1::3".parse::<std::net::Ipv6Addr>().unwrap()
        );
        assert_eq!((icmp.type_u8(), icmp.payload()), (129, &payload[..]));
        assert!(icmp.is_checksum_valid(ip.header().source(), ip.header().destination()));
        assert_eq!(answer[..12], [THEIRS, OURS].concat());
    }
    let stranger = Frame::echo(address("10.0.0.1").ip(), address("10.0.0.9").ip(), 7, 9);
    assert_eq!(host(None).answer(&stranger.build()), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_get_no_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120)) {
        let mut host = host(None);
        host.answer(&bytes);
        let frames = [
            Frame::echo(address("10.0.0.1").ip(), address("10.0.0.2").ip(), 7, 9).build(),
            ndp::solicitation(THEIRS, address("2001:db8:1::1"), address("2001:db8:1::2")),
            arp::request(THEIRS, address("10.0.0.1"), address("10.0.0.2")),
        ];
        for mut frame in frames {
            for (place, byte) in frame[14..].iter_mut().zip(&bytes) {
                *place = *byte;
            }
            host.answer(&frame);
            host.answer(&frame[..bytes.len().min(frame.len())]);
        }
    }
}
