//! Which IPv4 addresses a router may see as source or destination (RFC 1812 5.3.7, RFC 6890).

/// Whether one host can send from this address: not 0/8, 127/8, multicast, reserved or broadcast.
#[inline]
pub const fn may_send([first, ..]: [u8; 4]) -> bool {
    !matches!(first, 0 | 127 | 224..)
}

/// Whether a router may pass a packet on to this address: one host's, not loopback and not
/// link-local.
#[inline]
pub const fn may_be_forwarded_to([first, second, ..]: [u8; 4]) -> bool {
    !matches!((first, second), (0 | 127 | 224.., _) | (169, 254))
}

/// Whether this is a multicast group, 224/4.
#[inline]
pub const fn is_multicast(address: [u8; 4]) -> bool {
    address[0] >> 4 == 0xe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn martians_are_known() {
        for address in
            [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [240, 0, 0, 1], [255; 4]]
        {
            assert!(!may_send(address), "{address:?}");
            assert!(!may_be_forwarded_to(address), "{address:?}");
        }
        for address in [[1, 0, 0, 1], [10, 0, 0, 2], [126, 255, 255, 255], [223, 255, 255, 255]] {
            assert!(may_send(address), "{address:?}");
            assert!(may_be_forwarded_to(address), "{address:?}");
        }
        assert!(!may_be_forwarded_to([169, 254, 0, 1]));
        assert!(may_be_forwarded_to([169, 253, 0, 1]));
        assert!(is_multicast([239, 255, 255, 255]) && !is_multicast([240, 0, 0, 0]));
    }
}
