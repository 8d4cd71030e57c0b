//! What was measured, as it is printed.

use std::fmt;

use serde::Serialize;

use super::Order;

/// The result of a run. A cycle is one of thread CPU time: what others take from the worker does not count.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Packets a second of one core that does nothing else.
    pub pps: f64,
    /// Cycles per packet, all told.
    pub cycles_per_packet: f64,
    /// Of an empty pipeline: receive, write the frame, transmit.
    pub empty_cycles_per_packet: f64,
    /// The difference: what the VNF itself costs.
    pub own_cycles_per_packet: f64,
    /// Own cycles of a flow's first packet: permitted, stored, translated.
    pub new_session_cycles: f64,
    /// By stage; what is left to the sum is receiving, accounting and expiry.
    pub stages: Vec<StageCycles>,
    /// Established flows.
    pub flows: u32,
    /// Octets of a frame on the wire.
    pub size: u16,
    /// The order of the packets.
    pub order: Order,
    /// Rules of all ACLs.
    pub rules: u32,
    /// Routes of the configuration.
    pub routes: u32,
    /// Memory of the table in which workers look them up.
    pub route_table_bytes: usize,
    /// How long it took to build routes, ACLs and all other tables, in milliseconds.
    pub tables_built_ms: f64,
    /// Memory reserved for flow state, by the sessions that fit.
    pub bytes_per_session: f64,
    /// The longest turn in microseconds of processor time after all flows had timed out at once.
    pub longest_closing_us: f64,
    /// Packets of established flows that were not transmitted.
    pub drops: u64,
    /// The time stamp counter's frequency.
    pub tsc_hz: u64,
    /// Whether tables and packets are on hugepages.
    pub hugepages: bool,
}

/// Cycles of one stage per packet that entered it.
#[derive(Clone, Debug, Serialize)]
pub struct StageCycles {
    /// The stage.
    pub name: &'static str,
    /// Its cycles.
    pub cycles_per_packet: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = if self.hugepages { "hugepages" } else { "ordinary pages (slower)" };
        let Self { flows, size, rules, routes, order, .. } = self;
        writeln!(
            f,
            "{flows} flows, {order}, {size}-octet frames, {rules} rules, {routes} routes, {pages}"
        )?;
        writeln!(f, "{:.2} million packets a second", self.pps / 1e6)?;
        writeln!(f)?;
        writeln!(f, "cycles per packet  {:7.1}", self.cycles_per_packet)?;
        writeln!(f, "  empty pipeline   {:7.1}", self.empty_cycles_per_packet)?;
        writeln!(f, "  own              {:7.1}", self.own_cycles_per_packet)?;
        for stage in &self.stages {
            writeln!(f, "    {:<15}{:7.1}", stage.name, stage.cycles_per_packet)?;
        }
        writeln!(f, "new session        {:7.1}", self.new_session_cycles)?;
        writeln!(f, "bytes per session  {:7.1}", self.bytes_per_session)?;
        let mib = self.route_table_bytes as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "route table        {mib:7.1} MiB, built with the rest in {:.0} ms",
            self.tables_built_ms
        )?;
        writeln!(
            f,
            "longest turn       {:7.1} µs when all flows end at once",
            self.longest_closing_us
        )?;
        if self.drops > 0 {
            writeln!(f, "{} packets of established flows were DROPPED", self.drops)?;
        }
        Ok(())
    }
}
