//! The lines of the log: one JSON object each, written by hand because there may be half a million a second.

use std::time::SystemTime;

use jiff::Timestamp;

use crate::config::VrfNames;
use crate::engine::ids::{Tick, VrfId};
use crate::engine::record::{Record, Recorded};
use crate::wire::protocol;

/// Where the time stands in every line: `{"time":"2026-01-31T12:00:00.000Z",`.
pub(super) const TIME: std::ops::Range<usize> = 9..33;
/// Where the event stands.
pub(super) const EVENT: usize = 44;
/// What comes before the external endpoint.
pub(super) const EXTERNAL: &[u8] = b"\"external\":\"";

/// How the event and what follows it begin in a line about parameters.
pub(super) const PARAMETERS: &[u8] = b"parameters\",";

/// Writes lines; knows the time of day.
pub(super) struct Lines {
    /// The time of day when worker time was zero, in milliseconds since 1970.
    epoch_ms: i64,
    /// The second written last, and how it is written, up to the point.
    second: i64,
    prefix: [u8; 20],
    vrfs: VrfNames,
}

impl Lines {
    pub(super) fn new(now: Tick, vrfs: VrfNames) -> Self {
        let mut lines = Self { epoch_ms: 0, second: i64::MIN, prefix: [0; 20], vrfs };
        lines.set_clock(now);
        lines
    }

    /// Follows the system's clock where it was set; small differences are kept, so that lines stay in order.
    pub(super) fn set_clock(&mut self, now: Tick) {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall = wall.map_or(0, |since| since.as_millis() as i64);
        let epoch_ms = wall - now.0 as i64;
        if self.epoch_ms.abs_diff(epoch_ms) > TOLERATED_MS {
            self.epoch_ms = epoch_ms;
        }
    }

    /// A line about a session or a port block.
    pub(super) fn record(&mut self, record: &Record, to: &mut Vec<u8>) {
        self.begin(record.at, to);
        to.extend_from_slice(match record.event {
            Recorded::Closed => b"closed\",\"protocol\":\"",
            Recorded::Given => return self.block(b"given", record, to),
            Recorded::Opened => b"opened\",\"protocol\":\"",
            Recorded::Returned => return self.block(b"returned", record, to),
        });
        match record.protocol {
            protocol::ICMP => to.extend_from_slice(b"icmp"),
            protocol::TCP => to.extend_from_slice(b"tcp"),
            protocol::UDP => to.extend_from_slice(b"udp"),
            other => number(other.into(), to),
        }
        to.extend_from_slice(b"\",\"internal\":\"");
        endpoint((record.internal.0.address, record.internal.1), to);
        to.extend_from_slice(b"\",\"external\":\"");
        endpoint(record.external, to);
        to.push(b'"');
        if let Some(sharing) = record.sharing {
            to.extend_from_slice(b",\"sessions\":");
            number(sharing, to);
        }
        self.vrf(record, to);
        to.extend_from_slice(b"}\n");
    }

    fn block(&self, event: &[u8], record: &Record, to: &mut Vec<u8>) {
        to.extend_from_slice(event);
        to.extend_from_slice(b"\",\"internal\":\"");
        address(record.internal.0.address, to);
        to.extend_from_slice(b"\",\"external\":\"");
        address(record.external.0, to);
        to.extend_from_slice(b"\",\"ports\":\"");
        number(record.external.1.into(), to);
        to.push(b'-');
        number(record.last_port.into(), to);
        to.push(b'"');
        self.vrf(record, to);
        to.extend_from_slice(b"}\n");
    }

    /// The internal side's VRF, unless it is the default one.
    fn vrf(&self, record: &Record, to: &mut Vec<u8>) {
        let vrf = record.internal.0.vrf;
        if vrf != VrfId::DEFAULT {
            to.extend_from_slice(b",\"vrf\":\"");
            to.extend_from_slice(self.vrfs.name(vrf.index()).as_bytes());
            to.push(b'"');
        }
    }

    /// A line about the log itself.
    pub(super) fn mark(&mut self, mark: Mark, at: Tick, to: &mut Vec<u8>) {
        self.begin(at, to);
        match mark {
            Mark::Lost(records) => {
                to.extend_from_slice(format!("lost\",\"records\":{records}}}\n").as_bytes());
            }
            Mark::Started => to.extend_from_slice(b"started\"}\n"),
            Mark::Stopped => to.extend_from_slice(b"stopped\"}\n"),
        }
    }

    /// A line about what deterministic mappings are computed from, a JSON object.
    pub(super) fn parameters(&mut self, parameters: &str, at: Tick, to: &mut Vec<u8>) {
        self.begin(at, to);
        to.extend_from_slice(PARAMETERS);
        to.extend_from_slice(parameters.strip_prefix('{').unwrap_or("}").as_bytes());
        to.push(b'\n');
    }

    fn begin(&mut self, at: Tick, to: &mut Vec<u8>) {
        let ms = self.epoch_ms + at.0 as i64;
        let (second, part) = (ms.div_euclid(1000), ms.rem_euclid(1000) as u32);
        if second != self.second {
            self.second = second;
            let text = show_ms(second * 1000);
            self.prefix.copy_from_slice(&text.as_bytes()[..20]);
        }
        to.extend_from_slice(b"{\"time\":\"");
        to.extend_from_slice(&self.prefix);
        for digit in [part / 100, part / 10 % 10, part % 10] {
            to.push(b'0' + digit as u8);
        }
        to.extend_from_slice(b"Z\",\"event\":\"");
    }
}

/// What happened to the log itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mark {
    /// So many records could not be written.
    Lost(u64),
    /// From here on everything is on record.
    Started,
    /// From here on nothing is.
    Stopped,
}

/// A time as the log writes it: RFC 3339, UTC, milliseconds.
pub(crate) fn show_time(time: SystemTime) -> String {
    let ms = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    show_ms(ms as i64)
}

fn show_ms(ms: i64) -> String {
    format!("{:.3}", Timestamp::from_millisecond(ms).unwrap_or_default())
}

/// `198.51.100.10:1024`.
fn endpoint((host, port): (u32, u16), to: &mut Vec<u8>) {
    address(host, to);
    to.push(b':');
    number(port.into(), to);
}

fn address(address: u32, to: &mut Vec<u8>) {
    let [a, b, c, d] = address.to_be_bytes();
    number(a.into(), to);
    for octet in [b, c, d] {
        to.push(b'.');
        number(octet.into(), to);
    }
}

fn number(number: u32, to: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let (mut rest, mut at) = (number, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[at..]);
}

/// How far worker time and the system's clock may drift apart before lines follow.
const TOLERATED_MS: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::Internal;

    fn record() -> Record {
        Record {
            at: Tick(1_234),
            internal: (Internal { vrf: VrfId::DEFAULT, address: 0x0a00_0002 }, 5000),
            external: (0xc633_640a, 1024),
            sharing: Some(1),
            last_port: 0,
            protocol: 17,
            event: Recorded::Opened,
        }
    }

    fn written(record: &Record) -> serde_json::Value {
        let mut lines =
            Lines { epoch_ms: 1_790_000_000_000, ..Lines::new(Tick(0), VrfNames::default()) };
        let mut text = Vec::new();
        lines.record(record, &mut text);
        assert!(text[EVENT..].starts_with(b"opened") || text[EVENT..].starts_with(b"closed"));
        assert_eq!(&text[TIME], b"2026-09-21T14:13:21.234Z");
        assert_eq!(text.last(), Some(&b'\n'));
        serde_json::from_slice(&text).expect("JSON")
    }

    #[test]
    fn a_line_is_json_and_names_no_destination() {
        let expected = serde_json::json!({
            "time": "2026-09-21T14:13:21.234Z", "event": "opened", "protocol": "udp",
            "internal": "10.0.0.2:5000", "external": "198.51.100.10:1024", "sessions": 1,
        });
        assert_eq!(written(&record()), expected);
    }

    #[test]
    fn the_vrf_of_an_internal_endpoint_is_named_unless_it_is_the_default_one() {
        let mut lines = Lines::new(Tick(0), VrfNames::new(["red".to_owned()]));
        for (event, vrf, name) in [(Recorded::Opened, 1, "red"), (Recorded::Given, 1, "red")] {
            let internal = (Internal { vrf: VrfId(vrf), address: 0x0a00_0002 }, 5000);
            let mut text = Vec::new();
            lines.record(&Record { internal, event, ..record() }, &mut text);
            let line: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!(line["vrf"], name);
        }
        assert!(written(&record()).get("vrf").is_none());
    }

    #[test]
    fn a_fixed_mapping_has_no_sessions_to_count() {
        let record = Record { sharing: None, protocol: 47, event: Recorded::Closed, ..record() };
        let line = written(&record);
        assert_eq!((&line["event"], &line["protocol"]), (&"closed".into(), &"47".into()));
        assert!(line.get("sessions").is_none());
    }

    #[test]
    fn a_block_is_a_host_an_address_and_ports() {
        for (event, name) in [(Recorded::Given, "given"), (Recorded::Returned, "returned")] {
            let record = Record { event, last_port: 1535, sharing: None, ..record() };
            let mut text = Vec::new();
            Lines::new(Tick(0), VrfNames::default()).record(&record, &mut text);
            let line: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!((&line["event"], &line["internal"]), (&name.into(), &"10.0.0.2".into()));
            assert_eq!(line["external"], "198.51.100.10");
            assert_eq!(line["ports"], "1024-1535");
        }
    }

    #[test]
    fn marks_are_json() {
        for (mark, name) in
            [(Mark::Lost(5), "lost"), (Mark::Started, "started"), (Mark::Stopped, "stopped")]
        {
            let mut text = Vec::new();
            Lines::new(Tick(0), VrfNames::default()).mark(mark, Tick(0), &mut text);
            let line: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!(line["event"], name);
        }
    }
}
