//! A run for people: a line per second, and the final table.

use std::fmt::Write;

use super::Report;
use crate::latency::Quantiles;
use crate::rate::Si;

/// The figures of a report, aligned; counters only where they are not 0.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut row =
        |name: &str, value: String| writeln!(text, "{name:<18} {value}").unwrap_or_default();
    let settings = &report.settings;
    let (flows, hosts, size) = (report.flows, settings.hosts, &settings.size);
    let kinds = settings.streams.join(", ");
    row("path", format!("{}, {}", settings.sut, settings.ports.join(" <-> ")));
    row(
        "traffic",
        format!("{flows} flows of {hosts} hosts ({kinds}), {size} octets, {}", settings.load),
    );
    if let Some(learning) = report.learning {
        let (sent, misses, missing) = (learning.sent, learning.first_pass_misses, learning.missing);
        row("learning", format!("{sent} sent, {misses} missed at first, {missing} never came"));
    }
    row("duration", format!("{} s", report.duration_s));
    for way in &report.directions {
        let (intended, received, lost, short) =
            (way.intended, way.received, way.lost, way.tx_short);
        let counts =
            format!("{intended} intended, {received} received, {lost} lost, {short} not sent");
        row(way.direction, counts);
    }
    let rate = |pps, bps| format!("{}pps, {}bit/s L2", Si(pps), Si(bps));
    row("sent", rate(report.tx_pps, report.tx_bps));
    row("received", rate(report.rx_pps, report.rx_bps));
    row("loss", format!("{} ({:.6} %)", report.lost, report.loss_ratio * 100.0));
    row("latency", quantiles(&report.latency_ns));
    if let Some(intended) = &report.intended_latency_ns {
        row("  from due time", quantiles(intended));
        row("send error", quantiles(&report.send_error_ns));
    }
    let found = report.defects.named().into_iter().filter(|(_, count)| *count > 0);
    for (name, count) in found {
        row(name, count.to_string());
    }
    let verdict = serde_json::to_value(report.verdict).unwrap_or_default();
    row("verdict", verdict.as_str().unwrap_or_default().to_owned());
    for reason in &report.reasons {
        row("", reason.clone());
    }
    text
}

fn quantiles(found: &Quantiles) -> String {
    let us = |ns: u64| format!("{:.2}", ns as f64 / 1e3);
    let Quantiles { min, p50, p90, p99, p999, max } = found;
    let [min, p50, p90, p99, p999, max] = [min, p50, p90, p99, p999, max].map(|ns| us(*ns));
    format!("min {min}  p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max} µs")
}
