//! From the hash of a key to the id of what is stored under it: one cache line per lookup, no rehashing, no tombstones.
//!
//! Buckets of twelve entries, one cache line each, filled from the home bucket onwards. Every bucket counts the entries that
//! passed it on their way, so a lookup stops at the first bucket nothing has passed, and a removal undoes all traces.

use dpdk_bindings::{
    Result,
    cpu::prefetch,
    memory::{HugeArray, Source},
    simd,
};
use zerocopy::FromZeros;

/// Maps 64-bit hashes to `u32` ids; the keys live with the caller, who decides whether an id is the one it looks for.
#[derive(Debug)]
pub struct FlowTable {
    /// The homes, then `REACH - 1` more, so that a walk never wraps.
    buckets: HugeArray<Bucket>,
    homes: usize,
    len: usize,
    capacity: usize,
}

/// Where the entries of a hash are looked for first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    home: u32,
    tag: u8,
}

/// The table holds as many entries as it was made for, or every bucket in reach of the entry's home is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the flow table is full")]
pub struct Full;

impl FlowTable {
    /// Reserves room for `entries` entries: 7.1 bytes each, a mean load of 9 entries per bucket when all are in use.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn with_capacity(name: &str, entries: usize, source: Source<'_>) -> Result<Self> {
        let homes = entries.div_ceil(MEAN_LOAD).max(1);
        let buckets = HugeArray::zeroed(name, homes + REACH - 1, source)?;
        Ok(Self { buckets, homes, len: 0, capacity: entries })
    }

    /// Asks the processor for the home bucket of `hash`, and says where that is.
    #[inline]
    pub fn prefetch(&self, hash: u64) -> Place {
        let place = self.place(hash);
        if let Some(bucket) = self.buckets.get(place.home as usize) {
            prefetch(bucket);
        }
        place
    }

    /// Says where the entries of `hash` are: all that the table needs to know of a hash.
    #[inline]
    pub fn place(&self, hash: u64) -> Place {
        Place { home: self.home(hash) as u32, tag: tag(hash) }
    }

    /// Returns the ids in the home bucket whose tag fits: almost always the right one only, to be prefetched and verified.
    ///
    /// When there is none, or verification fails, [`find_at`](Self::find_at) has the last word.
    #[inline]
    pub fn candidates(&self, place: Place) -> Candidates<'_> {
        let home = &self.buckets[place.home as usize];
        Candidates { lanes: home.lanes_with(place.tag), ids: &home.ids }
    }

    /// Whether entries passed the home bucket, so that the one looked for may be in the next; asks the processor for that.
    #[inline]
    pub fn is_passed(&self, place: Place) -> bool {
        let passed = self.buckets[place.home as usize].passed() > 0;
        if passed && let Some(next) = self.buckets.get(place.home as usize + 1) {
            prefetch(next);
        }
        passed
    }

    /// Returns the first id beyond the home bucket whose tag fits, to be verified likewise.
    pub fn candidate_beyond(&self, place: Place) -> Option<u32> {
        let way = self.way(place);
        for pair in way.windows(2) {
            if pair[0].passed() == 0 {
                break;
            }
            if let Some(lane) = pair[1].lanes_with(place.tag).next() {
                return Some(pair[1].ids[lane]);
            }
        }
        None
    }

    /// Returns the id stored under `hash` that the caller recognises as its own.
    #[inline]
    pub fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.find_at(self.place(hash), is)
    }

    /// Likewise, at the place of a hash.
    #[inline]
    pub fn find_at(&self, place: Place, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        for bucket in self.way(place) {
            for lane in bucket.lanes_with(place.tag) {
                let id = bucket.ids[lane];
                if is(id) {
                    return Some(id);
                }
            }
            if bucket.passed() == 0 {
                break;
            }
        }
        None
    }

    /// Stores `id` under `hash`; that the same pair is not stored already is the caller's affair.
    ///
    /// # Errors
    /// [`Full`], and nothing has changed.
    pub fn insert(&mut self, hash: u64, id: u32) -> std::result::Result<(), Full> {
        self.insert_at(self.place(hash), id)
    }

    /// Likewise, at the place of a hash.
    ///
    /// # Errors
    /// [`Full`], and nothing has changed.
    #[inline]
    pub fn insert_at(&mut self, place: Place, id: u32) -> std::result::Result<(), Full> {
        if self.len == self.capacity {
            return Err(Full);
        }
        let way = self.way_mut(place);
        let free = |bucket: &Bucket| bucket.lanes_with(FREE).next();
        let (distance, lane) = way
            .iter()
            .enumerate()
            .find_map(|(distance, bucket)| Some((distance, free(bucket)?)))
            .ok_or(Full)?;
        way[distance].lanes[lane] = place.tag;
        way[distance].ids[lane] = id;
        for bucket in &mut way[..distance] {
            bucket.set_passed(bucket.passed() + 1);
        }
        self.len += 1;
        Ok(())
    }

    /// Forgets `id` under `hash` and tells whether it was there.
    pub fn remove(&mut self, hash: u64, id: u32) -> bool {
        self.remove_at(self.place(hash), id)
    }

    /// Likewise, at the place of a hash.
    #[inline]
    pub fn remove_at(&mut self, place: Place, id: u32) -> bool {
        let way = self.way_mut(place);
        for distance in 0..REACH {
            let bucket = &mut way[distance];
            if let Some(lane) = bucket.lanes_with(place.tag).find(|&lane| bucket.ids[lane] == id) {
                bucket.lanes[lane] = FREE;
                for bucket in &mut way[..distance] {
                    bucket.set_passed(bucket.passed() - 1);
                }
                self.len -= 1;
                return true;
            }
            if bucket.passed() == 0 {
                break;
            }
        }
        false
    }

    /// How many entries are stored.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many entries can be stored.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes of memory the table has reserved.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.homes as u64) >> 32) as usize
    }

    #[inline]
    fn way(&self, place: Place) -> &[Bucket] {
        let home = place.home as usize;
        &self.buckets[home..home + REACH]
    }

    #[inline]
    fn way_mut(&mut self, place: Place) -> &mut [Bucket] {
        let home = place.home as usize;
        &mut self.buckets[home..home + REACH]
    }
}

/// One cache line.
#[derive(Debug, FromZeros)]
#[repr(C, align(64))]
struct Bucket {
    /// The tag of every entry (`FREE`: none), then at `PASSED` how many entries passed on their way, then two spare ones.
    lanes: [u8; 16],
    ids: [u32; ENTRIES],
}
const _: () = assert!(size_of::<Bucket>() == 64, "one cache line per bucket");

impl Bucket {
    /// The entries whose tag is `tag`.
    #[inline]
    fn lanes_with(&self, tag: u8) -> Lanes {
        Lanes(simd::equal_octets(&self.lanes, tag) & ((1 << ENTRIES) - 1))
    }

    #[inline]
    fn passed(&self) -> u16 {
        u16::from_ne_bytes([self.lanes[PASSED], self.lanes[PASSED + 1]])
    }

    fn set_passed(&mut self, passed: u16) {
        self.lanes[PASSED..PASSED + 2].copy_from_slice(&passed.to_ne_bytes());
    }
}

/// The ids that a home bucket suggests.
#[derive(Debug)]
pub struct Candidates<'a> {
    lanes: Lanes,
    ids: &'a [u32; ENTRIES],
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        self.lanes.next().map(|lane| self.ids[lane])
    }
}

/// A set of entries in a bucket.
#[derive(Debug)]
struct Lanes(u32);

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        (self.0 != 0).then(|| {
            let lane = self.0.trailing_zeros() as usize;
            self.0 &= self.0 - 1;
            lane
        })
    }
}

/// The part of `hash` kept in the bucket; the bucket is chosen by the other end of it.
#[inline]
fn tag(hash: u64) -> u8 {
    (hash as u8).max(FREE + 1)
}

/// Entries in a bucket.
const ENTRIES: usize = 12;

/// Entries per bucket when the table is full: one lookup in thirty then needs a second line.
const MEAN_LOAD: usize = 9;

/// How many buckets, its home included, an entry may be stored in: far more than a full table needs. Keys in sequence, as ports are,
/// stand closer together than random ones; the farthest of 400 tables with a million of them was in the 32nd bucket.
const REACH: usize = 256;

/// The lanes that count the entries that passed.
const PASSED: usize = ENTRIES;

/// The tag of a free place.
const FREE: u8 = 0;

#[cfg(test)]
mod tests;
