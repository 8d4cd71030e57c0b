//! Options that describe traffic and the path, for every command that sends.

use clap::{Args, ValueEnum};

use super::{Failure, Global};
use crate::control::Hooks;
use crate::flow::{Direction, Protocol, Sizes};
use crate::parse;
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::profile::Profile;
use crate::receive::Sut;
use crate::session::Session;
use crate::setup::{self, Layout};

/// What is sent, and through what.
#[derive(Args, Clone, Debug)]
pub(super) struct Traffic {
    /// Octets of a frame, FCS included: 64, imix (64:7,570:4,1518:1), or sizes with weights such as 64,570:7; where headers
    /// and trailer need more (TCP 76, IPv6 84 and 96), more
    #[arg(long, value_name = "SIZES", default_value = "64", conflicts_with = "config")]
    pub(super) size: Sizes,
    /// Number of flows, dealt out to protocols and families: 500, 64k, 1M
    #[arg(long, value_name = "N", default_value = "1000", value_parser = parse::flows, conflicts_with = "config")]
    pub(super) flows: u32,
    /// Protocols of the flows: udp, tcp, icmp
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "udp",
        conflicts_with = "config"
    )]
    pub(super) proto: Vec<Proto>,
    /// Prefixes in which translated sources must lie
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', conflicts_with = "config")]
    pub(super) pool: Vec<Prefix>,
    /// What the tested system does with addresses [default: nat44 with gateways, nothing without]
    #[arg(long, value_enum, conflicts_with = "config")]
    pub(super) sut: Option<Kind>,
    /// Routers on the way: by how much TTL shrinks [default: 1 with gateways, 0 without]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..=32), conflicts_with = "config")]
    pub(super) hops: Option<u8>,
    /// Give L4 checksums their extreme values, before translation in half of the flows, after it in the others
    #[arg(long)]
    pub(super) edge_checksums: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Proto {
    Icmp,
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Way {
    Both,
    In2out,
    Out2in,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Kind {
    Nat44,
    Router,
}

impl Traffic {
    /// Adds the protocols that were not asked for.
    pub(super) fn use_all_protocols(&mut self) {
        self.proto = vec![Proto::Udp, Proto::Tcp, Proto::Icmp];
    }

    /// The ports and flows of the command line, or of the profile.
    pub(super) fn layout(&self, global: &Global) -> Result<Layout, Failure> {
        match &global.config {
            Some(file) => Ok(Profile::read(file, global.seed())?.layout),
            None => self.layout_on(global, global.two_ports()?),
        }
    }

    /// The flows of the command line on these ports.
    pub(super) fn layout_on(&self, global: &Global, specs: [Spec; 2]) -> Result<Layout, Failure> {
        let mut protocols: Vec<Protocol> = self.proto.iter().map(|proto| (*proto).into()).collect();
        let mut seen = Vec::new();
        protocols.retain(|protocol| {
            let is_new = !seen.contains(protocol);
            seen.push(*protocol);
            is_new
        });
        let traffic = setup::Traffic { flows: self.flows, protocols, sizes: self.size.clone() };
        let sut = self.sut.map(Sut::from);
        let mut layout = Layout::new(specs, sut, self.pool.clone(), &traffic, global.seed())?;
        layout.hops = self.hops.unwrap_or(layout.hops);
        Ok(layout)
    }
}

impl Global {
    /// The seed given, or a random one.
    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(rand::random)
    }

    /// The hooks of the profile and of the command line; the latter go first.
    pub(super) fn hooks(&self) -> Result<Hooks, Failure> {
        let mut hooks = match &self.config {
            Some(file) => Profile::read(file, 0)?.hooks,
            None => Vec::new(),
        };
        hooks.extend(self.hook.iter().cloned());
        Ok(Hooks(hooks))
    }

    /// The two ports given, or those of the profile.
    pub(super) fn two_ports(&self) -> Result<[Spec; 2], Failure> {
        if let Some(file) = self.config.as_ref().filter(|_| self.ports.is_empty()) {
            return Ok(Profile::read(file, 0)?.layout.specs);
        }
        self.ports.clone().try_into().map_err(|given: Vec<_>| {
            Failure::Usage(format!("two ports are needed, -p IN -p OUT; given: {}", given.len()))
        })
    }

    /// Opens the ports of a layout.
    pub(super) fn open(&self, layout: Layout) -> Result<Session, Failure> {
        Ok(Session::open(layout, self.core, self.no_huge)?)
    }
}

impl Way {
    pub(super) fn directions(self) -> Vec<Direction> {
        match self {
            Self::Both => Direction::BOTH.to_vec(),
            Self::In2out => vec![Direction::Outward],
            Self::Out2in => vec![Direction::Inward],
        }
    }
}

impl From<Proto> for Protocol {
    fn from(proto: Proto) -> Self {
        match proto {
            Proto::Icmp => Self::Icmp,
            Proto::Tcp => Self::Tcp,
            Proto::Udp => Self::Udp,
        }
    }
}

impl From<Kind> for Sut {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Nat44 => Self::Nat44,
            Kind::Router => Self::Router,
        }
    }
}
