//! Recorded traffic, sent again through a path that may translate it: whoever began a conversation lies inside.
//!
//! Addresses are rewritten to our hosts, and the identification of IPv4 tells packets apart; all else stays as recorded.

mod capture;
mod player;

use std::collections::BTreeMap;

pub use capture::{Capture, CaptureError, Conversation, Recorded};
pub use player::{Pace, Player};
use serde::Serialize;

use crate::finding::{Finding, row};
use crate::latency::Quantiles;

/// What became of the packets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// Conversations in the file.
    pub conversations: u64,
    /// Packets of the file that are sent.
    pub packets: u64,
    /// Those that are not, by why.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Times that the file was sent.
    pub loops: u32,
    /// Seconds that it took.
    pub duration_s: f64,
    /// Packets sent: outward, inward.
    pub sent: [u64; 2],
    /// Different packets that arrived.
    pub received: [u64; 2],
    /// Packets inward that were not sent as nobody knew where to: nothing of their conversation had come out.
    pub unlearned: u64,
    /// Packets that the port did not take.
    pub tx_short: u64,
    /// Packets that arrived again.
    pub duplicated: u64,
    /// Packets with a wrong checksum, of IP or above.
    pub bad_checksum: u64,
    /// Packets whose payload is not the recorded one.
    pub bad_payload: u64,
    /// Packets whose TTL did not shrink by the number of hops.
    pub bad_ttl: u64,
    /// Packets from or to wrong endpoints.
    pub bad_endpoints: u64,
    /// Conversations whose external endpoint changed.
    pub remapped: u64,
    /// Frames that are not ours.
    pub foreign: u64,
    /// From sending to arrival.
    pub latency_ns: Quantiles,
    /// How long after its time in the file each packet left.
    pub send_error_ns: Quantiles,
}

impl Replayed {
    /// Packets that did not arrive.
    pub fn lost(&self) -> u64 {
        self.sent.iter().sum::<u64>() - self.received.iter().sum::<u64>()
    }

    fn wrong(&self) -> [(&'static str, u64); 6] {
        [
            ("bad_checksum", self.bad_checksum),
            ("bad_payload", self.bad_payload),
            ("bad_ttl", self.bad_ttl),
            ("bad_endpoints", self.bad_endpoints),
            ("remapped", self.remapped),
            ("duplicated", self.duplicated),
        ]
    }
}

impl Finding for Replayed {
    const NAME: &'static str = "replay";

    fn table(&self) -> Vec<Vec<String>> {
        let us = |q: &Quantiles| {
            let [p50, p99, max] = [q.p50, q.p99, q.max].map(|ns| ns as f64 / 1e3);
            format!("p50 {p50:.1}  p99 {p99:.1}  max {max:.1} µs")
        };
        let skipped: Vec<String> =
            self.skipped.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let Self { packets, conversations, loops, sent, received, .. } = self;
        let mut rows = vec![
            row([&"file", &format!("{packets} packets of {conversations} conversations")]),
            row([&"skipped", &if skipped.is_empty() { "none".into() } else { skipped.join(", ") }]),
            row([&"sent", &format!("{loops} times in {:.2} s", self.duration_s)]),
            row([&"outward", &format!("{} sent, {} received", sent[0], received[0])]),
            row([&"inward", &format!("{} sent, {} received", sent[1], received[1])]),
            row([&"not sent", &format!("{} unlearned, {} refused", self.unlearned, self.tx_short)]),
            row([&"lost", &self.lost()]),
            row([&"latency", &us(&self.latency_ns)]),
            row([&"send error", &us(&self.send_error_ns)]),
        ];
        let wrong = self.wrong().into_iter().filter(|(_, count)| *count > 0);
        rows.extend(wrong.map(|(name, count)| row([&name, &count])));
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.packets == 0 {
            faults.push("the file has no packet that can be sent".to_owned());
        }
        if self.lost() > 0 {
            faults.push(format!("{} packets lost", self.lost()));
        }
        if self.unlearned > 0 {
            faults.push(format!("{} packets inward had nowhere to go", self.unlearned));
        }
        let wrong = self.wrong().into_iter().filter(|(_, count)| *count > 0);
        faults.extend(wrong.map(|(name, count)| format!("{name}: {count}")));
        faults
    }

    fn is_tg_limited(&self) -> bool {
        let sent = self.sent.iter().sum::<u64>();
        self.tx_short as f64 > (sent + self.tx_short) as f64 * 0.001
    }
}
