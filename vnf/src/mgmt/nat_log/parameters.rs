//! What deterministic mappings are computed from (RFC 7422 section 3): with it, and the log of overflow blocks, they can be told
//! long after.

use serde_json::{Value, json};

use crate::config::Settings;
use crate::nat::Deterministic;

/// The parameters as a JSON object; `None` where allocation is not deterministic.
pub(crate) fn parameters(settings: &Settings) -> Option<String> {
    let nat44 = settings.nat44.as_ref()?;
    let functions = Deterministic::new(nat44)?;
    let effective = &settings.to_json()["nat44"];
    let overflow = functions.overflow();
    let ports = overflow.as_ref().map(|(ports, _)| format!("{}-{}", ports.start(), ports.end()));
    // Not under the names that lines about hosts have: those are searched for.
    let mut record = json!({
        "algorithm": "sequential",
        "hosts_per_address": functions.hosts_per_address(),
        "internal": effective["deterministic"]["internal"],
        "max_blocks_per_host": nat44.max_blocks_per_host,
        "overflow_block_size": overflow.map(|(_, size)| size),
        "overflow_factor": effective["deterministic"]["overflow_factor"],
        "overflow_ports": ports,
        "pool": effective["pool"],
        "port_range": effective["port_range"],
        "ports_per_host": functions.share_length(),
        "reserved_ports": effective["deterministic"]["reserved_ports"],
    });
    record["static_addresses"] =
        nat44.statics.iter().map(|fixed| json!(fixed.external)).collect::<Value>();
    Some(record.to_string())
}
