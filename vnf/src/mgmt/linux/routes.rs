//! Follows the kernel's routes: what a routing daemon puts into the main table with a tap as output is a route of the VNF.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc::Sender;

use anyhow::Context;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use ipnet::IpNet;
use log::warn;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType, RouteVia,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};

use super::device::{Device, Kernel};
use crate::engine::ids::InterfaceId;

/// A route of the kernel through taps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelRoute {
    /// Where to.
    pub prefix: IpNet,
    /// Through which interfaces, and by which neighbour; without one the destinations are neighbours. Never empty.
    pub next_hops: Vec<(InterfaceId, Option<IpAddr>)>,
}

/// What has changed among the kernel's routes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteChange {
    /// There is no such route any more.
    Gone(IpNet),
    /// There is a route, or another one than before.
    Set(KernelRoute),
}

/// What the kernel says.
pub(super) type Message = NetlinkPayload<RouteNetlinkMessage>;
type NextHops = Vec<(InterfaceId, Option<IpAddr>)>;

/// The routes through the taps, as far as they were heard of.
pub(super) struct Follower {
    handle: Handle,
    messages: BoxStream<'static, Message>,
    table: Table,
    changes: Sender<RouteChange>,
}

impl Follower {
    /// Begins with all routes there are.
    pub(super) async fn begin(
        kernel: &Kernel,
        devices: &[Device],
        changes: Sender<RouteChange>,
    ) -> anyhow::Result<Self> {
        let groups = [MulticastGroup::Ipv4Route, MulticastGroup::Ipv6Route, MulticastGroup::Link];
        let (connection, _, messages) =
            rtnetlink::new_multicast_connection(&groups).context("no netlink socket for routes")?;
        tokio::spawn(connection);
        let taps = devices.iter().map(|device| (device.index, device.interface)).collect();
        let mut follower = Self {
            handle: kernel.handle.clone(),
            messages: messages.map(|(message, _)| message.payload).boxed(),
            table: Table { taps, routes: BTreeMap::new() },
            changes,
        };
        follower.read_all().await?;
        Ok(follower)
    }

    /// Waits for what the kernel says next.
    pub(super) async fn next(&mut self) -> Message {
        match self.messages.next().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// Passes on what changes by it.
    pub(super) async fn hear(&mut self, message: Message) {
        match message {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(message)) => {
                self.tell(|table| table.set(&message));
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(message)) => {
                self.tell(|table| table.remove(&message));
            }
            // The kernel says nothing of IPv4 routes that go with an interface, and may have more to say than we can hear.
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_),
            )
            | NetlinkPayload::Overrun(_) => {
                if let Err(error) = self.read_all().await {
                    warn!("cannot read the kernel's routes: {error:#}");
                }
            }
            _ => {}
        }
    }

    /// Reads all routes and passes on what differs.
    async fn read_all(&mut self) -> anyhow::Result<()> {
        let mut found = Table { taps: self.table.taps.clone(), routes: BTreeMap::new() };
        for family in [
            RouteMessageBuilder::<Ipv4Addr>::new().build(),
            RouteMessageBuilder::<Ipv6Addr>::new().build(),
        ] {
            let mut routes = std::pin::pin!(self.handle.route().get(family).execute());
            while let Some(message) = routes.try_next().await? {
                found.set(&message);
            }
        }
        let before = std::mem::replace(&mut self.table, found);
        let gone = before.routes.keys().filter(|prefix| !self.table.routes.contains_key(prefix));
        let mut changes: Vec<RouteChange> = gone.map(|prefix| RouteChange::Gone(*prefix)).collect();
        for prefix in self.table.routes.keys() {
            let (old, new) = (before.best(prefix), self.table.best(prefix));
            if old != new {
                changes.extend(self.table.change(*prefix));
            }
        }
        changes.into_iter().for_each(|change| self.pass_on(change));
        Ok(())
    }

    fn tell(&mut self, apply: impl FnOnce(&mut Table) -> Option<RouteChange>) {
        if let Some(change) = apply(&mut self.table) {
            self.pass_on(change);
        }
    }

    fn pass_on(&self, change: RouteChange) {
        // Management that ends hears no more.
        let _ = self.changes.send(change);
    }
}

/// Routes by prefix and metric; the lowest metric counts.
struct Table {
    /// Interfaces by the kernel's numbers of their taps.
    taps: HashMap<u32, InterfaceId>,
    routes: BTreeMap<IpNet, BTreeMap<u32, NextHops>>,
}

impl Table {
    /// Takes a route in; returns what changes by it.
    fn set(&mut self, message: &RouteMessage) -> Option<RouteChange> {
        let (prefix, metric) = key(message)?;
        match self.next_hops(message) {
            Some(next_hops) => {
                let before = self.best(&prefix).cloned();
                self.routes.entry(prefix).or_default().insert(metric, next_hops);
                (self.best(&prefix) != before.as_ref()).then(|| self.change(prefix))?
            }
            // It may take the place of one of ours.
            None => self.remove(message),
        }
    }

    /// Takes a route out; returns what changes by it.
    fn remove(&mut self, message: &RouteMessage) -> Option<RouteChange> {
        let (prefix, metric) = key(message)?;
        let before = self.best(&prefix)?.clone();
        let of_prefix = self.routes.get_mut(&prefix)?;
        of_prefix.remove(&metric);
        if of_prefix.is_empty() {
            self.routes.remove(&prefix);
        }
        (self.best(&prefix) != Some(&before)).then(|| self.change(prefix))?
    }

    fn best(&self, prefix: &IpNet) -> Option<&NextHops> {
        self.routes.get(prefix)?.values().next()
    }

    fn change(&self, prefix: IpNet) -> Option<RouteChange> {
        Some(match self.best(&prefix) {
            Some(next_hops) => {
                RouteChange::Set(KernelRoute { prefix, next_hops: next_hops.clone() })
            }
            None => RouteChange::Gone(prefix),
        })
    }

    /// The next hops of a route that is one for us: unicast, made by an administrator or a daemon, through taps only.
    fn next_hops(&self, message: &RouteMessage) -> Option<NextHops> {
        let by_kernel = matches!(
            message.header.protocol,
            RouteProtocol::IcmpRedirect | RouteProtocol::Kernel | RouteProtocol::Ra
        );
        if message.header.kind != RouteType::Unicast || by_kernel {
            return None;
        }
        let attributes = &message.attributes;
        let several = attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => Some(hops),
            _ => None,
        });
        if let Some(hops) = several {
            let hop = |hop: &rtnetlink::packet_route::route::RouteNextHop| {
                Some((*self.taps.get(&hop.interface_index)?, gateway(&hop.attributes)))
            };
            return hops.iter().map(hop).collect::<Option<NextHops>>().filter(|h| !h.is_empty());
        }
        let output = attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
        Some(vec![(*self.taps.get(&output?)?, gateway(attributes))])
    }
}

/// The prefix and the metric of a route of the main table.
fn key(message: &RouteMessage) -> Option<(IpNet, u32)> {
    let (mut destination, mut metric, mut table) = (None, 0, u32::from(message.header.table));
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = ip(address),
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    let default = match message.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let length = message.header.destination_prefix_length;
    let prefix = IpNet::new(destination.unwrap_or(default), length).ok()?;
    let useful = table == MAIN && !prefix.addr().is_multicast();
    useful.then_some((prefix.trunc(), metric))
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// The kernel's main routing table.
const MAIN: u32 = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let taps = HashMap::from([(7, InterfaceId(0)), (8, InterfaceId(1))]);
        Table { taps, routes: BTreeMap::new() }
    }

    fn route(prefix: &str, gateway: &str, index: u32, metric: u32) -> RouteMessage {
        let prefix: IpNet = prefix.parse().unwrap();
        let mut message = RouteMessage::default();
        message.header.address_family =
            if prefix.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.destination_prefix_length = prefix.prefix_len();
        message.header.table = 254;
        message.header.protocol = RouteProtocol::Bird;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Destination(prefix.addr().into()),
            RouteAttribute::Gateway(gateway.parse::<IpAddr>().unwrap().into()),
            RouteAttribute::Oif(index),
            RouteAttribute::Priority(metric),
        ];
        message
    }

    fn set(prefix: &str, interface: u8, gateway: &str) -> Option<RouteChange> {
        Some(RouteChange::Set(KernelRoute {
            prefix: prefix.parse().unwrap(),
            next_hops: vec![(InterfaceId(interface), Some(gateway.parse().unwrap()))],
        }))
    }

    #[test]
    fn the_lowest_metric_counts_until_it_goes() {
        let mut table = table();
        let (good, other) =
            (route("192.0.2.0/24", "10.0.0.2", 7, 20), route("192.0.2.0/24", "10.1.0.2", 8, 30));
        assert_eq!(table.set(&other), set("192.0.2.0/24", 1, "10.1.0.2"));
        assert_eq!(table.set(&good), set("192.0.2.0/24", 0, "10.0.0.2"));
        assert_eq!(table.set(&good), None, "nothing new");
        assert_eq!(table.remove(&other), None);
        table.set(&other);
        assert_eq!(table.remove(&good), set("192.0.2.0/24", 1, "10.1.0.2"));
        let gone = RouteChange::Gone("192.0.2.0/24".parse().unwrap());
        assert_eq!(table.remove(&other), Some(gone));
        assert_eq!(table.remove(&other), None);
    }

    #[test]
    fn only_unicast_routes_through_taps_and_not_the_kernel_s_own_are_taken() {
        let mut table = table();
        assert_eq!(table.set(&route("192.0.2.0/24", "10.0.0.2", 9, 0)), None, "another device");
        let mut message = route("192.0.2.0/24", "10.0.0.2", 7, 0);
        message.header.protocol = RouteProtocol::Kernel;
        assert_eq!(table.set(&message), None);
        message.header.protocol = RouteProtocol::Static;
        message.header.kind = RouteType::BlackHole;
        assert_eq!(table.set(&message), None);
        message.header.kind = RouteType::Unicast;
        message.header.table = 100;
        assert_eq!(table.set(&message), None);
        message.header.table = 254;
        assert!(table.set(&message).is_some());
        let elsewhere = route("192.0.2.0/24", "10.9.0.2", 9, 0);
        assert!(matches!(table.set(&elsewhere), Some(RouteChange::Gone(_))), "it was replaced");
    }

    #[test]
    fn a_default_route_of_ipv6_has_no_destination() {
        let mut message = route("::/0", "fe80::1", 8, 1024);
        message.attributes.remove(0);
        assert_eq!(table().set(&message), set("::/0", 1, "fe80::1"));
    }
}
