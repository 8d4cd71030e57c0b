//! The hosts behind a port: answer ARP and ping for their addresses, find the gateway's hardware address.

use std::net::Ipv4Addr;

use crate::checksum::Sum;
use crate::frame::{ETHERNET, IPV4, Mac};

/// All hosts behind one port; they share its hardware address.
#[derive(Clone, Debug)]
pub struct Host {
    mac: Mac,
    addresses: Vec<Ipv4Addr>, // ascending
    own: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
    gateway_mac: Option<Mac>,
}

impl Host {
    /// Hosts with these addresses; requests are sent from the first of them.
    pub fn new(mac: Mac, mut addresses: Vec<Ipv4Addr>, gateway: Option<Ipv4Addr>) -> Self {
        let own = addresses.first().copied();
        addresses.sort_unstable();
        addresses.dedup();
        Self { mac, addresses, own, gateway, gateway_mac: None }
    }

    /// The hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Whether this is an address of ours.
    pub fn owns(&self, address: Ipv4Addr) -> bool {
        self.addresses.binary_search(&address).is_ok()
    }

    /// The next hop's hardware address, once it has answered.
    pub fn gateway_mac(&self) -> Option<Mac> {
        self.gateway_mac
    }

    /// The ARP request for a gateway that has not answered yet.
    pub fn question(&self) -> Option<[u8; 60]> {
        match (self.own, self.gateway, self.gateway_mac) {
            (Some(own), Some(gateway), None) => {
                Some(arp([0xff; 6], 1, (self.mac, own), ([0; 6], gateway)))
            }
            _ => None,
        }
    }

    /// Who does not answer, if somebody should.
    pub fn silent_gateway(&self) -> Option<Ipv4Addr> {
        self.gateway.filter(|_| self.gateway_mac.is_none())
    }

    /// The answer to an ARP request or a ping for one of our addresses; learns the gateway on the way.
    pub fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        match frame.get(12..14)? {
            [0x08, 0x06] => self.answer_arp(frame),
            _ => self.answer_ping(frame),
        }
    }

    fn answer_arp(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let body = frame.get(ETHERNET..)?.first_chunk::<28>()?;
        if body[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let sender_mac: Mac = *body[8..].first_chunk()?;
        let sender = Ipv4Addr::from(*body[14..].first_chunk::<4>()?);
        let target = Ipv4Addr::from(*body[24..].first_chunk::<4>()?);
        // RFC 826: whoever asks or answers has told its address.
        if self.gateway == Some(sender) && self.owns(target) {
            self.gateway_mac = Some(sender_mac);
        }
        let asks_us = body[6..8] == [0, 1] && self.owns(target);
        asks_us.then(|| arp(sender_mac, 2, (self.mac, target), (sender_mac, sender)).to_vec())
    }

    fn answer_ping(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let ip = frame.get(ETHERNET..)?;
        let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
        let message = ip.get(IPV4..total)?;
        let target = Ipv4Addr::from(*ip.get(16..)?.first_chunk::<4>()?);
        let is_request =
            ip[0] == 0x45 && ip[9] == 1 && message.len() >= 8 && message[..2] == [8, 0];
        let is_whole = Sum::default().bytes(&ip[..IPV4]).is_intact()
            && Sum::default().bytes(message).is_intact();
        if !is_request || !is_whole || !self.owns(target) {
            return None;
        }
        let mut reply = frame[..ETHERNET + total].to_vec();
        reply.copy_within(6..12, 0);
        reply[6..12].copy_from_slice(&self.mac);
        // Exchanging the addresses leaves the header's sum as it was; so does resetting neither TTL nor id.
        reply[26..30].copy_from_slice(&ip[16..20]);
        reply[30..34].copy_from_slice(&ip[12..16]);
        reply[34] = 0;
        reply[36..38].fill(0);
        let sum = Sum::default().bytes(&reply[34..]).checksum();
        reply[36..38].copy_from_slice(&sum.to_be_bytes());
        reply.resize(reply.len().max(60), 0);
        Some(reply)
    }
}

/// An ARP packet in a frame of the smallest size.
fn arp(to: Mac, operation: u8, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&sender.0);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
    frame[22..28].copy_from_slice(&sender.0);
    frame[28..32].copy_from_slice(&sender.1.octets());
    frame[32..38].copy_from_slice(&target.0);
    frame[38..42].copy_from_slice(&target.1.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use etherparse::{ArpOperation, NetSlice, SlicedPacket, TransportSlice};

    const OURS: Mac = [2, 0, 0, 0, 0, 1];
    const THEIRS: Mac = [2, 0, 0, 0, 0, 2];
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn host() -> Host {
        Host::new(OURS, vec![OWN, Ipv4Addr::new(10, 0, 0, 3)], Some(GATEWAY))
    }

    #[test]
    fn the_gateway_is_asked_for_until_it_answers() {
        let mut host = host();
        let question = host.question().unwrap();
        let packet = SlicedPacket::from_ethernet(&question).unwrap();
        let Some(NetSlice::Arp(asked)) = packet.net else { panic!("no ARP") };
        assert_eq!(asked.operation(), ArpOperation::REQUEST);
        assert_eq!(asked.target_protocol_addr(), GATEWAY.octets());
        assert_eq!(asked.sender_protocol_addr(), OWN.octets());
        assert_eq!(host.silent_gateway(), Some(GATEWAY));
        assert_eq!(host.answer(&arp(OURS, 2, (THEIRS, GATEWAY), (OURS, OWN))), None);
        assert_eq!((host.gateway_mac(), host.silent_gateway()), (Some(THEIRS), None));
        assert_eq!(host.question(), None);
    }

    #[test]
    fn requests_for_each_of_our_addresses_are_answered_and_no_others() {
        let mut host = host();
        for (last, answered) in [(2, true), (3, true), (4, false), (1, false)] {
            let target = Ipv4Addr::new(10, 0, 0, last);
            let answer = host.answer(&arp([0xff; 6], 1, (THEIRS, GATEWAY), ([0; 6], target)));
            assert_eq!(answer.is_some(), answered, "{target}");
            if let Some(answer) = answer {
                assert_eq!(answer[..12], [THEIRS, OURS].concat());
                assert_eq!(answer, arp(THEIRS, 2, (OURS, target), (THEIRS, GATEWAY)));
            }
        }
    }

    #[test]
    fn a_ping_is_answered_with_right_checksums() {
        for len in [0, 1, 56, 1000] {
            let ping = Frame::echo(GATEWAY.into(), OWN.into(), 7, 9).macs(THEIRS, OURS);
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let answer = host().answer(&ping.clone().payload(&payload).build()).unwrap();
            let packet = SlicedPacket::from_ethernet(&answer).unwrap();
            let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) =
                (packet.net, packet.transport)
            else {
                panic!("no ICMP")
            };
            let header = ip.header().to_header();
            assert_eq!((header.source, header.destination), (OWN.octets(), GATEWAY.octets()));
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            assert_eq!((icmp.type_u8(), icmp.payload()), (0, &payload[..]));
            assert_eq!(icmp.icmp_type().calc_checksum(icmp.payload()), icmp.checksum());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_get_no_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            host().answer(&bytes);
            let mut frame = Frame::echo(GATEWAY.into(), OWN.into(), 7, 9).build();
            for (place, byte) in frame[14..].iter_mut().zip(bytes) {
                *place = byte;
            }
            host().answer(&frame);
            frame[12..14].copy_from_slice(&[8, 6]);
            host().answer(&frame);
        }
    }
}
