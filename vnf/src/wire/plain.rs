//! Frames whose fields are all at their usual places: TCP or UDP on IPv4 without options, untagged.
//!
//! The packet path reads and writes almost every packet through this, at offsets known to the compiler.

/// The octets up to the end of a TCP header without options.
pub type Head = [u8; 54];

/// Where the fields are.
pub mod at {
    /// The IPv4 header.
    pub const NETWORK: usize = 14;
    /// Octets of header and payload.
    pub const TOTAL_LENGTH: usize = 16;
    /// Fragment flags and offset.
    pub const FRAGMENT: usize = 20;
    /// Time to live.
    pub const TTL: usize = 22;
    /// The protocol.
    pub const PROTOCOL: usize = 23;
    /// The IPv4 header checksum.
    pub const CHECKSUM: usize = 24;
    /// The IPv4 source address, and behind it the destination.
    pub const ADDRESSES: usize = 26;
    /// The source port, and behind it the destination's; the start of the transport header.
    pub const PORTS: usize = 34;
    /// The UDP length.
    pub const UDP_LENGTH: usize = 38;
    /// The UDP checksum.
    pub const UDP_CHECKSUM: usize = 40;
    /// The TCP data offset.
    pub const TCP_OFFSET: usize = 46;
    /// The TCP flags.
    pub const TCP_FLAGS: usize = 47;
    /// The TCP checksum.
    pub const TCP_CHECKSUM: usize = 50;
}

/// `N` octets.
#[inline(always)]
pub fn get<const N: usize>(head: &Head, at: usize) -> [u8; N] {
    *head[at..].first_chunk().expect("within the head")
}

/// Overwrites `N` octets.
#[inline(always)]
pub fn put<const N: usize>(head: &mut Head, at: usize, octets: [u8; N]) {
    *head[at..].first_chunk_mut().expect("within the head") = octets;
}
