//! Answers to echo requests of both families.

use crate::checksum::Sum;
use crate::endpoint::Address;
use crate::frame::ETHERNET;

/// The reply to an intact echo request for one of our addresses.
pub(super) fn reply(frame: &[u8], owns: impl Fn(Address) -> bool) -> Option<Vec<u8>> {
    let ip = frame.get(ETHERNET..)?;
    let word = |at: usize| Some(usize::from(u16::from_be_bytes([*ip.get(at)?, *ip.get(at + 1)?])));
    let (header_len, total, addresses, kinds) = match ip.first()? {
        0x45 if *ip.get(9)? == 1 => (20, word(2)?, 12..20, [8, 0]),
        0x60..=0x6f if *ip.get(6)? == 58 => (40, 40 + word(4)?, 8..40, [128, 129]),
        _ => return None,
    };
    let message = ip.get(header_len..total)?;
    let addresses = ip.get(addresses)?;
    let (source, target) = addresses.split_at(addresses.len() / 2);
    let is_v4 = header_len == 20;
    let pseudo = || match is_v4 {
        true => Sum::default(),
        false => Sum::default().bytes(addresses).word(message.len() as u16).word(58),
    };
    let header_is_intact = !is_v4 || Sum::default().bytes(&ip[..header_len]).is_intact();
    let is_whole = header_is_intact && pseudo().bytes(message).is_intact();
    if message.len() < 8 || message[..2] != [kinds[0], 0] || !is_whole {
        return None;
    }
    let own = match *target {
        [a, b, c, d] => Address::v4(u32::from_be_bytes([a, b, c, d])),
        _ => Address::v6(*target.first_chunk()?),
    };
    if !owns(own) {
        return None;
    }
    // Exchanging the addresses leaves all sums as they were; neither TTL nor identification is touched.
    let mut reply = [&frame[6..12], &frame[..6], &frame[12..ETHERNET]].concat();
    reply.extend(&ip[..header_len - addresses.len()]);
    reply.extend([target, source].concat());
    reply.extend(message);
    let at = ETHERNET + header_len;
    reply[at] = kinds[1];
    reply[at + 2..at + 4].fill(0);
    let sum = pseudo().bytes(&reply[at..]).checksum();
    reply[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
    // The sender's hardware address is ours, whatever address the request went to.
    reply.resize(reply.len().max(60), 0);
    Some(reply)
}
