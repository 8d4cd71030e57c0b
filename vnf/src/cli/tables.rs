//! The tables that humans see, one for each kind of row.

use std::fmt::Write;

use super::render::{Table, bytes, or_dash};
use crate::engine::verdict::DropReason;
use crate::mgmt::view::{
    AclRow, Drops, HostRow, Link, MappingKind, MappingRow, MemoryRow, NeighborRow, PoolRow,
    PortRow, RouteRow, SessionRow, WorkerRow,
};

/// So many rules of each list, with a word where there are more.
pub(super) fn acl_tables(lists: &[AclRow], shown: usize) -> String {
    let mut text = String::new();
    for (index, list) in lists.iter().enumerate() {
        let space = if index > 0 { "\n" } else { "" };
        let AclRow { name, default, default_packets, .. } = list;
        writeln!(text, "{space}{name}: default {default}, {default_packets} packets")
            .expect(INFALLIBLE);
        let mut table = Table::new(">RULE >PACKETS >BYTES TEXT");
        for rule in list.rules.iter().take(shown) {
            table.row([
                rule.index.to_string(),
                rule.packets.to_string(),
                rule.bytes.to_string(),
                rule.text.clone(),
            ]);
        }
        text += &table.render();
        if list.rules.len() > shown {
            let advice = "--limit N shows more, --json all";
            writeln!(text, "only the first {shown} rules are shown; {advice}").expect(INFALLIBLE);
        }
    }
    text
}

/// Every reason with what it means, the most frequent first.
pub(super) fn drops_table(drops: &Drops) -> String {
    let mut table = Table::new("DROP-REASON >PACKETS MEANING");
    for (reason, packets) in by_frequency(drops) {
        let known = DropReason::ALL.iter().find(|known| known.name() == reason);
        let meaning = known.map_or("", |known| known.help());
        table.row([reason.clone(), packets.to_string(), meaning.to_owned()]);
    }
    table.render()
}

/// The reasons that occurred, the most frequent first; nothing when none did.
pub(super) fn dropped_table(drops: &Drops) -> Option<String> {
    let mut table = Table::new("DROP-REASON >PACKETS");
    let occurred = by_frequency(drops).into_iter().filter(|(_, packets)| **packets > 0);
    for (reason, packets) in occurred {
        table.row([reason.clone(), packets.to_string()]);
    }
    table.has_rows().then(|| table.render())
}

fn by_frequency(drops: &Drops) -> Vec<(&String, &u64)> {
    let mut rows: Vec<_> = drops.iter().collect();
    rows.sort_by_key(|(reason, packets)| (std::cmp::Reverse(**packets), *reason));
    rows
}

pub(super) fn hosts_table(rows: &[HostRow]) -> String {
    let mut table = Table::new("INTERNAL EXTERNAL >SESSIONS >MAPPINGS BLOCKS");
    for row in rows {
        table.row([
            row.internal.clone(),
            row.external.clone(),
            row.sessions.to_string(),
            row.mappings.to_string(),
            row.blocks.join(" "),
        ]);
    }
    table.vrfs(rows.iter().map(|row| &row.vrf));
    table.render()
}

pub(super) fn mappings_table(rows: &[MappingRow]) -> String {
    let mut table = Table::new("PROTOCOL INTERNAL EXTERNAL KIND >SESSIONS >EXPIRES >WORKER");
    for row in rows {
        let kind = match row.kind {
            MappingKind::Dynamic => "dynamic",
            MappingKind::Static => "static",
        };
        table.row([
            row.protocol.clone(),
            row.internal.clone(),
            row.external.clone(),
            kind.to_owned(),
            row.sessions.to_string(),
            row.expires_s.map_or_else(|| "-".to_owned(), |s| format!("{s}s")),
            row.worker.to_string(),
        ]);
    }
    table.vrfs(rows.iter().map(|row| &row.vrf));
    table.render()
}

pub(super) fn memory_table(rows: &[MemoryRow]) -> String {
    let mut table = Table::new("POOL >SIZE >USED >CAPACITY");
    for row in rows {
        table.row([
            row.pool.clone(),
            bytes(row.bytes),
            row.used.to_string(),
            row.capacity.to_string(),
        ]);
    }
    table.render()
}

pub(super) fn neighbors_table(rows: &[NeighborRow]) -> String {
    let mut table = Table::new("ADDRESS MAC PORT STATE");
    for row in rows {
        let mac = or_dash(row.mac.as_ref());
        table.row([row.address.clone(), mac, row.port.clone(), row.state.clone()]);
    }
    table.vrfs(rows.iter().map(|row| &row.vrf));
    table.render()
}

pub(super) fn pool_table(rows: &[PoolRow]) -> String {
    let mut table = Table::new("ADDRESS >WORKER >PORTS-USED >PORTS-HELD >PORTS-TOTAL");
    for row in rows {
        table.row([
            row.address.clone(),
            row.worker.to_string(),
            row.ports_used.to_string(),
            row.ports_held.to_string(),
            row.ports_total.to_string(),
        ]);
    }
    table.render()
}

pub(super) fn ports_table(rows: &[PortRow]) -> String {
    let mut table = Table::new(
        "PORT LINK MAC >MTU DRIVER ADDRESSES >RX-PACKETS >RX-BYTES >TX-PACKETS >TX-BYTES >MISSED >ERRORS",
    );
    for row in rows {
        let link = match row.link {
            Link::Down => "down",
            Link::Up => "up",
        };
        table.row([
            row.name.clone(),
            link.to_owned(),
            row.mac.clone(),
            row.mtu.to_string(),
            row.driver.clone(),
            row.addresses.join(" "),
            row.rx_packets.to_string(),
            row.rx_bytes.to_string(),
            row.tx_packets.to_string(),
            row.tx_bytes.to_string(),
            row.rx_missed.to_string(),
            (row.rx_errors + row.tx_errors).to_string(),
        ]);
    }
    table.vrfs(rows.iter().map(|row| &row.vrf));
    table.render()
}

pub(super) fn routes_table(rows: &[RouteRow]) -> String {
    let mut table = Table::new("PREFIX NEXT-HOPS PORT ORIGIN");
    for row in rows {
        let next_hops = match (&*row.kind, &row.next_hop_vrf) {
            ("connected" | "local", _) => "-".to_owned(),
            ("vrf", Some(other)) => format!("looked up in VRF {other}"),
            ("discard" | "unreachable", _) => row.kind.clone(),
            _ => row.next_hops.join(" "),
        };
        table.row([row.prefix.clone(), next_hops, or_dash(row.port.as_ref()), row.origin.clone()]);
    }
    table.vrfs(rows.iter().map(|row| &row.vrf));
    table.render()
}

pub(super) fn sessions_table(rows: &[SessionRow]) -> String {
    let mut table = Table::new(
        "PROTOCOL INTERNAL EXTERNAL REMOTE STATE >AGE >IDLE >EXPIRES >OUT >BYTES-OUT >IN >BYTES-IN >WORKER",
    );
    for row in rows {
        table.row([
            row.protocol.clone(),
            row.internal.clone(),
            or_dash(row.external.as_ref()),
            row.remote.clone(),
            row.state.clone(),
            format!("{}s", row.age_s),
            format!("{}s", row.idle_s),
            format!("{}s", row.expires_s),
            row.packets_out.to_string(),
            row.bytes_out.to_string(),
            row.packets_in.to_string(),
            row.bytes_in.to_string(),
            row.worker.to_string(),
        ]);
    }
    table.vrfs(rows.iter().map(|row| &row.vrf));
    table.render()
}

pub(super) fn workers_table(rows: &[WorkerRow]) -> String {
    let mut table = Table::new(
        ">WORKER >CORE PORTS >BUSY >CYCLES >BURST >RX-PACKETS >TX-PACKETS >DROPPED >PUNTED >HANDED-OVER >P99-US",
    );
    for row in rows {
        table.row([
            row.worker.to_string(),
            row.core.to_string(),
            row.ports.join(" "),
            format!("{:.0}%", row.busy_ratio * 100.0),
            format!("{:.0}", row.cycles_per_packet),
            format!("{:.1}", row.burst_mean),
            row.rx_packets.to_string(),
            row.tx_packets.to_string(),
            row.dropped.to_string(),
            row.punted.to_string(),
            row.handed_over.to_string(),
            format!("{:.1}", row.latency_ns.p99 as f64 / 1000.0),
        ]);
    }
    table.render()
}

const INFALLIBLE: &str = "writing to a string cannot fail";
