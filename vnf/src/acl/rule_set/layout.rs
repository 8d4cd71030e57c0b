//! Where the classifier finds the fields of a key, and what a rule's entry says of each.

use std::mem::offset_of;
use std::ops::RangeInclusive;

use dpdk_bindings::acl::{Criterion, Field, Match};

use crate::acl::key::{AclKey, FLAGS_KNOWN};
use crate::config::TcpFlags;

/// Protocol, source, destination, both ports, TCP flags and VLAN of an IPv4 key.
pub(super) const IPV4: [Field; 7] = [
    PROTOCOL,
    word(1, offset_of!(AclKey, source)),
    word(2, offset_of!(AclKey, destination)),
    range(3, offset_of!(AclKey, source_port)),
    range(3, offset_of!(AclKey, destination_port)),
    flags(4),
    range(4, offset_of!(AclKey, vlan)),
];

/// The same of an IPv6 key, with four words to an address.
pub(super) const IPV6: [Field; 13] = [
    PROTOCOL,
    word(1, offset_of!(AclKey, source)),
    word(2, offset_of!(AclKey, source) + 4),
    word(3, offset_of!(AclKey, source) + 8),
    word(4, offset_of!(AclKey, source) + 12),
    word(5, offset_of!(AclKey, destination)),
    word(6, offset_of!(AclKey, destination) + 4),
    word(7, offset_of!(AclKey, destination) + 8),
    word(8, offset_of!(AclKey, destination) + 12),
    range(9, offset_of!(AclKey, source_port)),
    range(9, offset_of!(AclKey, destination_port)),
    flags(10),
    range(10, offset_of!(AclKey, vlan)),
];

/// What an entry wants of the protocol field.
pub(super) fn of_protocol(protocol: Option<u8>) -> Criterion {
    protocol.map_or(ANY, |protocol| Criterion { value: protocol.into(), bound: 0xff })
}

/// What an entry wants of the words of an address, the most significant first.
pub(super) fn of_prefix<const WORDS: usize>(address: u128, length: u8) -> [Criterion; WORDS] {
    std::array::from_fn(|word| Criterion {
        value: (address >> (96 - 32 * word)) as u32,
        bound: u32::from(length).saturating_sub(32 * word as u32).min(32),
    })
}

/// What an entry wants of a port or a VLAN.
pub(super) fn of_range(range: &RangeInclusive<u16>) -> Criterion {
    Criterion { value: (*range.start()).into(), bound: (*range.end()).into() }
}

/// What an entry wants of TCP flags that are known.
pub(super) fn of_flags(flags: TcpFlags) -> Criterion {
    let known = |bits: u8| u32::from(FLAGS_KNOWN | u16::from(bits));
    Criterion { value: known(flags.value), bound: known(flags.mask) }
}

/// TCP flags that are not known.
pub(super) const UNKNOWN_FLAGS: Criterion = Criterion { value: 0, bound: FLAGS_KNOWN as u32 };

const fn word(group: u8, offset: usize) -> Field {
    Field { compare: Match::Prefix, group, offset, size: 4 }
}

const fn range(group: u8, offset: usize) -> Field {
    Field { compare: Match::Range, group, offset, size: 2 }
}

const fn flags(group: u8) -> Field {
    Field { compare: Match::Bitmask, group, offset: offset_of!(AclKey, tcp_flags), size: 2 }
}

/// Whatever a bit mask or a prefix is compared with.
pub(super) const ANY: Criterion = Criterion { value: 0, bound: 0 };

const PROTOCOL: Field =
    Field { compare: Match::Bitmask, group: 0, offset: offset_of!(AclKey, protocol), size: 1 };
