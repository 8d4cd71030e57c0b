//! An IPv4 or IPv6 prefix.

use std::net::IpAddr;
use std::str::FromStr;

use crate::endpoint::{Address, Family};

/// An address with the length of its network part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    /// The address as written, host bits included.
    pub address: Address,
    /// Bits of the network part, in the address's own family.
    pub len: u8,
}

/// A prefix that is none.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no prefix such as 203.0.113.0/28 or 2001:db8::/64")]
pub struct PrefixError(String);

impl Prefix {
    /// Whether the network has this address.
    #[inline]
    pub fn contains(self, address: Address) -> bool {
        (self.address.number() ^ address.number()) & self.mask() == 0
    }

    /// The addresses that hosts may have, first and last: without network and broadcast address where IPv4
    /// has them, without the subnet-router anycast address in IPv6 (RFC 4291 section 2.6.1).
    pub fn hosts(self) -> (Address, Address) {
        let (first, last) =
            (self.address.number() & self.mask(), self.address.number() | !self.mask());
        let (skip, keep) = match (self.family(), self.len) {
            // RFC 3021: a /31 has no network and no broadcast address.
            (Family::V4, 31..) | (Family::V6, 127..) => (0, 0),
            (Family::V4, _) => (1, 1),
            (Family::V6, _) => (1, 0),
        };
        (Address::from_number(first + skip), Address::from_number(last - keep))
    }

    /// The version of IP.
    pub fn family(self) -> Family {
        self.address.family()
    }

    fn mask(self) -> u128 {
        let len = match self.family() {
            Family::V4 => u32::from(self.len) + 96,
            Family::V6 => u32::from(self.len),
        };
        u128::MAX.checked_shl(128 - len).unwrap_or(0)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let wrong = || PrefixError(text.to_owned());
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let len = len.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if len > most {
            return Err(wrong());
        }
        Ok(Self { address: address.into(), len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_prefix_contains_its_network_only() {
        for (prefix, inside, outside) in [
            ("203.0.113.5/28", "203.0.113.15", "203.0.113.16"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8:1::/48", "2001:db8:1:ffff::1", "2001:db8:2::"),
            ("::/0", "2001:db8::1", "64:ff9b::1"),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert!(prefix.contains(address(inside)), "{prefix:?}");
            assert!(prefix.len == 0 || !prefix.contains(address(outside)), "{prefix:?}");
        }
        assert!(!"0.0.0.0/0".parse::<Prefix>().unwrap().contains(address("::1")));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_leave_out_what_no_host_may_have() {
        for (prefix, first, last) in [
            ("10.0.0.4/29", "10.0.0.1", "10.0.0.6"),
            ("10.0.0.1/31", "10.0.0.0", "10.0.0.1"),
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.1"),
            ("2001:db8::5/126", "2001:db8::5", "2001:db8::7"),
            ("2001:db8::5/128", "2001:db8::5", "2001:db8::5"),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert_eq!(prefix.hosts(), (address(first), address(last)), "{prefix:?}");
        }
    }
}
