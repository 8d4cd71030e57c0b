//! What a flow costs: lookups, opening and closing, timers and ports, 64 packets in flight.
//!
//! `cargo bench -p vnf --profile fast --bench flows [-- --no-huge]`; cycles are thread CPU time, flows in random order, a
//! session line of 64 bytes verified and written per lookup.

use std::hint::black_box;

use dpdk_bindings::{
    Eal, Result,
    cpu::{prefetch, thread_cpu_time, tsc_hz},
    eal::{Hugepages, Options},
    memory::{HugeArray, Source},
};
use vnf::table::{Deadlines, FlowTable, Hasher, IdPool, PortBitmap};
use zerocopy::FromZeros;

fn main() -> Result<()> {
    let hugepages = if std::env::args().any(|argument| argument == "--no-huge") {
        Hugepages::Never
    } else {
        Hugepages::Auto
    };
    let options =
        Options { program: "flows".to_owned(), memory_mib: 1200, hugepages, ..Options::default() };
    let eal = Eal::init(&options)?;
    println!("{}", eal.hugepages());
    let cycles_per_ns = tsc_hz() as f64 / 1e9;
    let report = |what: &str, flows: usize, work: &mut dyn FnMut() -> usize| {
        work();
        let mut samples: Vec<f64> = (0..7)
            .map(|_| {
                let start = thread_cpu_time();
                let done = work();
                (thread_cpu_time() - start).as_nanos() as f64 * cycles_per_ns / done as f64
            })
            .collect();
        samples.sort_by(f64::total_cmp);
        println!(
            "{what:<24} {flows:>9} flows {:>7.1} min {:>7.1} median cycles",
            samples[0], samples[3]
        );
    };
    for flows in [1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        let mut bench = Bench::new(flows, Source::Dpdk(&eal))?;
        let bursts = 20_000;
        report("key and hash only", flows, &mut || bench.hash_only(bursts));
        report("known flow", flows, &mut || bench.known(bursts));
        report("unknown flow", flows, &mut || bench.unknown(bursts));
        report("close and open", flows, &mut || bench.churn(bursts / 8));
        report("wake and arm again", flows, &mut || bench.wake(bursts / 8));
    }
    let mut random = Sequence(5);
    for taken in [0, 32_000, 58_000, 64_000] {
        let mut map = PortBitmap::new();
        (0..taken).for_each(|_| assert!(map.take(1024..=65_535, random.draw()).is_some()));
        report("take and give a port", taken, &mut || {
            for _ in 0..1_000_000 {
                let port = map.take(1024..=65_535, random.draw()).expect("some are free");
                map.give(black_box(port));
            }
            1_000_000
        });
    }
    Ok(())
}

/// Flows whose key is a function of their number, so that making a key touches no memory.
struct Bench {
    hasher: Hasher,
    table: FlowTable,
    ids: IdPool,
    deadlines: Deadlines,
    sessions: HugeArray<Session>,
    random: Sequence,
    now: u64,
}

#[derive(Clone, Copy, FromZeros)]
#[repr(C, align(64))]
struct Session {
    key: (u64, u64),
    packets: u64,
}

impl Bench {
    fn new(flows: usize, source: Source<'_>) -> Result<Self> {
        let mut bench = Self {
            hasher: Hasher::random(),
            table: FlowTable::with_capacity("flows", flows, source)?,
            ids: IdPool::new("ids", flows, source)?,
            deadlines: Deadlines::new("deadlines", flows, source, 0)?,
            sessions: HugeArray::zeroed("sessions", flows, source)?,
            random: Sequence(1),
            now: 0,
        };
        for flow in 0..flows as u64 {
            bench.open(flow);
        }
        Ok(bench)
    }

    fn open(&mut self, flow: u64) {
        let key = key(flow);
        let id = self.ids.take().expect("as many ids as flows");
        self.table.insert(self.hasher.hash2(key.0, key.1), id).expect("as many entries as flows");
        self.deadlines.arm(id, self.now + 300_000);
        self.sessions[id as usize] = Session { key, packets: 0 };
    }

    fn draw(&mut self) -> u64 {
        ((u128::from(self.random.draw()) * self.sessions.len() as u128) >> 64) as u64
    }

    fn hash_only(&mut self, bursts: usize) -> usize {
        let mut sum = 0;
        for _ in 0..bursts * 64 {
            let key = key(self.draw());
            sum ^= self.hasher.hash2(key.0, key.1);
        }
        black_box(sum);
        bursts * 64
    }

    fn known(&mut self, bursts: usize) -> usize {
        assert_eq!(self.look_up(bursts, 0), bursts * 64);
        bursts * 64
    }

    fn unknown(&mut self, bursts: usize) -> usize {
        assert_eq!(self.look_up(bursts, 1 << 30), 0);
        bursts * 64
    }

    #[inline(never)]
    fn look_up(&mut self, bursts: usize, offset: u64) -> usize {
        let mut keys = [(0, 0); 64];
        let mut hashes = [0; 64];
        let mut candidates = [None; 64];
        let mut found = 0;
        for _ in 0..bursts {
            for (key_of, hash) in keys.iter_mut().zip(&mut hashes) {
                *key_of = key(self.draw() + offset);
                *hash = self.hasher.hash2(key_of.0, key_of.1);
                self.table.prefetch(*hash);
            }
            for (hash, candidate) in hashes.iter().zip(&mut candidates) {
                *candidate = self.table.candidates(self.table.place(*hash)).next();
                if let Some(id) = *candidate {
                    prefetch(&self.sessions[id as usize]);
                }
            }
            for ((key, hash), candidate) in keys.iter().zip(&hashes).zip(candidates) {
                let is = |id: u32| self.sessions[id as usize].key == *key;
                if let Some(id) =
                    candidate.filter(|&id| is(id)).or_else(|| self.table.find(*hash, is))
                {
                    self.sessions[id as usize].packets += 1;
                    found += 1;
                }
            }
        }
        found
    }

    /// Closes random flows and opens them again: what sessions cost the tables in the long run.
    #[inline(never)]
    fn churn(&mut self, bursts: usize) -> usize {
        let mut done = 0;
        for _ in 0..bursts {
            let mut flows = [0; 64].map(|_| self.draw());
            flows.sort_unstable();
            let hashes = flows.map(|flow| {
                let key = key(flow);
                let hash = self.hasher.hash2(key.0, key.1);
                self.table.prefetch(hash);
                hash
            });
            for hash in hashes {
                for id in self.table.candidates(self.table.place(hash)) {
                    prefetch(&self.sessions[id as usize]);
                }
            }
            let mut closed = 0;
            for (index, hash) in hashes.into_iter().enumerate() {
                let key = key(flows[index]);
                // A flow drawn twice is closed already.
                if let Some(id) = self.table.find(hash, |id| self.sessions[id as usize].key == key)
                {
                    self.table.remove(hash, id);
                    self.deadlines.disarm(id);
                    self.ids.give(id);
                    self.sessions[id as usize].key = (0, 0);
                    flows[closed] = flows[index];
                    closed += 1;
                }
            }
            self.now += 1;
            flows[..closed].iter().for_each(|&flow| self.open(flow));
            done += closed;
        }
        done
    }

    /// Lets deadlines pass and sets new ones, as for sessions that were used meanwhile.
    #[inline(never)]
    fn wake(&mut self, bursts: usize) -> usize {
        let mut woken = 0;
        let mut ids = [0; 64];
        while woken < bursts * 64 {
            self.now += 256;
            loop {
                let taken = self.deadlines.due(self.now, &mut ids);
                let due = &ids[..taken];
                due.iter().for_each(|&id| prefetch(&self.sessions[id as usize]));
                for &id in due {
                    self.sessions[id as usize].packets += 1;
                    self.deadlines.arm(id, self.now + 300_000 + self.random.draw() % 16_384);
                }
                woken += due.len();
                if due.len() < 64 {
                    break;
                }
            }
        }
        woken
    }
}

/// Addresses and ports as flows have them: few bits differ from one key to the next.
fn key(flow: u64) -> (u64, u64) {
    (0x0a00_0000_cb00_7107 ^ (flow << 32), 0x11_0035_0000 ^ ((flow >> 16) << 40))
}

/// A fixed sequence that looks random (Vigna's SplitMix64).
struct Sequence(u64);

impl Sequence {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
