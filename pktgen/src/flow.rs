//! The flow table: one 64-octet record a flow, what was learned about it, and what arrived of it.

mod plan;
mod shape;
mod window;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

pub use plan::{Plan, PlanError};
pub(crate) use shape::{
    DONT_FRAGMENT, PROTOCOL_UDP, TRAFFIC_CLASS, TTL, fill, ipv4_header, is_filled,
};
pub use shape::{HEADERS, Shape};
pub use window::Seen;
use window::Windows;

/// The way a packet goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the inside port to the outside port.
    Outward,
    /// Back.
    Inward,
}

impl Direction {
    /// Both, outward first.
    pub const BOTH: [Self; 2] = [Self::Outward, Self::Inward];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inward => "inward",
            Self::Outward => "outward",
        }
    }

    /// The other one.
    pub fn reversed(self) -> Self {
        match self {
            Self::Inward => Self::Outward,
            Self::Outward => Self::Inward,
        }
    }
}

/// The bit of a trailer's flow word that marks [`Direction::Inward`].
pub(crate) const INWARD: u32 = 1 << 31;

/// One flow: its endpoints, its checksums and its sequence numbers; arrays are by [`Direction`].
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Flow {
    /// Fills the payload before the trailer.
    pub pattern: u64,
    inside_ip: u32,
    outside_ip: u32,
    external_ip: u32, // 0: not learned
    inside_port: u16,
    outside_port: u16,
    external_port: u16,
    /// IPv4 identification, and the sum that the trailer keeps.
    pub identification: u16,
    /// Header checksums.
    pub ip_checksum: [u16; 2],
    /// UDP checksums.
    pub udp_checksum: [u16; 2],
    next_seq: [u32; 2],
    top: [u32; 2],
}
const _: () = assert!(size_of::<Flow>() == 64, "one cache line per flow");

impl Flow {
    /// The host behind the translator.
    pub fn inside(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.inside_ip.into(), self.inside_port)
    }

    /// The remote endpoint.
    pub fn outside(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.outside_ip.into(), self.outside_port)
    }

    /// The inside endpoint as the remote sees it, once learned.
    pub fn external(&self) -> Option<SocketAddrV4> {
        let address = Ipv4Addr::from(self.external_ip);
        (self.external_ip != 0).then_some(SocketAddrV4::new(address, self.external_port))
    }

    /// Source and destination of what is sent this way.
    pub fn sent(&self, direction: Direction) -> Option<(SocketAddrV4, SocketAddrV4)> {
        match direction {
            Direction::Inward => Some((self.outside(), self.external()?)),
            Direction::Outward => Some((self.inside(), self.outside())),
        }
    }

    /// Takes the next sequence number of a direction.
    pub fn take_seq(&mut self, direction: Direction) -> u32 {
        let seq = &mut self.next_seq[direction as usize];
        *seq = seq.wrapping_add(1);
        seq.wrapping_sub(1)
    }

    /// The sum that the trailers of this flow have.
    pub fn constant(&self) -> u16 {
        !self.identification
    }
}

/// What learning an external endpoint brought to light.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Learned {
    /// Another flow to the same remote endpoint has it.
    Clash,
    /// Nobody had it.
    New,
}

/// All flows, with their learned endpoints and their windows of arrived sequence numbers.
#[derive(Debug)]
pub struct Flows {
    records: Vec<Flow>,
    windows: Windows,
    owners: HashMap<(SocketAddrV4, SocketAddrV4), u32>,
    plan: Plan,
    shape: Shape,
    learned: usize,
}

impl Flows {
    /// The flows of a plan, none learned.
    pub fn new(plan: Plan, shape: Shape) -> Self {
        let mut records: Vec<Flow> = (0..plan.flows()).map(|index| plan.record(index)).collect();
        records.iter_mut().for_each(|flow| shape.seal(flow, Direction::Outward));
        let windows = Windows::new(plan.flows() as usize);
        Self { records, windows, owners: HashMap::new(), plan, shape, learned: 0 }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many have an external endpoint.
    pub fn learned(&self) -> usize {
        self.learned
    }

    /// What their frames look like.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What the flows were drawn from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The flow of this index.
    pub fn flow(&self, index: u32) -> Option<&Flow> {
        self.records.get(index as usize)
    }

    /// The flow of this index, to change.
    pub fn flow_mut(&mut self, index: u32) -> Option<&mut Flow> {
        self.records.get_mut(index as usize)
    }

    /// Sets or changes the external endpoint of a flow.
    pub fn learn(&mut self, index: u32, external: SocketAddrV4) -> Learned {
        let flow = &mut self.records[index as usize];
        let remote = flow.outside();
        match flow.external() {
            Some(old) => {
                if self.owners.get(&(old, remote)) == Some(&index) {
                    self.owners.remove(&(old, remote));
                }
            }
            None => self.learned += 1,
        }
        (flow.external_ip, flow.external_port) = (external.ip().to_bits(), external.port());
        self.shape.seal(flow, Direction::Inward);
        match *self.owners.entry((external, remote)).or_insert(index) {
            owner if owner == index => Learned::New,
            _ => Learned::Clash,
        }
    }

    /// Learns every flow as it is, for paths that do not translate.
    pub fn learn_untranslated(&mut self) {
        for index in 0..self.records.len() as u32 {
            let inside = self.records[index as usize].inside();
            self.learn(index, inside);
        }
    }

    /// The flow whose packets look like this where they arrive; slow, for damaged packets.
    pub fn by_addresses(
        &self,
        direction: Direction,
        source: SocketAddrV4,
        destination: SocketAddrV4,
    ) -> Option<u32> {
        match direction {
            Direction::Inward => {
                let index = self.plan.index_of(destination)?;
                (self.flow(index)?.outside() == source).then_some(index)
            }
            Direction::Outward => self.owners.get(&(source, destination)).copied(),
        }
    }

    /// Notes the arrival of a sequence number.
    pub fn arrive(&mut self, index: u32, direction: Direction, seq: u32) -> Seen {
        let top = &mut self.records[index as usize].top[direction as usize];
        self.windows.arrive(index as usize * 2 + direction as usize, top, seq)
    }

    /// Starts every sequence anew, for the next phase.
    pub fn restart(&mut self) {
        for flow in &mut self.records {
            (flow.next_seq, flow.top) = ([0; 2], [0; 2]);
        }
        self.windows.clear();
    }

    /// The flows without an external endpoint.
    pub fn unlearned(&self) -> Vec<u32> {
        self.indexes(|flow| flow.external_ip == 0)
    }

    /// The flows that have an external endpoint.
    pub fn reachable(&self) -> Vec<u32> {
        self.indexes(|flow| flow.external_ip != 0)
    }

    fn indexes(&self, wanted: impl Fn(&Flow) -> bool) -> Vec<u32> {
        let records = self.records.iter().zip(0..);
        records.filter(|(flow, _)| wanted(flow)).map(|(_, index)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows() -> Flows {
        let inside = "10.0.0.2".parse().unwrap();
        let plan = Plan::new(100, inside, 24, None, &[Ipv4Addr::new(198, 51, 100, 2)], 1).unwrap();
        Flows::new(plan, Shape::new(64).unwrap())
    }

    #[test]
    fn one_external_endpoint_for_two_flows_is_a_clash() {
        let mut flows = flows();
        let external = "203.0.113.1:1024".parse().unwrap();
        assert_eq!(flows.learn(0, external), Learned::New);
        assert_eq!(flows.learn(0, external), Learned::New);
        assert_eq!(flows.learn(1, external), Learned::Clash);
        assert_eq!(flows.learned(), 2);
        assert_eq!(flows.learn(0, "203.0.113.1:1025".parse().unwrap()), Learned::New);
        assert_eq!(flows.learn(2, external), Learned::New, "given up by flow 0");
    }

    #[test]
    fn a_flow_is_found_by_its_addresses_on_either_side() {
        let mut flows = flows();
        let external = "203.0.113.1:1024".parse().unwrap();
        flows.learn(7, external);
        let flow = *flows.flow(7).unwrap();
        let outward = flows.by_addresses(Direction::Outward, external, flow.outside());
        assert_eq!(outward, Some(7));
        let inward = flows.by_addresses(Direction::Inward, flow.outside(), flow.inside());
        assert_eq!(inward, Some(7));
        assert_eq!(flows.by_addresses(Direction::Inward, external, flow.inside()), None);
        assert_eq!(flows.by_addresses(Direction::Outward, flow.inside(), flow.outside()), None);
    }

    #[test]
    fn a_new_phase_forgets_sequences_but_not_endpoints() {
        let mut flows = flows();
        flows.learn_untranslated();
        assert_eq!(flows.flow_mut(3).unwrap().take_seq(Direction::Outward), 0);
        assert_eq!(flows.arrive(3, Direction::Outward, 0), Seen::InOrder);
        assert_eq!(flows.arrive(3, Direction::Outward, 0), Seen::Again);
        flows.restart();
        assert_eq!(flows.arrive(3, Direction::Outward, 0), Seen::InOrder);
        assert_eq!(flows.flow_mut(3).unwrap().take_seq(Direction::Outward), 0);
        assert_eq!(flows.learned(), 100);
    }
}
