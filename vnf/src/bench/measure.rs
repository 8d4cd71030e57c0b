//! Slices of the pipeline and of the empty one by turns, and the medians over them.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use dpdk_bindings::cpu;
use dpdk_bindings::mbuf::Mbuf;

use super::Options;
use super::report::{Report, StageCycles};
use super::rig::Rig;
use super::traffic::Traffic;
use crate::engine::burst::Burst;
use crate::engine::counters::STAGES;
use crate::engine::ids::Tick;
use crate::engine::mask::BURST;
use crate::engine::meta::Direction;
use crate::engine::verdict::DropReason;

/// Measures new sessions, then established ones.
pub(super) fn measure(
    rig: &mut Rig,
    traffic: &mut Traffic,
    options: &Options,
) -> anyhow::Result<Report> {
    let (skipped, longest_closing) = (Duration::ZERO, 0.0);
    let mut bench = Bench { rig, traffic, skipped, flows: options.flows, longest_closing };
    let first_packets = bench.first_packets(options.packets.is_some())?;
    let flows = &bench.rig.worker.pipeline.flows;
    bench.traffic.learn(|key| {
        let (session, _) = flows.sessions.find_one(key)?;
        flows.sessions.session(session).external()
    })?;
    // Each flow's first packet back decides about that direction.
    bench.all(Direction::Inbound, |_, _| ())?;
    let pace = (options.new_flows > 0).then(|| bench.pace());
    let mut slices = Slices::default();
    let before = bench.balance();
    let start = Instant::now();
    let enough = |slices: &Slices| match options.packets {
        Some(packets) => slices.packets >= packets,
        None => start.elapsed() >= options.duration,
    };
    while slices.total.is_empty() || !enough(&slices) {
        bench.slice(&mut slices, pace);
    }
    let tsc_hz = cpu::tsc_hz();
    let after = bench.balance();
    let total = median(&mut slices.total);
    let empty = median(&mut slices.empty);
    Ok(Report {
        pps: tsc_hz as f64 / total,
        cycles_per_packet: total,
        empty_cycles_per_packet: empty,
        own_cycles_per_packet: total - empty,
        new_session_cycles: first_packets - empty,
        stages: STAGES
            .iter()
            .zip(&mut slices.stages)
            .map(|(name, samples)| StageCycles { name, cycles_per_packet: median(samples) })
            .collect(),
        flows: options.flows,
        size: options.size,
        order: options.order,
        rules: bench.rig.rules,
        routes: bench.rig.routes.0,
        route_table_bytes: bench.rig.routes.1,
        tables_built_ms: bench.rig.routes.2,
        bytes_per_session: bench.bytes_per_session(),
        longest_closing_us: bench.longest_closing * 1e6 / tsc_hz as f64,
        drops: after - before,
        tsc_hz,
        hugepages: bench.rig.hugepages,
    })
}

struct Bench<'a> {
    rig: &'a mut Rig,
    traffic: &'a mut Traffic,
    /// By how much the worker's time is ahead.
    skipped: Duration,
    flows: u32,
    /// Cycles of the longest turn when all flows had timed out.
    longest_closing: f64,
}

/// Cycles per packet, one value for each slice.
#[derive(Default)]
struct Slices {
    packets: u64,
    total: Vec<f64>,
    empty: Vec<f64>,
    stages: [Vec<f64>; STAGES.len()],
}

impl Bench<'_> {
    fn now(&self) -> Tick {
        Tick(self.rig.clock.now().0 + self.skipped.as_millis() as u64)
    }

    /// Opens every flow, closes all and opens them again, for a while, but twice; or just twice. Returns the cycles of a first
    /// packet.
    fn first_packets(&mut self, just_twice: bool) -> anyhow::Result<f64> {
        let mut samples = Vec::new();
        let start = Instant::now();
        loop {
            self.all(Direction::Outbound, |cycles, packets| {
                samples.push(cycles / f64::from(packets));
            })?;
            self.all_opened()?;
            let enough = just_twice || start.elapsed() >= OPENING_TIME;
            if enough && self.longest_closing > 0.0 {
                return Ok(median(&mut samples));
            }
            self.close_all();
        }
    }

    /// Sends one packet of every flow; tells the cycles and packets of each slice.
    fn all(&mut self, direction: Direction, mut tell: impl FnMut(f64, u32)) -> anyhow::Result<()> {
        let mut sent = 0;
        while sent < self.flows {
            let turns = (self.flows - sent).div_ceil(BURST as u32).min(SLICE);
            let mut packets = 0;
            let cycles = cycles(|| {
                for _ in 0..turns {
                    packets += self.each(direction, sent + packets);
                }
            });
            ensure!(packets > 0, "a port delivers nothing");
            tell(cycles, packets);
            sent += packets;
        }
        Ok(())
    }

    /// One burst with a packet each of the flows from this one on.
    fn each(&mut self, direction: Direction, from: u32) -> u32 {
        let now = self.now();
        let Rig { worker, internal, .. } = &mut *self.rig;
        let inside = direction == Direction::Outbound;
        let at = worker.receive.iter().position(|(_, port)| (port == internal) == inside);
        let arrive = |burst: &mut Burst, _| self.traffic.each(direction, from, burst.frames_mut());
        let count = worker.poll(at.unwrap_or_default(), now, arrive);
        worker.expire(now);
        count as u32
    }

    fn all_opened(&self) -> anyhow::Result<()> {
        let worker = &self.rig.worker;
        let open = worker.pipeline.flows.sessions.len();
        if open == self.flows as usize {
            return Ok(());
        }
        let drops = DropReason::ALL.iter().zip(&worker.counters.drops);
        let drops: Vec<String> = drops
            .filter(|(_, count)| count.read() > 0)
            .map(|(reason, count)| format!("{} {}", count.read(), reason.name()))
            .collect();
        let (key, flows) = (self.traffic.example(), self.flows);
        bail!(
            "{open} of {flows} flows could be opened ({}); the first one is {key}",
            drops.join(", ")
        )
    }

    /// Lets every session time out at the same time, and then every endpoint rest.
    fn close_all(&mut self) {
        self.skipped += Duration::from_millis(self.rig.worker.tables.timeouts.udp.into());
        while !self.rig.worker.pipeline.flows.sessions.is_empty() {
            self.skipped += Duration::from_millis(1);
            let now = self.now();
            let turn = cycles(|| self.rig.worker.expire(now));
            self.longest_closing = self.longest_closing.max(turn);
        }
        while self.rig.worker.pipeline.flows.mappings.resting() > 0 {
            self.skipped += CLOSING_STEP;
            let now = self.now();
            self.rig.worker.expire(now);
        }
    }

    /// One slice of each pipeline.
    fn slice(&mut self, slices: &mut Slices, pace: Option<Duration>) {
        let stages = self.stages();
        let mut packets = 0;
        let total = cycles(|| {
            for _ in 0..SLICE {
                packets += self.turn();
                if let Some(step) = pace {
                    self.skipped += step;
                }
            }
        });
        slices.packets += packets as u64;
        slices.total.push(total / packets as f64);
        for ((samples, before), after) in slices.stages.iter_mut().zip(stages).zip(self.stages()) {
            samples.push((after.1 - before.1) as f64 / (after.0 - before.0).max(1) as f64);
        }
        let mut packets = 0;
        let empty = cycles(|| {
            for _ in 0..SLICE {
                packets += self.empty_turn();
            }
        });
        slices.empty.push(empty / packets as f64);
    }

    fn turn(&mut self) -> usize {
        let now = self.now();
        let Rig { worker, internal, .. } = &mut *self.rig;
        let mut found = 0;
        for at in 0..worker.receive.len() {
            found += worker.poll(at, now, |burst, port| {
                let outbound = port == *internal;
                let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
                self.traffic.write(direction, burst.frames_mut());
            });
        }
        worker.expire(now);
        found
    }

    fn empty_turn(&mut self) -> usize {
        let mut frames: [Option<Mbuf>; BURST] = [const { None }; BURST];
        let mut count = 0;
        let directions = [Direction::Outbound, Direction::Inbound];
        for ((receive, transmit), direction) in self.rig.empty.iter_mut().zip(directions) {
            let received = receive.receive(&mut frames);
            self.traffic.write(direction, frames.iter_mut().flatten());
            count += transmit.transmit(&mut frames[..received]);
        }
        count
    }

    /// Packets that were not transmitted so far.
    fn balance(&self) -> u64 {
        let counters = &self.rig.worker.counters;
        counters.received.read() - counters.transmitted.read()
    }

    fn stages(&self) -> [(u64, u64); STAGES.len()] {
        let stages = &self.rig.worker.counters.stages;
        std::array::from_fn(|at| (stages[at].packets.read(), stages[at].cycles.read()))
    }

    /// How fast the worker's time goes, so that a flow's lifetime is over when every established one has had a packet.
    fn pace(&self) -> Duration {
        let lifetime = u64::from(self.rig.worker.tables.timeouts.udp) * 1_000_000;
        let turns = packets_per_lifetime(self.flows) / (2 * BURST as u64);
        Duration::from_nanos(lifetime / turns)
    }

    fn bytes_per_session(&self) -> f64 {
        let flows = &self.rig.worker.pipeline.flows;
        flows.bytes() as f64 / flows.sessions.capacity() as f64
    }
}

/// Packets in the time after which an idle flow ends, where flows are opened all the time: enough for each established flow
/// to have some.
pub(super) fn packets_per_lifetime(flows: u32) -> u64 {
    (u64::from(flows) * 64).max(1 << 20)
}

/// The thread's CPU time for this, in cycles.
fn cycles(work: impl FnOnce()) -> f64 {
    let before = cpu::thread_cpu_time();
    work();
    (cpu::thread_cpu_time() - before).as_secs_f64() * cpu::tsc_hz() as f64
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// Turns of a slice: some milliseconds.
const SLICE: u32 = 512;
/// How long first packets are measured; at least one round.
const OPENING_TIME: Duration = Duration::from_secs(1);
const CLOSING_STEP: Duration = Duration::from_millis(100);
