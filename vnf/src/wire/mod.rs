//! Headers in place on byte slices: what the packet path and management read and write.
//!
//! Every function here is total: any bytes are an answer, never a panic.

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod nd;
pub mod plain;
pub mod protocol;
pub mod tcp;
pub mod transport;
pub mod udp;

use self::ethernet::Layer2;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A fixed-size header that can be read in place at any address.
pub trait Header: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned> Header for T {}

/// The header at `offset`, or `None` when the bytes end before it does.
#[inline(always)]
pub fn at<T: Header>(bytes: &[u8], offset: usize) -> Option<&T> {
    Some(T::ref_from_prefix(bytes.get(offset..)?).ok()?.0)
}

/// The header at `offset` for writing, or `None` when the bytes end before it does.
#[inline(always)]
pub fn at_mut<T: Header>(bytes: &mut [u8], offset: usize) -> Option<&mut T> {
    Some(T::mut_from_prefix(bytes.get_mut(offset..)?).ok()?.0)
}

/// What follows the Ethernet header and tag of a frame of this EtherType; `None` for other frames.
#[inline]
pub fn network(frame: &[u8], ether_type: u16) -> Option<&[u8]> {
    let layer2 = Layer2::parse(frame)?;
    if layer2.ether_type == ether_type { frame.get(layer2.l3..) } else { None }
}
