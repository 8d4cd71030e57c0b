use super::*;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

fn endpoint(text: &str) -> SocketAddr {
    text.parse().expect("an endpoint")
}

/// Asks etherparse, which shares no code with us, whether the checksums are right.
fn judge(frame: &[u8]) {
    let packet = SlicedPacket::from_ethernet(frame).expect("etherparse reads the frame");
    let net = packet.net.expect("an IP header");
    let transport = packet.transport.expect("a transport header");
    match (&net, &transport) {
        (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            let sum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
            assert_eq!(sum, udp.checksum());
        }
        (NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload()).unwrap();
            assert_eq!(sum, tcp.checksum());
        }
        (NetSlice::Ipv4(_), TransportSlice::Icmpv4(icmp)) => {
            assert_eq!(icmp.icmp_type().calc_checksum(icmp.payload()), icmp.checksum());
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            let sum = udp.to_header().calc_checksum_ipv6(&header, udp.payload()).unwrap();
            assert_eq!(sum, udp.checksum());
        }
        (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
            let header = ip.header().to_header();
            let sum = tcp.to_header().calc_checksum_ipv6(&header, tcp.payload()).unwrap();
            assert_eq!(sum, tcp.checksum());
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let header = ip.header().to_header();
            assert!(icmp.is_checksum_valid(header.source, header.destination));
        }
        other => panic!("unexpected layers {other:?}"),
    }
}

#[test]
fn every_layer_combination_has_right_checksums() {
    let families = [("10.0.0.2:5000", "203.0.113.7:53"), ("[fd00:a::2]:5000", "[2001:db8::7]:53")];
    for (source, destination) in families.map(|(a, b)| (endpoint(a), endpoint(b))) {
        for vlan in [None, Some(100)] {
            for payload in [&[][..], &[7], &[1, 2, 3, 4, 5]] {
                for frame in [
                    Frame::udp(source, destination),
                    Frame::tcp(source, destination, SYN | ACK),
                    Frame::echo(source.ip(), destination.ip(), 7, 9),
                    Frame::echo_reply(source.ip(), destination.ip(), 7, 9),
                ] {
                    let mut frame = frame.payload(payload);
                    frame.vlan = vlan;
                    frame.minimum = 0;
                    let octets = frame.build();
                    assert_eq!(octets.len(), frame.payload_offset() + payload.len());
                    judge(&octets);
                }
            }
        }
    }
}

#[test]
fn a_template_has_its_size_less_the_fcs() {
    let (source, destination) =
        ("10.0.0.2:5000".parse().unwrap(), "203.0.113.7:53".parse().unwrap());
    for size in [64, 65, 128, 570, 1518, 9216] {
        let frame = udp_template(source, destination, size);
        assert_eq!(frame.len(), size - FCS);
        judge(&frame);
    }
}

#[test]
fn a_short_frame_is_padded_to_the_minimum_of_ethernet() {
    let frame = Frame::udp(endpoint("10.0.0.2:1"), endpoint("10.0.0.3:2")).payload(&[9]).build();
    assert_eq!(frame.len(), 60);
    assert_eq!(frame[43..], [0; 17]);
    judge(&frame);
}

proptest! {
    #[test]
    fn any_udp_datagram_is_right(
        source in any::<([u8; 4], u16)>(), destination in any::<([u8; 4], u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (source, destination) = (SocketAddr::from(source), SocketAddr::from(destination));
        judge(&Frame::udp(source, destination).payload(&payload).build());
    }
}
