//! ARP (RFC 826) for IPv4 on Ethernet.

use crate::endpoint::Address;
use crate::frame::{ETHERNET, Mac};

/// A request or a reply.
pub(super) struct Packet {
    pub(super) is_request: bool,
    pub(super) sender_mac: Mac,
    pub(super) sender: Address,
    pub(super) target: Address,
}

impl Packet {
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let body = frame.get(ETHERNET..)?.first_chunk::<28>()?;
        if body[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let address =
            |at: usize| Some(Address::v4(u32::from_be_bytes(*body.get(at..)?.first_chunk()?)));
        Some(Self {
            is_request: body[6..8] == [0, 1],
            sender_mac: *body[8..].first_chunk()?,
            sender: address(14)?,
            target: address(24)?,
        })
    }

    /// The answer of the host with this hardware address.
    pub(super) fn reply(&self, mac: Mac) -> Vec<u8> {
        frame(self.sender_mac, 2, (mac, self.target), (self.sender_mac, self.sender))
    }
}

/// Asks everybody for the hardware address of `target`.
pub(super) fn request(mac: Mac, own: Address, target: Address) -> Vec<u8> {
    frame([0xff; 6], 1, (mac, own), ([0; 6], target))
}

/// An ARP packet in a frame of the smallest size.
pub(super) fn frame(
    to: Mac,
    operation: u8,
    sender: (Mac, Address),
    target: (Mac, Address),
) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&sender.0);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
    frame[22..28].copy_from_slice(&sender.0);
    frame[28..32].copy_from_slice(&sender.1.low().to_be_bytes());
    frame[32..38].copy_from_slice(&target.0);
    frame[38..42].copy_from_slice(&target.1.low().to_be_bytes());
    frame
}
