//! Ethernet II frames and 802.1Q tags.

use std::fmt;
use std::str::FromStr;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire;

/// IPv4.
pub const IPV4: u16 = 0x0800;
/// Address Resolution Protocol.
pub const ARP: u16 = 0x0806;
/// 802.1Q customer VLAN tag.
pub const VLAN: u16 = 0x8100;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// 802.1ad service VLAN tag.
pub const QINQ: u16 = 0x88a8;

/// Octets of an Ethernet header without tags.
pub const HEADER: usize = size_of::<EthernetHeader>();
/// Octets of one 802.1Q tag.
pub const TAG: usize = size_of::<VlanTag>();
/// Octets of the shortest frame, without its check sequence.
pub const MIN_FRAME: usize = 60;

/// An Ethernet header.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct EthernetHeader {
    /// Who shall receive the frame.
    pub destination: MacAddr,
    /// Who sent the frame.
    pub source: MacAddr,
    /// What follows.
    pub ether_type: U16,
}

/// An 802.1Q tag: what follows the EtherType [`VLAN`].
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VlanTag {
    /// Priority (3 bits), drop eligibility (1), VLAN id (12).
    pub control: U16,
    /// What follows.
    pub ether_type: U16,
}

impl VlanTag {
    /// The VLAN id; 0 is a priority tag.
    #[inline]
    pub fn vlan(&self) -> u16 {
        self.control.get() & 0x0fff
    }
}

/// Where a frame's payload lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layer2 {
    /// The EtherType behind an 802.1Q tag, if there is one.
    pub ether_type: u16,
    /// The VLAN id; 0 for untagged and priority-tagged frames.
    pub vlan: u16,
    /// Offset of the network header.
    pub l3: usize,
}

impl Layer2 {
    /// Reads the Ethernet header and at most one 802.1Q tag; `None` when the frame is too short.
    #[inline]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ether_type = wire::at::<EthernetHeader>(frame, 0)?.ether_type.get();
        if ether_type != VLAN {
            return Some(Self { ether_type, vlan: 0, l3: HEADER });
        }
        let tag: &VlanTag = wire::at(frame, HEADER)?;
        Some(Self { ether_type: tag.ether_type.get(), vlan: tag.vlan(), l3: HEADER + TAG })
    }
}

/// Who a frame of the VNF's own goes from and to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link {
    /// Who shall receive the frame.
    pub destination: MacAddr,
    /// The port's own address.
    pub source: MacAddr,
    /// The VLAN id of an 802.1Q tag; 0 for none.
    pub vlan: u16,
}

impl Link {
    /// The way back to the sender of `frame`; `None` when that is not one station.
    pub fn back(frame: &[u8]) -> Option<Self> {
        let header: &EthernetHeader = wire::at(frame, 0)?;
        let vlan = Layer2::parse(frame)?.vlan;
        let link = Self { destination: header.source, source: header.destination, vlan };
        (link.destination.is_unicast() && link.source.is_unicast()).then_some(link)
    }

    /// Writes the addresses over those of a frame with the same tag, and returns where its payload
    /// starts.
    pub fn write_back(&self, frame: &mut [u8]) -> Option<usize> {
        let l3 = Layer2::parse(frame)?.l3;
        let header: &mut EthernetHeader = wire::at_mut(frame, 0)?;
        (header.destination, header.source) = (self.destination, self.source);
        Some(l3)
    }

    /// Writes the headers of a frame and returns where its payload starts; `None` when there is no
    /// room.
    pub fn write(&self, out: &mut [u8], ether_type: u16) -> Option<usize> {
        let first = if self.vlan == 0 { ether_type } else { VLAN };
        *wire::at_mut(out, 0)? = EthernetHeader {
            destination: self.destination,
            source: self.source,
            ether_type: first.into(),
        };
        if self.vlan == 0 {
            return Some(HEADER);
        }
        *wire::at_mut(out, HEADER)? =
            VlanTag { control: (self.vlan & 0x0fff).into(), ether_type: ether_type.into() };
        Some(HEADER + TAG)
    }
}

/// Fills a frame of `length` octets with zeros to the shortest one and returns its length.
pub fn pad(out: &mut [u8], length: usize) -> Option<usize> {
    let padded = length.max(MIN_FRAME);
    out.get_mut(length..padded)?.fill(0);
    Some(padded)
}

/// A MAC address.
#[derive(
    Clone,
    Copy,
    Default,
    Eq,
    FromBytes,
    Hash,
    Immutable,
    IntoBytes,
    KnownLayout,
    Ord,
    PartialEq,
    PartialOrd,
    Unaligned,
)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No address.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether the group bit is set, as in broadcast.
    #[inline]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether one station can have this address: neither zero nor a group.
    #[inline]
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && self != Self::ZERO
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not six hexadecimal octets joined by colons or hyphens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a MAC address of the form 02:00:00:00:00:01")]
pub struct BadMacAddr;

impl FromStr for MacAddr {
    type Err = BadMacAddr;

    fn from_str(text: &str) -> Result<Self, BadMacAddr> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut address = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut address {
            let part = parts.next().ok_or(BadMacAddr)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMacAddr);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMacAddr)?;
        }
        if parts.next().is_some() { Err(BadMacAddr) } else { Ok(Self(address)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_address_survives_text() {
        let address: MacAddr = "02:00:5e:00:0a:fF".parse().unwrap();
        assert_eq!(address, MacAddr([2, 0, 0x5e, 0, 10, 255]));
        assert_eq!(address.to_string(), "02:00:5e:00:0a:ff");
        assert_eq!("02-00-5e-00-0a-ff".parse(), Ok(address));
    }

    #[test]
    fn bad_mac_addresses_are_refused() {
        for text in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "0g:00:00:00:00:01",
            "+1:00:00:00:00:01",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(BadMacAddr), "{text}");
        }
    }

    #[test]
    fn layer_2_is_found_with_and_without_a_tag() {
        let mut frame = [0; 18];
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        assert_eq!(Layer2::parse(&frame), Some(Layer2 { ether_type: IPV4, vlan: 0, l3: 14 }));
        frame[12..18].copy_from_slice(&[0x81, 0x00, 0x20, 0x64, 0x86, 0xdd]);
        assert_eq!(Layer2::parse(&frame), Some(Layer2 { ether_type: IPV6, vlan: 100, l3: 18 }));
        assert_eq!(Layer2::parse(&frame[..17]), None);
        assert_eq!(Layer2::parse(&frame[..13]), None);
    }

    #[test]
    fn the_way_back_has_one_station_at_each_end() {
        let (ours, theirs) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        for vlan in [0, 7] {
            let mut frame = [0; 20];
            let there = Link { destination: ours, source: theirs, vlan };
            let l3 = there.write(&mut frame, IPV4).unwrap();
            assert_eq!(Layer2::parse(&frame), Some(Layer2 { ether_type: IPV4, vlan, l3 }));
            let back = Link { destination: theirs, source: ours, vlan };
            assert_eq!(Link::back(&frame), Some(back));
            assert_eq!(back.write_back(&mut frame), Some(l3));
            assert_eq!(Link::back(&frame), Some(there));
            frame[6] |= 1;
            assert_eq!(Link::back(&frame), None);
        }
        let broadcast = Link { destination: MacAddr::BROADCAST, source: theirs, vlan: 0 };
        let mut frame = [0; 14];
        assert_eq!(broadcast.write(&mut frame, ARP), Some(14));
        assert_eq!(Link::back(&frame), None);
        assert_eq!(broadcast.write(&mut frame[..13], ARP), None);
        assert_eq!(Link { vlan: 1, ..broadcast }.write(&mut frame, ARP), None);
    }

    #[test]
    fn padding_is_zero() {
        let mut frame = [0xff; 64];
        assert_eq!(pad(&mut frame, 42), Some(60));
        assert_eq!(frame[41..61], [&[0xff][..], &[0; 18], &[0xff]].concat());
        assert_eq!(pad(&mut frame, 64), Some(64));
        assert_eq!(pad(&mut frame[..59], 42), None);
        assert_eq!(pad(&mut frame, 65), None);
    }
}
