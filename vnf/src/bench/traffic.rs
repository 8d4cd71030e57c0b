//! The frames of many flows, written where a NIC's DMA would put them.
//!
//! Addresses and ports are computed from a flow's number; only external endpoints are looked up, eight octets a flow. So the
//! generator touches little memory, and what it does touch the empty pipeline touches too.

use anyhow::{Context, ensure};
use dpdk_bindings::mbuf::Mbuf;
use rand::RngExt;

use super::Options;
use super::order::{Choice, STRIDE};
use super::rig::{CHECKSUM, Rig};
use super::scenario::{PEER_MAC, Scenario};
use crate::config::NatRole;
use crate::engine::ids::VrfId;
use crate::engine::meta::{Direction, Family, FlowKey};
use crate::forward::RouteTarget;
use crate::wire::checksum::Sum;
use crate::wire::{ipv4, protocol};

/// Writes frames.
pub(super) struct Traffic {
    templates: [Template; 2],
    flows: u32,
    first_host: u32,
    flows_shift: u32,
    remotes: Box<[u32; REMOTES]>,
    remote_port: u16,
    /// The external endpoints by flow: address, then port.
    externals: Vec<u64>,
    choice: Choice,
    /// Of a hundred outbound packets, how many open a flow.
    new_flows: u32,
    new_due: u32,
    new_next: u32,
    new_span: u32,
}

impl Traffic {
    /// Traffic between the scenario's hosts; remote ones are drawn from the routed prefixes.
    pub(super) fn new(scenario: &Scenario, rig: &Rig, options: &Options) -> anyhow::Result<Self> {
        let tables = &rig.worker.tables;
        let mut random = rand::rng();
        let prefixes = scenario.remote_prefixes();
        ensure!(!prefixes.is_empty(), "no route leads to a gateway on the external port");
        let mut draw = || {
            let net = prefixes[random.random_range(0..prefixes.len())];
            let address =
                u32::from(net.network()) | random.random::<u32>() & u32::from(net.hostmask());
            let sane = ipv4::address::may_be_forwarded_to(address.to_be_bytes())
                && ipv4::address::may_send(address.to_be_bytes());
            let destination = std::net::Ipv4Addr::from(address).into();
            let route = tables.routes.find(VrfId::DEFAULT, destination);
            let outside = |interface: u8| {
                tables.interfaces.role(crate::engine::ids::InterfaceId(interface))
                    == Some(NatRole::External)
            };
            let external = matches!(route, Some(RouteTarget::Gateways(gateways)) if gateways.iter().all(|g| outside(g.interface)));
            (sane && external && !tables.nat.is_external(address)).then_some(address)
        };
        let mut remotes = Box::new([0; REMOTES]);
        for remote in remotes.iter_mut() {
            *remote = (0..ATTEMPTS)
                .find_map(|_| draw())
                .context("the routes by the external port lead to no usable address")?;
        }
        let hosts_end = u64::from(u32::MAX) - u64::from(u32::from(scenario.first_host));
        let new_span =
            (hosts_end << scenario.flows_shift).min(1 << 31) as u32 - options.flows.min(1 << 30);
        Ok(Self {
            templates: rig.macs.map(|mac| Template::new(mac.0, options.size - CHECKSUM)),
            flows: options.flows,
            first_host: scenario.first_host.into(),
            flows_shift: scenario.flows_shift,
            remotes,
            remote_port: scenario.remote_port,
            externals: Vec::new(),
            choice: Choice::new(options.order, options.flows),
            new_flows: 2 * u32::from(options.new_flows),
            new_due: 0,
            new_next: 0,
            new_span,
        })
    }

    /// Writes one packet of every flow from number `from` on; all flows have their turn, out of order.
    pub(super) fn each<'m>(
        &mut self,
        direction: Direction,
        from: u32,
        frames: impl Iterator<Item = &'m mut Mbuf>,
    ) {
        for (frame, at) in frames.zip(from..) {
            let flow = (u64::from(at) * STRIDE % u64::from(self.flows)) as u32;
            match direction {
                Direction::Outbound => self.outbound(flow, frame.data_mut()),
                Direction::Inbound => self.inbound(flow, frame.data_mut()),
            }
        }
    }

    /// Writes packets of established flows, and of new ones where they are asked for.
    pub(super) fn write<'m>(
        &mut self,
        direction: Direction,
        frames: impl Iterator<Item = &'m mut Mbuf>,
    ) {
        match direction {
            Direction::Outbound if self.new_flows > 0 => {
                for frame in frames {
                    let flow = self.next_or_new();
                    self.outbound(flow, frame.data_mut());
                }
            }
            Direction::Outbound => {
                for frame in frames {
                    let flow = self.choice.next();
                    self.outbound(flow, frame.data_mut());
                }
            }
            Direction::Inbound => {
                for frame in frames {
                    let flow = self.choice.next();
                    self.inbound(flow, frame.data_mut());
                }
            }
        }
    }

    /// Learns the external endpoint of every flow.
    pub(super) fn learn(
        &mut self,
        external: impl Fn(&FlowKey) -> Option<(u32, u16)>,
    ) -> anyhow::Result<()> {
        self.externals = (0..self.flows)
            .map(|flow| {
                let (address, port) =
                    external(&self.key(flow)).context("a flow has no translated session")?;
                Ok(u64::from(address) << 16 | u64::from(port))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(())
    }

    /// The first flow, for a message.
    pub(super) fn example(&self) -> String {
        let (address, port) = self.internal(0);
        let [address, remote] = [address, self.remote(0)].map(std::net::Ipv4Addr::from);
        format!("udp {address}:{port} to {remote}:{}", self.remote_port)
    }

    fn next_or_new(&mut self) -> u32 {
        self.new_due += self.new_flows;
        if self.new_due < 100 {
            return self.choice.next();
        }
        self.new_due -= 100;
        self.new_next = (self.new_next + 1) % self.new_span;
        self.flows + self.new_next
    }

    fn key(&self, flow: u32) -> FlowKey {
        let (source, source_port) = self.internal(flow);
        FlowKey {
            source: [source, 0, 0, 0],
            destination: [self.remote(flow), 0, 0, 0],
            source_port,
            destination_port: self.remote_port,
            protocol: protocol::UDP,
            family: Family::Ipv4,
            vrf: VrfId::DEFAULT,
        }
    }

    #[inline]
    fn internal(&self, flow: u32) -> (u32, u16) {
        let port = flow & ((1 << self.flows_shift) - 1);
        (self.first_host + (flow >> self.flows_shift), FIRST_PORT + port as u16)
    }

    #[inline]
    fn remote(&self, flow: u32) -> u32 {
        let at = flow.wrapping_mul(0x9e37_79b9) >> (32 - REMOTES.ilog2());
        self.remotes[at as usize % REMOTES]
    }

    #[inline]
    fn outbound(&self, flow: u32, frame: &mut [u8]) {
        let (address, port) = self.internal(flow);
        self.templates[0].write(frame, (address, port), (self.remote(flow), self.remote_port));
    }

    #[inline]
    fn inbound(&self, flow: u32, frame: &mut [u8]) {
        let external = self.externals[flow as usize];
        let external = ((external >> 16) as u32, external as u16);
        self.templates[1].write(frame, (self.remote(flow), self.remote_port), external);
    }
}

/// A UDP datagram without addresses, ports and checksums.
struct Template {
    octets: [u8; LENGTH],
    /// Sums of what does not change, without carries.
    ip_sum: u32,
    udp_sum: u32,
    udp_length: u16,
}

impl Template {
    fn new(mac: [u8; 6], length: u16) -> Self {
        let ip_length = length - 14;
        let udp_length = ip_length - 20;
        let mut octets = [0; LENGTH];
        octets[..6].copy_from_slice(&mac);
        octets[6..12].copy_from_slice(&PEER_MAC);
        octets[12..14].copy_from_slice(&[0x08, 0x00]);
        octets[14] = 0x45;
        octets[16..18].copy_from_slice(&ip_length.to_be_bytes());
        octets[20] = 0x40; // don't fragment
        octets[22] = 64;
        octets[23] = protocol::UDP;
        octets[48..].copy_from_slice(b"vnf bench...");
        let ip_sum = Sum::of(&octets[14..34]).fold().into();
        let pseudo = Sum::ipv4_pseudo([0; 4], [0; 4], protocol::UDP, udp_length);
        let udp_sum = pseudo.word(udp_length).bytes(&octets[48..]).fold().into();
        Self { octets, ip_sum, udp_sum, udp_length }
    }

    #[inline]
    fn write(&self, frame: &mut [u8], source: (u32, u16), destination: (u32, u16)) {
        let Some(frame) = frame.first_chunk_mut::<LENGTH>() else { return };
        let halves = |address: u32| (address >> 16) + (address & 0xffff);
        let addresses = halves(source.0) + halves(destination.0);
        let ports = u32::from(source.1) + u32::from(destination.1);
        let ip = checksum(self.ip_sum + addresses);
        let udp = checksum(self.udp_sum + addresses + ports);
        *frame = self.octets;
        let word = u64::from(ip) << 48 | u64::from(source.0) << 16 | u64::from(destination.0 >> 16);
        frame[24..32].copy_from_slice(&word.to_be_bytes());
        let word = u64::from(destination.0) << 48
            | u64::from(source.1) << 32
            | u64::from(destination.1) << 16
            | u64::from(self.udp_length);
        frame[32..40].copy_from_slice(&word.to_be_bytes());
        frame[40..48].copy_from_slice(&(u64::from(udp) << 48).to_be_bytes());
    }
}

#[inline]
fn checksum(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Octets that are written: all of the smallest frame, and the headers of every other.
const LENGTH: usize = 60;
/// Remote hosts.
const REMOTES: usize = 1024;
const FIRST_PORT: u16 = 1024;
const ATTEMPTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_size_have_right_checksums_and_lengths() {
        for length in [60, 124, 1514] {
            let template = Template::new([2; 6], length);
            let mut frame = vec![0; length.into()];
            template.write(&mut frame, (0xffff_ff01, 65535), (0x0102_0304, 443));
            let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(header.source, [255, 255, 255, 1]);
            let Some(etherparse::TransportSlice::Udp(udp)) = packet.transport else {
                panic!("no UDP")
            };
            let expected = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
            assert_eq!(udp.checksum(), expected);
            assert_eq!((udp.source_port(), udp.destination_port()), (65535, 443));
            assert_eq!(udp.length() + 34, length);
        }
    }
}
