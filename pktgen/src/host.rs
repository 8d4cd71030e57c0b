//! The hosts behind a port: answer ARP, neighbour discovery and ping, find the gateways' hardware addresses.

mod arp;
mod ndp;
mod ping;

use crate::endpoint::{Address, Family};
use crate::frame::{ETHERNET, Mac};

/// All hosts behind one port; they share its hardware address.
#[derive(Clone, Debug)]
pub struct Host {
    mac: Mac,
    vlan: Option<u16>,
    addresses: Vec<Address>,        // ascending
    own: [Option<Address>; 2],      // by family
    gateways: [Option<Gateway>; 2], // by family
}

/// The next hop of one family.
#[derive(Clone, Copy, Debug)]
struct Gateway {
    address: Address,
    mac: Option<Mac>,
}

impl Host {
    /// Hosts with these addresses; requests are sent from the first of each family.
    pub fn new(
        mac: Mac,
        vlan: Option<u16>,
        mut addresses: Vec<Address>,
        gateways: &[Address],
    ) -> Self {
        let first = |family| addresses.iter().find(|own| own.family() == family).copied();
        let own = [Family::V4, Family::V6].map(first);
        addresses.sort_unstable();
        addresses.dedup();
        let gateways = [Family::V4, Family::V6].map(|family| {
            let gateway = gateways.iter().find(|gateway| gateway.family() == family);
            gateway.map(|gateway| Gateway { address: *gateway, mac: None })
        });
        Self { mac, vlan, addresses, own, gateways }
    }

    /// The hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The VLAN of the port, where it is tagged.
    pub fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    /// Whether this is an address of ours.
    pub fn owns(&self, address: Address) -> bool {
        self.addresses.binary_search(&address).is_ok()
    }

    /// The next hop of a family.
    pub fn gateway(&self, family: Family) -> Option<Address> {
        self.gateways[family as usize].map(|gateway| gateway.address)
    }

    /// The next hop's hardware address, once it has answered.
    pub fn gateway_mac(&self, family: Family) -> Option<Mac> {
        self.gateways[family as usize].and_then(|gateway| gateway.mac)
    }

    /// The requests for gateways that have not answered yet.
    pub fn questions(&self) -> Vec<Vec<u8>> {
        let pairs = self.own.iter().zip(&self.gateways);
        let questions = pairs.filter_map(|(own, gateway)| match (own, gateway) {
            (Some(own), Some(Gateway { address, mac: None })) => Some(match own.family() {
                Family::V4 => arp::request(self.mac, *own, *address),
                Family::V6 => ndp::solicitation(self.mac, *own, *address),
            }),
            _ => None,
        });
        questions.map(|frame| self.tagged(frame)).collect()
    }

    /// Who does not answer, if somebody should.
    pub fn silent_gateway(&self) -> Option<Address> {
        let gateways = self.gateways.iter().flatten();
        gateways.filter(|gateway| gateway.mac.is_none()).map(|gateway| gateway.address).next()
    }

    /// The answer to an ARP request, a neighbour solicitation or a ping for one of our addresses; learns the
    /// gateways on the way.
    pub fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let untagged;
        let frame = match self.vlan {
            None => frame,
            Some(_) => {
                untagged = [frame.get(..12)?, frame.get(16..)?].concat();
                &untagged
            }
        };
        let answer = match frame.get(12..ETHERNET)? {
            [0x08, 0x06] => self.answer_arp(frame),
            [0x08, 0x00] => ping::reply(frame, |address| self.owns(address)),
            [0x86, 0xdd] => self.answer_v6(frame),
            _ => None,
        };
        answer.map(|frame| self.tagged(frame))
    }

    fn answer_arp(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = arp::Packet::parse(frame)?;
        if !self.owns(packet.target) {
            return None;
        }
        // RFC 826: whoever asks or answers has told its address.
        self.note(packet.sender, packet.sender_mac);
        packet.is_request.then(|| packet.reply(self.mac))
    }

    fn answer_v6(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        match ndp::Message::parse(frame) {
            Some(ndp::Message::Advertisement { target, mac }) => {
                self.note(target, mac);
                None
            }
            Some(ndp::Message::Solicitation { source, source_mac, target }) => {
                self.note(source, source_mac);
                let answer = || ndp::advertisement(self.mac, target, source, source_mac);
                self.owns(target).then(answer)
            }
            None => ping::reply(frame, |address| self.owns(address)),
        }
    }

    fn note(&mut self, address: Address, mac: Mac) {
        let known = self.gateways.iter_mut().flatten().find(|known| known.address == address);
        if let Some(gateway) = known {
            gateway.mac = Some(mac);
        }
    }

    /// A frame with the port's tag, where it has one.
    pub(crate) fn tagged(&self, mut frame: Vec<u8>) -> Vec<u8> {
        if let Some(vlan) = self.vlan {
            let [high, low] = vlan.to_be_bytes();
            frame.splice(12..12, [0x81, 0x00, high, low]);
        }
        frame
    }
}

#[cfg(test)]
mod tests;
