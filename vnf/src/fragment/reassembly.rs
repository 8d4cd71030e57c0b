//! Reassembly of what is for the VNF itself (RFC 1812 4.2.2.8, RFC 8200 4.5): a few datagrams at a time, in memory reserved
//! at start. Packets that are forwarded are never reassembled.

use dpdk_bindings::mbuf::Mbuf;

use super::coverage::{Coverage, Extent, Refused};
use super::datagram::Key;
use crate::engine::ids::{Arrival, Tick};
use crate::engine::message::TableUsage;
use crate::engine::meta::{Family, Kind, Meta};
use crate::engine::verdict::DropReason;
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header, extensions};
use crate::wire::{self, checksum::Sum, protocol};

/// The datagrams of one worker that are being put together.
pub struct Reassembly {
    datagrams: Vec<Datagram>,
    /// How many of them are begun.
    begun: usize,
}

/// A datagram of which some or all fragments have come.
pub struct Datagram {
    key: Option<Key>,
    /// How its latest fragment came in.
    pub arrival: Arrival,
    /// What is known of its first fragment.
    pub meta: Meta,
    /// Fragments taken in.
    pub fragments: u64,
    coverage: Coverage,
    last_seen: Tick,
    /// Octets of Ethernet and IP header, in front of [`PAYLOAD`]; 0 until the first fragment has come.
    head: usize,
    /// Octets of payload in the first fragment, and in all of the datagram as far as is known.
    first: usize,
    length: usize,
    buffer: Box<[u8]>,
}

/// What became of a fragment.
pub enum Outcome<'a> {
    /// It completes its datagram, which leaves with this.
    Complete(&'a mut Datagram),
    /// It is not taken in.
    Refused(DropReason),
    /// Others are missing.
    Waits,
}

impl Reassembly {
    /// Nothing taken in, room reserved.
    pub fn new() -> Self {
        let room = PAYLOAD + usize::from(u16::MAX);
        let empty = || Datagram {
            key: None,
            arrival: Arrival::default(),
            meta: Meta::default(),
            fragments: 0,
            coverage: Coverage::default(),
            last_seen: Tick(0),
            head: 0,
            first: 0,
            length: 0,
            buffer: vec![0; room].into_boxed_slice(),
        };
        Self { datagrams: std::iter::repeat_with(empty).take(DATAGRAMS).collect(), begun: 0 }
    }

    /// Takes a fragment in. A datagram that gives way to a newer one is put into `given_up` first.
    pub fn add(
        &mut self,
        packet: &Mbuf,
        meta: &Meta,
        arrival: Arrival,
        now: Tick,
        given_up: impl FnOnce(&mut Datagram),
    ) -> Outcome<'_> {
        let key = Key::of(meta);
        let known = self.datagrams.iter().position(|datagram| datagram.key == Some(key));
        let at = known.unwrap_or_else(|| {
            let in_use = |datagram: &Datagram| (datagram.key.is_some(), datagram.last_seen);
            let oldest = (0..DATAGRAMS).min_by_key(|at| in_use(&self.datagrams[*at]));
            let at = oldest.unwrap_or_default();
            match self.datagrams[at].key {
                Some(_) => given_up(&mut self.datagrams[at]),
                None => self.begun += 1,
            }
            self.datagrams[at].open(key);
            at
        });
        let datagram = &mut self.datagrams[at];
        (datagram.last_seen, datagram.arrival) = (now, arrival);
        if let Err(reason) = datagram.add(packet, meta) {
            if datagram.fragments == 0 {
                datagram.key = None;
                self.begun -= 1;
            }
            return Outcome::Refused(reason);
        }
        if !datagram.coverage.is_complete() {
            return Outcome::Waits;
        }
        datagram.key = None;
        self.begun -= 1;
        Outcome::Complete(datagram)
    }

    /// Gives up datagrams of which nothing has come for too long.
    pub fn expire(&mut self, now: Tick, mut given_up: impl FnMut(&mut Datagram)) {
        for datagram in &mut self.datagrams {
            if datagram.key.is_some() && now.0 >= datagram.last_seen.0 + PATIENCE_MS {
                datagram.key = None;
                self.begun -= 1;
                given_up(datagram);
            }
        }
    }

    /// Fragments taken in whose datagrams are not complete.
    pub fn held(&self) -> usize {
        let waiting = self.datagrams.iter().filter(|datagram| datagram.key.is_some());
        waiting.map(|datagram| datagram.fragments as usize).sum()
    }

    /// Whether nothing is being put together.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.begun == 0
    }

    /// How the memory is used.
    pub fn usage(&self) -> TableUsage {
        let bytes = self.datagrams.iter().map(|datagram| datagram.buffer.len()).sum();
        let (used, capacity) = (self.begun, DATAGRAMS);
        TableUsage { name: "reassembled datagrams", bytes, used, capacity }
    }
}

impl Default for Reassembly {
    fn default() -> Self {
        Self::new()
    }
}

impl Datagram {
    fn open(&mut self, key: Key) {
        self.key = Some(key);
        self.coverage.clear();
        (self.fragments, self.head, self.first, self.length) = (0, 0, 0, 0);
    }

    fn add(&mut self, packet: &Mbuf, meta: &Meta) -> Result<(), DropReason> {
        let extent = Extent::of(meta);
        let (from, to) = (usize::from(extent.from), usize::from(extent.to));
        self.coverage.add(extent).map_err(|refused| match refused {
            Refused::Overlapping | Refused::Repeated => DropReason::FragmentInvalid,
            Refused::TooMany => DropReason::FragmentLimit,
        })?;
        let skipped = packet.len().saturating_sub(to - from);
        let into = self.buffer.get_mut(PAYLOAD + from..PAYLOAD + to);
        copy(packet, skipped, into.ok_or(DropReason::FragmentInvalid)?);
        self.length = self.length.max(to);
        self.fragments += 1;
        if meta.kind != Kind::LaterFragment {
            let front = PAYLOAD.checked_sub(skipped).ok_or(DropReason::FragmentInvalid)?;
            copy(packet, 0, &mut self.buffer[front..PAYLOAD]);
            (self.head, self.first, self.meta) = (skipped, to, *meta);
        }
        Ok(())
    }

    /// The first fragment as it came, to be quoted; `None` if it has not come.
    pub fn first_fragment(&self) -> Option<&[u8]> {
        (self.head > 0).then(|| &self.buffer[PAYLOAD - self.head..PAYLOAD + self.first])
    }

    /// The frame of a complete datagram with one header for all of it; `None` where that does not fit what IP can say.
    pub fn whole(&mut self) -> Option<&mut [u8]> {
        let l3 = usize::from(self.meta.l3);
        let front = PAYLOAD - self.head;
        let header = self.buffer.get_mut(front + l3..PAYLOAD)?;
        match self.meta.key.family {
            Family::Ipv4 => {
                let total = u16::try_from(header.len() + self.length).ok()?;
                let ip: &mut Ipv4Header = wire::at_mut(header, 0)?;
                (ip.total_length, ip.fragment, ip.checksum) = (total.into(), 0.into(), 0.into());
                let checksum = Sum::of(header).checksum();
                wire::at_mut::<Ipv4Header>(header, 0)?.checksum = checksum.into();
                self.buffer.get_mut(front..PAYLOAD + self.length)
            }
            Family::Ipv6 => {
                // The fragment header goes; of headers before it there are none in what is answered here.
                if header.len() != ipv6::HEADER + extensions::FRAGMENT_HEADER {
                    return None;
                }
                let next_header = header[ipv6::HEADER];
                let ip: &mut Ipv6Header = wire::at_mut(header, 0)?;
                if ip.next_header != protocol::IPV6_FRAG {
                    return None;
                }
                ip.next_header = next_header;
                ip.payload_length = u16::try_from(self.length).ok()?.into();
                let moved = front + extensions::FRAGMENT_HEADER;
                self.buffer.copy_within(front..front + l3 + ipv6::HEADER, moved);
                self.buffer.get_mut(moved..PAYLOAD + self.length)
            }
        }
    }
}

/// Copies what follows the first `skipped` octets of a packet, as much as there is room for.
fn copy(packet: &Mbuf, mut skipped: usize, into: &mut [u8]) {
    let mut done = 0;
    for segment in packet.segments() {
        let octets = segment.get(skipped..).unwrap_or(&[]);
        skipped = skipped.saturating_sub(segment.len());
        let now = octets.len().min(into.len() - done);
        into[done..done + now].copy_from_slice(&octets[..now]);
        done += now;
    }
}

/// Datagrams of one worker at a time.
const DATAGRAMS: usize = 8;
/// Where the payload starts in a buffer: behind the longest headers, a tag and the fragment header among them.
const PAYLOAD: usize = 18 + ipv4::LONGEST_HEADER + 50;
/// How long the next fragment is waited for: somewhat longer than for those that pass through.
const PATIENCE_MS: u64 = 3000;
