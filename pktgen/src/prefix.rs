//! An IPv4 prefix.

use std::net::Ipv4Addr;
use std::str::FromStr;

/// An address with the length of its network part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    /// The address as written, host bits included.
    pub address: Ipv4Addr,
    /// Bits of the network part.
    pub len: u8,
}

/// A prefix that is none.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no IPv4 prefix such as 203.0.113.0/28")]
pub struct PrefixError(String);

impl Prefix {
    /// Whether the network has this address.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.len)).unwrap_or(0);
        (self.address.to_bits() ^ address.to_bits()) & mask == 0
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, len) = text.split_once('/').unwrap_or((text, "32"));
        match (address.parse(), len.parse()) {
            (Ok(address), Ok(len @ 0..=32)) => Ok(Self { address, len }),
            _ => Err(PrefixError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_contains_its_network_only() {
        let prefix: Prefix = "203.0.113.5/28".parse().unwrap();
        assert!(prefix.contains(Ipv4Addr::new(203, 0, 113, 15)));
        assert!(!prefix.contains(Ipv4Addr::new(203, 0, 113, 16)));
        assert!("0.0.0.0/0".parse::<Prefix>().unwrap().contains(Ipv4Addr::BROADCAST));
        assert!(!"10.0.0.1".parse::<Prefix>().unwrap().contains(Ipv4Addr::new(10, 0, 0, 2)));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/0", "10.0.0.0/"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }
}
