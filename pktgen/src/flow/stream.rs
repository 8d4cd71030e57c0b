//! What the flows of one kind have in common: protocol, family, sizes, endpoints, who begins, what is expected.

use super::{Direction, Plan, Sizes};
use crate::endpoint::{Address, Endpoint, Family};
use crate::frame::ETHERNET;
use crate::trailer;

/// What a flow carries above IP.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Protocol {
    /// ICMP or ICMPv6 echo: requests from the side that begins, replies from the other.
    Icmp,
    /// TCP: a handshake while learning, then segments that all lie at the start of the window.
    Tcp,
    /// UDP.
    Udp,
}

/// What shall become of a stream's packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// Each arrives at the other port.
    Arrive,
    /// None arrives anywhere: the path must refuse them.
    Drop,
}

/// How much of the load a stream has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// Packets per second, whatever the load is.
    Fixed(f64),
    /// In proportion to the other streams of this kind.
    OfLoad(f64),
}

/// Flows that live for a while only and are replaced by others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// Nanoseconds from a flow's first packet to its last.
    pub lifetime: u64,
    /// Flows that begin in a second.
    pub new_per_s: f64,
}

/// The description of a stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// How reports call it.
    pub name: String,
    /// Above IP.
    pub protocol: Protocol,
    /// Version of IP.
    pub family: Family,
    /// Frame sizes; those too small for headers and trailer are raised.
    pub sizes: Sizes,
    /// Endpoints of its flows.
    pub plan: Plan,
    /// The direction of a flow's first packet.
    pub initiator: Direction,
    /// What shall become of its packets.
    pub expect: Expect,
    /// Its part of the load.
    pub share: Share,
    /// The part of its packets that goes against `initiator`, from 0 to 1; half by default.
    pub reverse: f64,
    /// Whether the path translates its inside endpoints.
    pub translated: bool,
    /// Flows that come and go.
    pub churn: Option<Churn>,
    /// Whether TCP connections are closed after a run.
    pub closes: bool,
    /// Whether its plan draws the remote endpoints, and takes the inside ones in turn.
    pub remotes_are_drawn: bool,
    pub(super) first: u32,
    lengths: Vec<u16>,
}

impl Stream {
    /// A stream that begins outward, shall arrive, and has packets in both directions alike.
    pub fn new(
        name: &str,
        protocol: Protocol,
        family: Family,
        sizes: Sizes,
        plan: Plan,
        translated: bool,
    ) -> Self {
        let share = Share::OfLoad(f64::from(plan.flows()));
        let mut stream = Self {
            name: name.to_owned(),
            protocol,
            family,
            sizes: sizes.clone(),
            plan,
            initiator: Direction::Outward,
            expect: Expect::Arrive,
            share,
            reverse: 0.5,
            translated,
            churn: None,
            closes: false,
            remotes_are_drawn: false,
            first: 0,
            lengths: Vec::new(),
        };
        stream.set_sizes(sizes);
        stream
    }

    /// Gives its packets other sizes.
    pub fn set_sizes(&mut self, sizes: Sizes) {
        let least = self.overhead() + trailer::LEN;
        let lengths = sizes.sequence().iter().map(|size| usize::from(*size) - L2);
        self.lengths = lengths.map(|len| len.max(least) as u16).collect();
        self.sizes = sizes;
    }

    /// Inside and remote endpoint of its flow number `n`.
    pub fn endpoints(&self, n: u32) -> (Endpoint, Endpoint) {
        let (drawn, other) = self.plan.endpoints(n);
        if self.remotes_are_drawn { (other, drawn) } else { (drawn, other) }
    }

    /// The hosts on the inside.
    pub fn inside_hosts(&self) -> &[Address] {
        if self.remotes_are_drawn { self.plan.remotes() } else { self.plan.hosts() }
    }

    /// The remote hosts.
    pub fn remote_hosts(&self) -> &[Address] {
        if self.remotes_are_drawn { self.plan.hosts() } else { self.plan.remotes() }
    }

    /// The number of the flow with these endpoints, if it is one.
    pub(super) fn number_of(&self, inside: Endpoint, remote: Endpoint) -> Option<u32> {
        self.plan.index_of(if self.remotes_are_drawn { remote } else { inside })
    }

    /// Index of its first flow in the table.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// How many flows it has.
    pub fn flows(&self) -> u32 {
        self.plan.flows()
    }

    /// Octets of IP and transport header.
    #[inline]
    pub fn overhead(&self) -> usize {
        self.family.header_len() + self.protocol.header_len()
    }

    /// Octets of the IP packet number `seq` of a flow, header included.
    #[inline]
    pub fn length(&self, index: u32, seq: u32) -> u16 {
        match self.lengths[..] {
            [only] => only,
            _ => self.lengths[(index.wrapping_add(seq) as usize) % self.lengths.len()],
        }
    }

    /// Its weight among the streams that share the load.
    pub fn share_of_load(&self) -> f64 {
        match self.share {
            Share::Fixed(_) => 0.0,
            Share::OfLoad(share) => share,
        }
    }

    /// Whether packets of it may have so many octets.
    pub fn has_length(&self, len: usize) -> bool {
        self.lengths.iter().any(|own| usize::from(*own) == len)
    }

    /// Octets of its untagged frames on average, FCS included.
    pub fn mean_size(&self) -> f64 {
        let sum: f64 = self.lengths.iter().map(|len| f64::from(*len) + L2 as f64).sum();
        sum / self.lengths.len() as f64
    }

    /// Octets of its largest IP packet.
    pub fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or_default().into()
    }

    /// The part of its packets that goes this way.
    pub fn part(&self, direction: Direction) -> f64 {
        if direction == self.initiator { 1.0 - self.reverse } else { self.reverse }
    }
}

impl Churn {
    /// Flows that live at the same time.
    pub fn alive(&self) -> u32 {
        ((self.lifetime as f64 / 1e9 * self.new_per_s).round() as u32).max(1)
    }

    /// Flows that have begun after so many nanoseconds, besides those that were there.
    pub fn born(&self, elapsed: u64) -> u64 {
        (elapsed as f64 / 1e9 * self.new_per_s) as u64
    }
}

impl Protocol {
    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Octets of its header.
    #[inline]
    pub fn header_len(self) -> usize {
        match self {
            Self::Icmp | Self::Udp => 8,
            Self::Tcp => 20,
        }
    }

    /// Its number in the IP header.
    #[inline]
    pub fn number(self, family: Family) -> u8 {
        match (self, family) {
            (Self::Icmp, Family::V4) => 1,
            (Self::Icmp, Family::V6) => 58,
            (Self::Tcp, _) => 6,
            (Self::Udp, _) => 17,
        }
    }
}

/// Ethernet header and FCS of an untagged frame.
const L2: usize = ETHERNET + crate::frame::FCS;
