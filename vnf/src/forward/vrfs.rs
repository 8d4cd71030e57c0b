//! The routing tables of all VRFs, and routes that lead from one to another.

use std::net::IpAddr;
use std::sync::Arc;

use super::route_table::{RouteTable, RouteTarget};
use crate::engine::ids::VrfId;

/// One routing table for each VRF. Never changed in place: a change is a new list that shares the tables left alone.
#[derive(Clone, Debug, Default)]
pub struct Vrfs {
    tables: Vec<Arc<RouteTable>>,
}

impl Vrfs {
    /// The tables, in the order of their numbers.
    pub fn new(tables: Vec<Arc<RouteTable>>) -> Self {
        Self { tables }
    }

    /// Where a destination's packets go from a VRF; `None`: no route. Follows routes that lead to other VRFs.
    pub fn find(&self, vrf: VrfId, destination: IpAddr) -> Option<&RouteTarget> {
        let mut vrf = vrf;
        for _ in 0..=LEAKS {
            let table = self.tables.get(vrf.index())?;
            match table.target(table.lookup(destination))? {
                RouteTarget::Vrf(next) => vrf = *next,
                target => return Some(target),
            }
        }
        None
    }

    /// The table of a VRF.
    pub fn table(&self, vrf: VrfId) -> Option<&Arc<RouteTable>> {
        self.tables.get(vrf.index())
    }

    /// All tables, in the order of their numbers.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<RouteTable>> {
        self.tables.iter()
    }
}

/// VRFs that a packet is led through at most: routes that lead in a circle are no route.
const LEAKS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(&str, RouteTarget)]) -> Arc<RouteTable> {
        let routes = routes.iter().map(|(net, to)| (net.parse().expect("a prefix"), to.clone()));
        Arc::new(RouteTable::build(routes).expect("few targets"))
    }

    #[test]
    fn a_route_may_lead_to_another_vrf_but_not_in_a_circle() {
        let connected = RouteTarget::Connected { interface: 7 };
        let tables = Vrfs::new(vec![
            table(&[
                ("10.0.0.0/8", connected.clone()),
                ("10.1.0.0/16", RouteTarget::Vrf(VrfId(1))),
            ]),
            table(&[("0.0.0.0/0", RouteTarget::Vrf(VrfId(0)))]),
        ]);
        let find = |vrf, address: &str| tables.find(VrfId(vrf), address.parse().expect("address"));
        assert_eq!(find(0, "10.0.0.1"), Some(&connected));
        assert_eq!(find(1, "10.0.0.1"), Some(&connected));
        assert_eq!(find(0, "10.1.0.1"), None, "in a circle");
        assert_eq!(find(1, "11.0.0.1"), None);
        assert_eq!(find(2, "10.0.0.1"), None, "no such VRF");
    }
}
