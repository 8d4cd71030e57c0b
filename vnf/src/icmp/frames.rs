//! Frames for the tests, made and read by etherparse.

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    Ethernet2Header, IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6Header, NetHeaders,
    PacketBuilder, PacketBuilderStep, PacketHeaders, SlicedPacket, TransportHeader, TransportSlice,
};
use proptest::prelude::*;

pub(super) const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(super) const HOST: [u8; 4] = [10, 0, 0, 2];
pub(super) const REMOTE: [u8; 4] = [203, 0, 113, 7];
pub(super) const HOST6: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
pub(super) const REMOTE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

/// From their MAC address to ours.
pub(super) fn link() -> PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2(THEIRS, OURS)
}

/// From `HOST` to `REMOTE`, with these options.
pub(super) fn v4(options: &[u8]) -> IpHeaders {
    let mut header = Ipv4Header::new(0, 9, IpNumber::UDP, HOST, REMOTE).unwrap();
    header.identification = 0x1234;
    header.options = options.try_into().unwrap();
    IpHeaders::Ipv4(header, Default::default())
}

/// From `HOST6` to `REMOTE6`.
pub(super) fn v6() -> IpHeaders {
    let header = Ipv6Header {
        source: HOST6,
        destination: REMOTE6,
        hop_limit: 9,
        next_header: IpNumber::UDP,
        ..Default::default()
    };
    IpHeaders::Ipv6(header, Default::default())
}

/// A fragment of a datagram, `offset` in units of 8 octets.
pub(super) fn fragment(offset: u16, more: bool) -> IpHeaders {
    let IpHeaders::Ipv4(mut header, extensions) = v4(&[]) else { unreachable!() };
    header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
    header.more_fragments = more;
    IpHeaders::Ipv4(header, extensions)
}

pub(super) fn udp(ip: IpHeaders, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    link().ip(ip).udp(5000, 53).write(&mut frame, payload).unwrap();
    frame
}

pub(super) fn icmp(ip: IpHeaders, kind: u8, code: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let word = [0x12, 0x34, 0, 7];
    match ip {
        IpHeaders::Ipv4(..) => {
            link().ip(ip).icmpv4_raw(kind, code, word).write(&mut frame, payload).unwrap()
        }
        IpHeaders::Ipv6(..) => {
            link().ip(ip).icmpv6_raw(kind, code, word).write(&mut frame, payload).unwrap()
        }
    }
    frame
}

/// Puts an 802.1Q tag into a frame.
pub(super) fn tagged(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    let [a, b] = vlan.to_be_bytes();
    frame.splice(12..12, [0x81, 0x00, a, b]);
    frame
}

/// Reads a frame and sees that every checksum in it is what etherparse computes.
pub(super) fn verified(frame: &[u8]) -> PacketHeaders<'_> {
    let read = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let payload = read.payload.slice();
    let mut transport = read.transport.clone();
    match read.net.as_ref().unwrap() {
        NetHeaders::Ipv4(ip, _) => {
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            if let Some(transport) = &mut transport {
                transport.update_checksum_ipv4(ip, payload).unwrap();
            }
        }
        NetHeaders::Ipv6(ip, _) => {
            if let Some(transport) = &mut transport {
                transport.update_checksum_ipv6(ip, payload).unwrap();
            }
        }
        NetHeaders::Arp(_) => {}
    }
    // Of ICMP etherparse keeps only the fields that it knows.
    if let Some(TransportSlice::Icmpv4(icmp)) =
        SlicedPacket::from_ethernet(frame).unwrap().transport
    {
        assert_eq!(Sum16BitWords::new().add_slice(icmp.slice()).ones_complement(), 0);
    } else {
        assert_eq!(read.transport, transport);
    }
    read
}

/// The IPv4 and ICMP headers of a verified frame.
pub(super) fn icmp_v4<'a>(read: &'a PacketHeaders<'a>) -> (&'a Ipv4Header, [u8; 8], &'a [u8]) {
    let Some(NetHeaders::Ipv4(ip, _)) = &read.net else { panic!("no IPv4") };
    let Some(TransportHeader::Icmpv4(icmp)) = &read.transport else { panic!("no ICMP") };
    (ip, icmp.to_bytes().as_slice().try_into().unwrap(), read.payload.slice())
}

/// The IPv6 and ICMPv6 headers of a verified frame.
pub(super) fn icmp_v6<'a>(read: &'a PacketHeaders<'a>) -> (&'a Ipv6Header, [u8; 8], &'a [u8]) {
    let Some(NetHeaders::Ipv6(ip, _)) = &read.net else { panic!("no IPv6") };
    let Some(TransportHeader::Icmpv6(icmp)) = &read.transport else { panic!("no ICMPv6") };
    (ip, icmp.to_bytes().as_slice().try_into().unwrap(), read.payload.slice())
}

/// The addresses of a frame: from, to.
pub(super) fn stations(read: &PacketHeaders<'_>) -> ([u8; 6], [u8; 6]) {
    let link = read.link.clone().and_then(|link| link.ethernet2()).unwrap();
    (link.source, link.destination)
}

/// Any of these frames with bytes replaced anywhere and cut off anywhere.
pub(super) fn spoiled(frames: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let spoils = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop::sample::select(frames), spoils, cut).prop_map(|(mut frame, spoils, cut)| {
        for (at, byte) in spoils {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        frame
    })
}
