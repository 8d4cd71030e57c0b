//! Prometheus text (exposition format 0.0.4) from what the management core counted.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::view::{
    AclRow, AclRuleRow, Drops, Link, MemoryRow, PoolRow, PortRow, Version, WorkerRow,
};

/// Everything that `/metrics` shows. Counters only grow while the process lives: `clear counters` leaves them alone.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// What is running.
    pub version: Version,
    /// The ports with their counters.
    pub ports: Vec<PortRow>,
    /// Dropped packets by reason.
    pub drops: Drops,
    /// The workers with their counters.
    pub workers: Vec<WorkerRow>,
    /// The longest gap between two polls of each worker, in the order of `workers`, in seconds.
    pub poll_gaps_s: Vec<f64>,
    /// Live sessions.
    pub sessions: u64,
    /// The most sessions there can be.
    pub session_limit: u64,
    /// Sessions opened since the start.
    pub sessions_opened: u64,
    /// Sessions closed since the start, by cause.
    pub sessions_closed: BTreeMap<String, u64>,
    /// The external ports in use.
    pub pool: Vec<PoolRow>,
    /// Packets from worker to worker.
    pub handovers: Vec<Handover>,
    /// Tables and packet buffer pools.
    pub memory: Vec<MemoryRow>,
    /// Neighbours by state.
    pub neighbors: BTreeMap<String, u64>,
    /// Neighbours that were not taken in, or not waited for to the end, because there were too many.
    pub neighbors_refused: u64,
    /// How often somebody else claimed one of our addresses.
    pub address_conflicts: u64,
    /// The exception path, by interface.
    pub linux: Vec<LinuxRow>,
    /// The access control lists with their counters.
    pub acl: Vec<AclRow>,
    /// Records written to the log of translations.
    pub log_records: u64,
    /// Records that never reached it.
    pub log_records_lost: u64,
    /// Attempts to write to it that failed.
    pub log_errors: u64,
    /// Units of external ports used before the journal had them.
    pub leases_forced: u64,
    /// Attempts to write to the journal that failed.
    pub journal_errors: u64,
    /// Reloads that were applied.
    pub reloads_applied: u64,
    /// Reloads that were refused.
    pub reloads_refused: u64,
}

/// What went through the tap of one interface.
#[derive(Clone, Debug)]
pub struct LinuxRow {
    /// The interface.
    pub port: String,
    /// Packets that the kernel received.
    pub to_kernel: u64,
    /// Packets that the kernel sent.
    pub from_kernel: u64,
    /// Packets that the kernel did not take, or that found no buffer.
    pub lost: u64,
}

/// Packets that one worker had for another.
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    /// Who had them.
    pub from: usize,
    /// Whose they were.
    pub to: usize,
    /// Packets handed over.
    pub sent: u64,
    /// Packets dropped, as the way was full.
    pub refused: u64,
}

impl MetricsSnapshot {
    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = Text(String::new());
        self.render_build(&mut text);
        self.render_ports(&mut text);
        self.render_drops(&mut text);
        self.render_sessions(&mut text);
        self.render_pool(&mut text);
        self.render_workers(&mut text);
        self.render_handovers(&mut text);
        self.render_memory(&mut text);
        self.render_neighbors(&mut text);
        self.render_linux(&mut text);
        self.render_acl(&mut text);
        self.render_log(&mut text);
        text.0
    }

    fn render_build(&self, text: &mut Text) {
        text.family("vnf_build_info", GAUGE, "The versions that run; always 1.");
        let Version { version, dpdk_version } = &self.version;
        text.sample("vnf_build_info", &[("version", version), ("dpdk_version", dpdk_version)], 1);
        text.family("vnf_config_reloads_total", COUNTER, "Reloads of the configuration.");
        for (result, count) in
            [("applied", self.reloads_applied), ("refused", self.reloads_refused)]
        {
            text.sample("vnf_config_reloads_total", &[("result", &result)], count);
        }
    }

    fn render_ports(&self, text: &mut Text) {
        type Count = fn(&PortRow) -> u64;
        let counters: [(&str, &str, Count); 7] = [
            ("vnf_port_rx_packets_total", "Packets received.", |p| p.rx_packets),
            ("vnf_port_rx_bytes_total", "Bytes received.", |p| p.rx_bytes),
            ("vnf_port_tx_packets_total", "Packets transmitted.", |p| p.tx_packets),
            ("vnf_port_tx_bytes_total", "Bytes transmitted.", |p| p.tx_bytes),
            ("vnf_port_rx_missed_total", "Packets the device had no room for.", |p| p.rx_missed),
            ("vnf_port_rx_errors_total", "Packets received broken.", |p| p.rx_errors),
            ("vnf_port_tx_errors_total", "Packets not transmitted.", |p| p.tx_errors),
        ];
        for (name, help, count) in counters {
            text.family(name, COUNTER, help);
            for port in &self.ports {
                text.sample(name, &[("port", &port.name)], count(port));
            }
        }
        text.family("vnf_port_up", GAUGE, "1 where the port has a carrier.");
        for port in &self.ports {
            text.sample("vnf_port_up", &[("port", &port.name)], u8::from(port.link == Link::Up));
        }
    }

    fn render_drops(&self, text: &mut Text) {
        text.family("vnf_drops_total", COUNTER, "Packets dropped, by reason.");
        for (reason, count) in &self.drops {
            text.sample("vnf_drops_total", &[("reason", reason)], count);
        }
    }

    fn render_sessions(&self, text: &mut Text) {
        text.single("vnf_sessions", GAUGE, "Live sessions.", self.sessions);
        text.single(
            "vnf_session_limit",
            GAUGE,
            "The most sessions there can be.",
            self.session_limit,
        );
        let help = "Sessions opened.";
        text.single("vnf_sessions_opened_total", COUNTER, help, self.sessions_opened);
        text.family("vnf_sessions_closed_total", COUNTER, "Sessions closed, by cause.");
        for (cause, count) in &self.sessions_closed {
            text.sample("vnf_sessions_closed_total", &[("cause", cause)], count);
        }
    }

    /// One sample for each address, whichever workers share it.
    fn render_pool(&self, text: &mut Text) {
        let mut addresses = BTreeMap::<&str, (u64, u64)>::new();
        for row in &self.pool {
            let (used, total) = addresses.entry(&row.address).or_default();
            *used += row.ports_used;
            *total += row.ports_total;
        }
        text.family("vnf_pool_ports_used", GAUGE, "External ports in use, all protocols.");
        for (address, (used, _)) in &addresses {
            text.sample("vnf_pool_ports_used", &[("address", address)], used);
        }
        text.family("vnf_pool_ports_total", GAUGE, "External ports there are, all protocols.");
        for (address, (_, total)) in &addresses {
            text.sample("vnf_pool_ports_total", &[("address", address)], total);
        }
    }

    fn render_workers(&self, text: &mut Text) {
        let name = "vnf_worker_busy_ratio";
        text.family(name, GAUGE, "The share of a worker's time that went into packets.");
        for row in &self.workers {
            text.sample(name, &[("worker", &row.worker)], row.busy_ratio);
        }
        let name = "vnf_worker_cycles_per_packet";
        text.family(name, GAUGE, "What a stage costs.");
        for row in &self.workers {
            for stage in &row.stages {
                let labels: [(&str, &dyn Display); 2] =
                    [("worker", &row.worker), ("stage", &stage.name)];
                text.sample(name, &labels, stage.cycles_per_packet);
            }
        }
        let name = "vnf_worker_poll_gap_seconds";
        text.family(name, GAUGE, "The longest time between two polls of a worker.");
        for (row, gap) in self.workers.iter().zip(&self.poll_gaps_s) {
            text.sample(name, &[("worker", &row.worker)], gap);
        }
    }

    fn render_handovers(&self, text: &mut Text) {
        type Count = fn(&Handover) -> u64;
        let families: [(&str, &str, Count); 2] = [
            ("vnf_handover_packets_total", "Packets handed to another worker.", |h| h.sent),
            (
                "vnf_handover_refused_total",
                "Packets for another worker that found the way full.",
                |h| h.refused,
            ),
        ];
        for (name, help, count) in families {
            text.family(name, COUNTER, help);
            for pair in &self.handovers {
                let labels: [(&str, &dyn Display); 2] = [("from", &pair.from), ("to", &pair.to)];
                text.sample(name, &labels, count(pair));
            }
        }
    }

    fn render_memory(&self, text: &mut Text) {
        text.family("vnf_memory_used_bytes", GAUGE, "Bytes of the entries in use.");
        for row in &self.memory {
            let used =
                u128::from(row.bytes) * u128::from(row.used) / u128::from(row.capacity.max(1));
            text.sample("vnf_memory_used_bytes", &[("pool", &row.pool)], used);
        }
        text.family("vnf_memory_capacity_bytes", GAUGE, "Bytes reserved.");
        for row in &self.memory {
            text.sample("vnf_memory_capacity_bytes", &[("pool", &row.pool)], row.bytes);
        }
    }

    fn render_neighbors(&self, text: &mut Text) {
        text.family("vnf_neighbors", GAUGE, "Neighbours by the state of their resolution.");
        for (state, count) in &self.neighbors {
            text.sample("vnf_neighbors", &[("state", state)], count);
        }
        let help = "Neighbours not taken in, or given up early, because there were too many.";
        text.single("vnf_neighbors_refused_total", COUNTER, help, self.neighbors_refused);
        let help = "Claims of others to addresses of the VNF.";
        text.single("vnf_address_conflicts_total", COUNTER, help, self.address_conflicts);
    }

    fn render_linux(&self, text: &mut Text) {
        let name = "vnf_linux_packets_total";
        text.family(name, COUNTER, "Packets of services on the box, by the port of their tap.");
        for row in &self.linux {
            for (direction, count) in [("to", row.to_kernel), ("from", row.from_kernel)] {
                let labels: [(&str, &dyn Display); 2] =
                    [("port", &row.port), ("direction", &direction)];
                text.sample(name, &labels, count);
            }
        }
        let name = "vnf_linux_lost_total";
        text.family(
            name,
            COUNTER,
            "Packets that the kernel did not take, or that found no buffer.",
        );
        for row in &self.linux {
            text.sample(name, &[("port", &row.port)], row.lost);
        }
    }

    /// Of a long list only the rules that decided something: nobody collects ten thousand zeros.
    fn render_acl(&self, text: &mut Text) {
        type Count = fn(&AclRuleRow) -> u64;
        let counts: [(&str, &str, Count); 2] = [
            (
                "vnf_acl_rule_packets_total",
                "Packets that a rule decided; rule `default` is the list's default.",
                |rule| rule.packets,
            ),
            ("vnf_acl_rule_bytes_total", "Bytes of the packets that a rule decided.", |rule| {
                rule.bytes
            }),
        ];
        for (name, help, count) in counts {
            text.family(name, COUNTER, help);
            for list in &self.acl {
                let long = list.rules.len() > LONG_LIST;
                for rule in list.rules.iter().filter(|rule| !long || rule.packets > 0) {
                    text.sample(name, &[("acl", &list.name), ("rule", &rule.index)], count(rule));
                }
                if name == "vnf_acl_rule_packets_total" {
                    let labels: [(&str, &dyn Display); 2] =
                        [("acl", &list.name), ("rule", &"default")];
                    text.sample(name, &labels, list.default_packets);
                }
            }
        }
    }

    fn render_log(&self, text: &mut Text) {
        for (name, help, count) in [
            ("vnf_log_records_total", "Records written to nat44.log_file.", self.log_records),
            (
                "vnf_log_records_lost_total",
                "Records that found the way to nat44.log_file full.",
                self.log_records_lost,
            ),
            (
                "vnf_log_write_errors_total",
                "Attempts to write to nat44.log_file that failed.",
                self.log_errors,
            ),
            (
                "vnf_nat_journal_forced_total",
                "Units of external ports used before nat44.journal had them.",
                self.leases_forced,
            ),
            (
                "vnf_nat_journal_write_errors_total",
                "Attempts to write to nat44.journal that failed.",
                self.journal_errors,
            ),
        ] {
            text.single(name, COUNTER, help, count);
        }
    }
}

/// Exposition text under construction.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect(INFALLIBLE);
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = escaped(&text.to_string());
            write!(self.0, "{open}{label}=\"{text}\"").expect(INFALLIBLE);
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{close} {value}").expect(INFALLIBLE);
    }
}

/// A label's value as the exposition format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Rules of a list that are all shown.
const LONG_LIST: usize = 1000;
const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";
const INFALLIBLE: &str = "writing to a string cannot fail";

#[cfg(test)]
mod tests;
