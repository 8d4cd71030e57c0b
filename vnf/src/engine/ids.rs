//! Numbers of things, each a type of its own so that one cannot be taken for another.

/// A port in the order of the configuration file (not DPDK's number).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortId(pub u8);

impl PortId {
    /// The port as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How a packet came in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Arrival {
    /// By which port, before anything else happened to it.
    pub port: PortId,
    /// Whether it has been translated since, and enters again as if from outside (RFC 4787 REQ-9).
    pub hairpin: bool,
    /// The identifier of such an ICMP query before: whose it is tells whom the query is for (RFC 7857 section 12).
    pub query: u16,
}

/// A port or an 802.1Q sub-interface of one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InterfaceId(pub u8);

impl InterfaceId {
    /// No interface: nothing came in or goes out here.
    pub const NONE: Self = Self(u8::MAX);
    /// Where a hairpinned packet enters again, as if from outside (RFC 4787 REQ-9).
    pub const HAIRPIN: Self = Self(u8::MAX - 1);

    /// The interface as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A virtual routing table, in the order in which the configuration's interfaces name them.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, zerocopy::FromZeros,
)]
#[repr(transparent)]
pub struct VrfId(pub u8);

impl VrfId {
    /// The one of interfaces that name none.
    pub const DEFAULT: Self = Self(0);

    /// The VRF as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// An entry of the neighbour table: where a packet goes next.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct NextHopId(pub u16);

impl NextHopId {
    /// Not decided.
    pub const NONE: Self = Self(u16::MAX);
    /// The VNF itself.
    pub const LOCAL: Self = Self(u16::MAX - 1);
    /// Back to the inside through another mapping (RFC 4787 REQ-9).
    pub const HAIRPIN: Self = Self(u16::MAX - 2);

    /// The next hop as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A worker, in the order of the configuration's `worker_cores`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct WorkerId(pub u8);

impl WorkerId {
    /// The worker as an index.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A session of one worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionId(pub u32);

impl SessionId {
    /// No session.
    pub const NONE: Self = Self(u32::MAX);

    /// The session as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether this names a session.
    #[inline]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

impl Default for SessionId {
    fn default() -> Self {
        Self::NONE
    }
}

/// Worker time in milliseconds since start, read once per turn.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Tick(pub u64);

impl Tick {
    /// The low 32 bits, as sessions keep them: 49 days, compared with wrapping arithmetic.
    #[inline]
    pub fn low(self) -> u32 {
        self.0 as u32
    }

    /// Seconds since start.
    #[inline]
    pub fn seconds(self) -> u32 {
        (self.0 / 1000) as u32
    }
}
