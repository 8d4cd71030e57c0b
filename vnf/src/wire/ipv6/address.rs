//! Which IPv6 addresses a router may see as source or destination (RFC 4291).

/// The group of all nodes on a link, ff02::1.
pub const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// No address.
pub const UNSPECIFIED: [u8; 16] = [0; 16];

/// Whether one host can send from this address: not multicast, ::, ::1, or an IPv4 address in
/// disguise.
#[inline]
pub fn may_send(address: [u8; 16]) -> bool {
    !is_multicast(address) && !holds_ipv4(address)
}

/// Whether a router may pass a packet on from or to this address: one host's, and not link-local.
#[inline]
pub fn may_be_forwarded(address: [u8; 16]) -> bool {
    may_send(address) && !is_link_local(address)
}

/// Whether this is a multicast group, ff00::/8.
#[inline]
pub const fn is_multicast(address: [u8; 16]) -> bool {
    address[0] == 0xff
}

/// Whether this address is valid on one link only, fe80::/10.
#[inline]
pub const fn is_link_local(address: [u8; 16]) -> bool {
    address[0] == 0xfe && address[1] & 0xc0 == 0x80
}

/// The group that a neighbor solicitation for `address` goes to (RFC 4291 2.7.1).
pub const fn solicited_node(address: [u8; 16]) -> [u8; 16] {
    let [.., a, b, c] = address;
    [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]
}

/// Within ::/96 (IPv4-compatible, :: and ::1) or ::ffff:0:0/96 (IPv4-mapped).
#[inline]
fn holds_ipv4(address: [u8; 16]) -> bool {
    let high = u128::from_be_bytes(address) >> 32;
    high == 0 || high == 0xffff
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn address(text: &str) -> [u8; 16] {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    #[test]
    fn martians_are_known() {
        for text in ["::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "ff02::1", "ff0e::1"] {
            assert!(!may_send(address(text)), "{text}");
            assert!(!may_be_forwarded(address(text)), "{text}");
        }
        for text in ["2001:db8::1", "fd00:a::1", "64:ff9b::1.2.3.4", "::1:0:0:1"] {
            assert!(may_be_forwarded(address(text)), "{text}");
        }
        for text in ["fe80::1", "febf::1"] {
            assert!(may_send(address(text)) && !may_be_forwarded(address(text)), "{text}");
        }
        assert!(!is_link_local(address("fec0::1")));
    }

    #[test]
    fn solicited_node_group_ends_in_the_address() {
        assert_eq!(solicited_node(address("2001:db8::12:3456")), address("ff02::1:ff12:3456"));
    }
}
