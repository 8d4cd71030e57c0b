//! The exposition text: complete, well formed, escaped.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::mgmt::testing::metrics as snapshot;

#[test]
fn every_family_of_the_contract_has_its_sample() {
    let text = snapshot().render();
    for line in [
        "vnf_port_rx_packets_total{port=\"lan\"} 10",
        "vnf_port_rx_bytes_total{port=\"lan\"} 1000",
        "vnf_port_tx_packets_total{port=\"lan\"} 9",
        "vnf_port_tx_bytes_total{port=\"lan\"} 900",
        "vnf_port_rx_missed_total{port=\"lan\"} 1",
        "vnf_port_up{port=\"lan\"} 1",
        "vnf_drops_total{reason=\"acl-denied\"} 7",
        "vnf_drops_total{reason=\"no-route\"} 0",
        "vnf_sessions 3",
        "vnf_session_limit 1000",
        "vnf_sessions_opened_total 12",
        "vnf_sessions_closed_total{cause=\"timeout\"} 9",
        "vnf_pool_ports_used{address=\"198.51.100.10\"} 8",
        "vnf_pool_ports_total{address=\"198.51.100.10\"} 129024",
        "vnf_worker_busy_ratio{worker=\"0\"} 0.25",
        "vnf_worker_cycles_per_packet{worker=\"0\",stage=\"parse\"} 40.5",
        "vnf_worker_poll_gap_seconds{worker=\"0\"} 0.00025",
        "vnf_handover_packets_total{from=\"0\",to=\"1\"} 77",
        "vnf_handover_refused_total{from=\"0\",to=\"1\"} 3",
        "vnf_memory_used_bytes{pool=\"sessions-0\"} 500",
        "vnf_memory_capacity_bytes{pool=\"sessions-0\"} 1000",
        "vnf_linux_packets_total{port=\"lan\",direction=\"to\"} 4",
        "vnf_linux_packets_total{port=\"lan\",direction=\"from\"} 3",
        "vnf_linux_lost_total{port=\"lan\"} 1",
        "vnf_neighbors{state=\"stale\"} 2",
        "vnf_neighbors_refused_total 6",
        "vnf_address_conflicts_total 1",
        "vnf_acl_rule_packets_total{acl=\"from-lan\",rule=\"0\"} 5",
        "vnf_acl_rule_packets_total{acl=\"from-lan\",rule=\"default\"} 2",
        "vnf_acl_rule_bytes_total{acl=\"from-lan\",rule=\"0\"} 500",
        "vnf_config_reloads_total{result=\"applied\"} 2",
        "vnf_config_reloads_total{result=\"refused\"} 1",
        "vnf_log_records_total 40",
        "vnf_log_records_lost_total 4",
        "vnf_nat_journal_forced_total 5",
        "vnf_nat_journal_write_errors_total 6",
        "vnf_log_write_errors_total 1",
        "vnf_build_info{version=\"0.1.0\",dpdk_version=\"22.11.11\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn every_sample_follows_its_help_and_type_and_appears_once() {
    let text = snapshot().render();
    let mut families = BTreeMap::new();
    let mut samples = BTreeSet::new();
    let mut described = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty());
            described = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, described, "the help comes before the type");
            assert!(families.insert(name, kind).is_none(), "{name} is described twice");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            assert_eq!(name, described, "samples follow their family");
            let is_counter = families[name] == COUNTER;
            assert_eq!(name.ends_with("_total"), is_counter || name == POOL_TOTAL, "{name}");
            assert!(name.starts_with("vnf_"));
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(series), "{series} appears twice");
        }
    }
    assert!(text.ends_with('\n'));
}

#[test]
fn labels_are_escaped() {
    let mut metrics = snapshot();
    metrics.ports[0].name = "a\"b\\c\nd".to_owned();
    assert!(metrics.render().contains(r#"vnf_port_up{port="a\"b\\c\nd"} 1"#));
}

/// The contract's one name that ends like a counter and is a gauge.
const POOL_TOTAL: &str = "vnf_pool_ports_total";
