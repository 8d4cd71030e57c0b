//! What arrived, and what was wrong with it: one counter per invariant.

use serde::Serialize;

/// Counters of one phase, both directions together where not said otherwise.
///
/// `frames = control + foreign + other_run + late + leak + damaged + unique + dup`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Everything that arrived at the two ports.
    pub frames: u64,
    /// ARP, and echo requests to our own addresses.
    pub control: u64,
    /// Frames of ours that arrived for the first time, by direction: outward, inward.
    pub unique: [u64; 2],
    /// Frames on the addresses of a flow whose trailer is destroyed.
    pub damaged: u64,
    /// Frames that arrived after a later one of their flow, by direction.
    pub reordered: [u64; 2],
    /// Frames that arrived again, by direction.
    pub duplicated: [u64; 2],
    /// How many numbers the most delayed frame came late (RFC 4737's extent).
    pub reorder_extent: u32,
    /// Octets of the frames that arrived for the first time, untagged and with FCS, by direction.
    pub octets: [u64; 2],
    /// The invariants.
    #[serde(flatten)]
    pub defects: Defects,
}

/// The invariants of a packet on its way, and how often each was broken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Defects {
    /// IPv4 header checksum wrong.
    pub bad_ip_csum: u64,
    /// TCP, UDP or ICMP checksum wrong, or absent though it was sent.
    pub bad_l4_csum: u64,
    /// A length field that is not the one sent.
    pub bad_len: u64,
    /// Payload changed under a checksum that is right.
    pub bad_payload: u64,
    /// TTL or hop limit not lower by the number of hops.
    pub bad_ttl: u64,
    /// DSCP, ECN, identification, fragmentation bits, options, flow label, TCP's numbers, flags and window, or ICMP's
    /// type changed.
    pub bad_field: u64,
    /// Source not in the expected pool, or not the remote's own.
    pub bad_src_pool: u64,
    /// Destination changed where it must not.
    pub bad_dst: u64,
    /// The external endpoint of a live flow changed.
    pub remap: u64,
    /// Two live flows to one remote share an external endpoint.
    pub clash: u64,
    /// Delivered to another inside host or port.
    pub wrong_flow: u64,
    /// Arrived where it must not, or at all though it must be refused.
    pub leak: u64,
    /// An inside address seen outside.
    pub untranslated: u64,
    /// Arrived more than once.
    pub dup: u64,
    /// Arrived after a later one of its flow.
    pub reorder: u64,
    /// Arrived after the drain of its phase.
    pub late: u64,
    /// No trailer of ours.
    pub foreign: u64,
    /// A trailer of another run.
    pub other_run: u64,
}

impl Counters {
    /// First arrivals in both directions.
    pub fn received(&self) -> u64 {
        self.unique.iter().sum()
    }

    /// Adds those of another phase.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.control += other.control;
        self.damaged += other.damaged;
        self.reorder_extent = self.reorder_extent.max(other.reorder_extent);
        for way in 0..2 {
            self.unique[way] += other.unique[way];
            self.reordered[way] += other.reordered[way];
            self.duplicated[way] += other.duplicated[way];
            self.octets[way] += other.octets[way];
        }
        self.defects.add(&other.defects);
    }

    /// Whether every frame that arrived is in exactly one class.
    pub fn balance(&self) -> bool {
        let Defects { foreign, other_run, late, leak, dup, .. } = self.defects;
        let classes = [self.control, foreign, other_run, late, leak, self.damaged, dup];
        self.frames == classes.iter().sum::<u64>() + self.received()
    }
}

impl Defects {
    /// Integrity: checksums, lengths, payload and header fields.
    pub fn corrupted(&self) -> u64 {
        self.bad_ip_csum
            + self.bad_l4_csum
            + self.bad_len
            + self.bad_payload
            + self.bad_ttl
            + self.bad_field
    }

    /// Translation and delivery.
    pub fn mistranslated(&self) -> u64 {
        self.bad_src_pool
            + self.bad_dst
            + self.remap
            + self.clash
            + self.wrong_flow
            + self.leak
            + self.untranslated
    }

    /// Whether the path broke no invariant; strangers' frames are not its fault.
    pub fn are_none(&self) -> bool {
        self.of_path() == 0
    }

    /// All that speak against the path, as a sum.
    pub fn of_path(&self) -> u64 {
        self.corrupted() + self.mistranslated() + self.dup + self.reorder + self.late
    }

    /// Without those of order and number, which a phase before the trial may show while the path
    /// resolves its neighbours.
    pub fn of_content(&self) -> Self {
        Self { dup: 0, reorder: 0, late: 0, foreign: 0, other_run: 0, ..*self }
    }

    /// Counts what was found in one frame.
    pub(super) fn count(&mut self, found: Found) {
        for (bit, field) in self.fields_mut().into_iter().enumerate() {
            *field += u64::from(found.0 >> bit & 1);
        }
    }

    /// Adds those of another phase.
    pub fn add(&mut self, other: &Self) {
        for (sum, (_, more)) in self.fields_mut().into_iter().zip(other.named()) {
            *sum += more;
        }
    }

    /// The counters that fail a verification: all but strangers' frames.
    pub fn counts(&self) -> Vec<u64> {
        let own = |name: &str| !matches!(name, "foreign" | "other_run");
        self.named().iter().filter(|(name, _)| own(name)).map(|(_, count)| *count).collect()
    }

    /// Every counter with its name, in the order of the report.
    pub fn named(&self) -> [(&'static str, u64); 18] {
        [
            ("bad_ip_csum", self.bad_ip_csum),
            ("bad_l4_csum", self.bad_l4_csum),
            ("bad_len", self.bad_len),
            ("bad_payload", self.bad_payload),
            ("bad_ttl", self.bad_ttl),
            ("bad_field", self.bad_field),
            ("bad_src_pool", self.bad_src_pool),
            ("bad_dst", self.bad_dst),
            ("remap", self.remap),
            ("clash", self.clash),
            ("wrong_flow", self.wrong_flow),
            ("leak", self.leak),
            ("untranslated", self.untranslated),
            ("dup", self.dup),
            ("reorder", self.reorder),
            ("late", self.late),
            ("foreign", self.foreign),
            ("other_run", self.other_run),
        ]
    }

    fn fields_mut(&mut self) -> [&mut u64; 18] {
        [
            &mut self.bad_ip_csum,
            &mut self.bad_l4_csum,
            &mut self.bad_len,
            &mut self.bad_payload,
            &mut self.bad_ttl,
            &mut self.bad_field,
            &mut self.bad_src_pool,
            &mut self.bad_dst,
            &mut self.remap,
            &mut self.clash,
            &mut self.wrong_flow,
            &mut self.leak,
            &mut self.untranslated,
            &mut self.dup,
            &mut self.reorder,
            &mut self.late,
            &mut self.foreign,
            &mut self.other_run,
        ]
    }
}

/// What was found in one frame: one bit for each invariant, in the order of [`Defects::named`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Found(u32);

/// The invariants, as bits of [`Found`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Defect {
    BadIpCsum,
    BadL4Csum,
    BadLen,
    BadPayload,
    BadTtl,
    BadField,
    BadSrcPool,
    BadDst,
    Remap,
    Clash,
    WrongFlow,
    Leak,
    Untranslated,
    Dup,
    Reorder,
    Late,
    Foreign,
    OtherRun,
}

impl Found {
    #[inline]
    pub(super) fn note(&mut self, defect: Defect) {
        self.0 |= 1 << defect as u32;
    }

    #[inline]
    pub(super) fn note_if(&mut self, broken: bool, defect: Defect) {
        self.0 |= u32::from(broken) << defect as u32;
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of what was found.
    pub(super) fn names(self) -> Vec<&'static str> {
        let named = Defects::default().named().into_iter().enumerate();
        named.filter(|(bit, _)| self.0 >> bit & 1 != 0).map(|(_, (name, _))| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json_and_adding_keeps_each_in_its_place() {
        let mut sum = Defects::default();
        for (field, value) in sum.fields_mut().into_iter().zip(1..) {
            *field = value;
        }
        let json = serde_json::to_value(sum).unwrap();
        for (name, value) in sum.named() {
            assert_eq!(json[name], value, "{name}");
        }
        let mut found = Found::default();
        found.note(Defect::BadIpCsum);
        found.note(Defect::OtherRun);
        found.note_if(true, Defect::Clash);
        assert_eq!(found.names(), ["bad_ip_csum", "clash", "other_run"]);
        let mut counted = Defects::default();
        counted.count(found);
        assert_eq!((counted.bad_ip_csum, counted.clash, counted.other_run), (1, 1, 1));
        let one = sum;
        sum.add(&one);
        assert!(sum.named().iter().zip(one.named()).all(|(a, b)| a.1 == 2 * b.1));
        assert_eq!(sum.named().len(), json.as_object().unwrap().len());
    }
}
