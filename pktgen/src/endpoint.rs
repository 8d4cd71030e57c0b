//! Addresses of both families in one number, and endpoints: an address with a port or an ICMP identifier.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// An IPv4 or IPv6 address; IPv4 lies at `::ffff:0:0/96`, so that comparing is one comparison of numbers.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address(u128);

/// The version of IP.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An address with a port, or with the identifier of an ICMP query.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// The host.
    pub address: Address,
    /// Port or identifier.
    pub port: u16,
}

impl Address {
    /// An IPv4 address from its 32 bits.
    #[inline]
    pub fn v4(bits: u32) -> Self {
        Self(MAPPED | bits as u128)
    }

    /// An IPv6 address from its 16 octets.
    #[inline]
    pub fn v6(octets: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(octets))
    }

    /// Which version of IP it belongs to.
    #[inline]
    pub fn family(self) -> Family {
        if self.0 >> 32 == MAPPED >> 32 { Family::V4 } else { Family::V6 }
    }

    /// As the standard library knows it.
    pub fn ip(self) -> IpAddr {
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(self.0 as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(self.0)),
        }
    }

    /// The last 32 bits: all of an IPv4 address.
    #[inline]
    pub fn low(self) -> u32 {
        self.0 as u32
    }

    /// All 128 bits in network order; of IPv4 the last four count.
    #[inline]
    pub fn octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The address `n` further on.
    pub fn plus(self, n: u128) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// All bits as a number.
    pub(crate) fn number(self) -> u128 {
        self.0
    }

    /// The address with this number.
    pub(crate) fn from_number(number: u128) -> Self {
        Self(number)
    }
}

impl Family {
    /// Octets of the header without options or extension headers.
    #[inline]
    pub fn header_len(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

impl Endpoint {
    /// A host's port or identifier.
    #[inline]
    pub fn new(address: Address, port: u16) -> Self {
        Self { address, port }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.to_bits()),
            IpAddr::V6(ip) => Self(ip.to_bits()),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Self {
        Self::v4(ip.to_bits())
    }
}

impl From<Ipv6Addr> for Address {
    fn from(ip: Ipv6Addr) -> Self {
        Self(ip.to_bits())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(socket: SocketAddr) -> Self {
        Self::new(socket.ip().into(), socket.port())
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(socket: SocketAddrV4) -> Self {
        Self::new((*socket.ip()).into(), socket.port())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address.ip(), self.port).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const MAPPED: u128 = 0xffff << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_come_back_as_they_went_in() {
        for text in ["10.0.0.2", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1"] {
            let ip: IpAddr = text.parse().unwrap();
            let address = Address::from(ip);
            assert_eq!((address.ip(), address.to_string()), (ip, text.to_owned()));
            assert_eq!(address.family() == Family::V4, ip.is_ipv4(), "{text}");
        }
        let endpoint = Endpoint::from("[2001:db8::1]:7".parse::<SocketAddr>().unwrap());
        assert_eq!(endpoint.to_string(), "[2001:db8::1]:7");
    }
}
