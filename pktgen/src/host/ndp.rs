//! Neighbour discovery (RFC 4861): asking for a gateway, answering for our hosts.

use crate::checksum::Sum;
use crate::endpoint::Address;
use crate::frame::{ETHERNET, Mac};

/// What is understood of neighbour discovery.
pub(super) enum Message {
    /// `target` has this hardware address.
    Advertisement { target: Address, mac: Mac },
    /// `source` asks who has `target`.
    Solicitation { source: Address, source_mac: Mac, target: Address },
}

impl Message {
    /// Reads a message that arrives with hop limit 255 and a right checksum (section 7.1).
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let sender: Mac = *frame.get(6..)?.first_chunk()?;
        let ip = frame.get(ETHERNET..)?;
        let header = ip.first_chunk::<40>()?;
        let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let body = ip.get(40..40 + len)?;
        if header[0] >> 4 != 6 || header[6..8] != [58, 255] || body.len() < 24 || body[1] != 0 {
            return None;
        }
        if !checksum(&header[8..40], body).is_intact() {
            return None;
        }
        let source = Address::v6(*header[8..].first_chunk()?);
        let target = Address::v6(*body[8..].first_chunk()?);
        match body[0] {
            135 => {
                let source_mac = option(&body[24..], 1).unwrap_or(sender);
                Some(Self::Solicitation { source, source_mac, target })
            }
            136 => {
                Some(Self::Advertisement { target, mac: option(&body[24..], 2).unwrap_or(sender) })
            }
            _ => None,
        }
    }
}

/// Asks the solicited-node multicast group of `target` for its hardware address.
pub(super) fn solicitation(mac: Mac, own: Address, target: Address) -> Vec<u8> {
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&target.octets()[13..]);
    let to = [0x33, 0x33, 0xff, group[13], group[14], group[15]];
    message((to, Address::v6(group)), (mac, own), [135, 0, 0, 0], target, 1)
}

/// Tells the one who asked that `target` is here; flags: solicited, override.
pub(super) fn advertisement(mac: Mac, target: Address, asker: Address, to: Mac) -> Vec<u8> {
    message((to, asker), (mac, target), [136, 0x60, 0, 0], target, 2)
}

fn message(
    to: (Mac, Address),
    from: (Mac, Address),
    [kind, flags, ..]: [u8; 4],
    target: Address,
    option: u8,
) -> Vec<u8> {
    let mut frame = [&to.0[..], &from.0, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]].concat();
    frame.extend(from.1.octets());
    frame.extend(to.1.octets());
    let mut body = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    body.extend(target.octets());
    body.extend([option, 1]);
    body.extend(from.0);
    let sum = checksum(&frame[ETHERNET + 8..], &body).checksum();
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    frame.extend(body);
    frame
}

/// ICMPv6's sum over pseudo-header and message.
fn checksum(addresses: &[u8], body: &[u8]) -> Sum {
    Sum::default().bytes(addresses).word(body.len() as u16).word(58).bytes(body)
}

/// The link-layer address in the first option of this kind.
fn option(mut options: &[u8], kind: u8) -> Option<Mac> {
    loop {
        let (found, len) = (*options.first()?, usize::from(*options.get(1)?) * 8);
        let body = options.get(2..len)?;
        if found == kind {
            return body.first_chunk().copied();
        }
        options = options.get(len..)?;
    }
}
