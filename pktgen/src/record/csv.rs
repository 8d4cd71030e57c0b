//! A record as comma-separated values, in base units.

use super::{Record, results};
use crate::page::Table;

/// File names and contents.
pub fn csv_files(record: &Record) -> Vec<(&'static str, String)> {
    let mut trials = Table::new([
        "size",
        "flows",
        "number",
        "repetition",
        "purpose",
        "load_pps",
        "duration_s",
        "intended",
        "sent",
        "received",
        "lost",
        "tx_short",
        "loss_ratio",
        "tg_limited",
        "disturbed",
        "context_switches",
        "p50_ns",
        "p99_ns",
        "p999_ns",
        "max_ns",
    ]);
    let mut latency = Table::new(["size", "flows", "number", "latency_ns", "count"]);
    let mut seconds = Table::new([
        "size", "flows", "number", "at_s", "sent", "received", "defects", "p50_ns", "p99_ns",
        "p999_ns",
    ]);
    for case in &record.cases {
        let (size, flows) = (&case.size, case.flows.to_string());
        for trial in &case.trials {
            let number = trial.number.to_string();
            trials.push([
                size.clone(),
                flows.clone(),
                number.clone(),
                trial.repetition.to_string(),
                trial.purpose.clone(),
                trial.load_pps.map(|load| load.to_string()).unwrap_or_default(),
                trial.duration_s.to_string(),
                trial.intended.to_string(),
                trial.sent.to_string(),
                trial.received.to_string(),
                trial.lost.to_string(),
                trial.tx_short.to_string(),
                trial.loss_ratio.to_string(),
                trial.tg_limited.to_string(),
                trial.disturbed.to_string(),
                trial.context_switches.to_string(),
                trial.latency_ns.p50.to_string(),
                trial.latency_ns.p99.to_string(),
                trial.latency_ns.p999.to_string(),
                trial.latency_ns.max.to_string(),
            ]);
            for (value, count) in &trial.latency_histogram {
                let (value, count) = (value.to_string(), count.to_string());
                latency.push([size.clone(), flows.clone(), number.clone(), value, count]);
            }
            for second in &trial.seconds {
                seconds.push([
                    size.clone(),
                    flows.clone(),
                    number.clone(),
                    second.at_s.to_string(),
                    second.sent.to_string(),
                    second.received.to_string(),
                    second.defects.to_string(),
                    second.p50_ns.to_string(),
                    second.p99_ns.to_string(),
                    second.p999_ns.to_string(),
                ]);
            }
        }
    }
    vec![
        ("results.csv", results(record).csv()),
        ("trials.csv", trials.csv()),
        ("latency.csv", latency.csv()),
        ("seconds.csv", seconds.csv()),
    ]
}
