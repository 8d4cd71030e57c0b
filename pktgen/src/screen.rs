//! What a person sees while pktgen works: a line per second, or one screen twice a second.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::engine::{Glance, Stage};
use crate::page::Table;
use crate::plot::Unit;
use crate::rate::Si;
use crate::record::TrialRecord;
use crate::search::Known;
use crate::session::Tick;

/// How much is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// A line per second, and one for each trial.
    Lines,
    /// Nothing.
    Quiet,
    /// One screen, rewritten in place; lines where standard output is no terminal.
    Live,
}

/// Standard output of a measurement.
#[derive(Debug)]
pub struct Screen {
    mode: Mode,
    title: String,
    begun: Instant,
    purpose: String,
    bounds: Vec<Known>,
    recent: Vec<String>,
    drawn: usize, // lines on the screen
}

impl Screen {
    /// Nothing shown yet.
    pub fn new(mode: Mode, title: &str) -> Self {
        let mode = match mode {
            Mode::Live if !std::io::stdout().is_terminal() => Mode::Lines,
            mode => mode,
        };
        Self {
            mode,
            title: title.to_owned(),
            begun: Instant::now(),
            purpose: String::new(),
            bounds: Vec::new(),
            recent: Vec::new(),
            drawn: 0,
        }
    }

    /// How often it wants to be called with a [`Tick`].
    pub fn interval(&self) -> Duration {
        Duration::from_millis(if self.mode == Mode::Live { 500 } else { 1000 })
    }

    /// What is measured now: size and flows.
    pub fn case(&mut self, name: &str) {
        self.bounds.clear();
        self.recent.clear();
        self.say(name);
        name.clone_into(&mut self.title);
    }

    /// What the next trials are for.
    pub fn purpose(&mut self, purpose: &str, repetition: u32) {
        self.purpose = match repetition {
            1 => purpose.to_owned(),
            more => format!("{purpose}, repetition {more}"),
        };
        self.bounds.clear();
    }

    /// What the search knows.
    pub fn bounds(&mut self, bounds: &[Known]) {
        bounds.clone_into(&mut self.bounds);
    }

    /// A sentence.
    pub fn say(&mut self, text: &str) {
        match self.mode {
            Mode::Lines => println!("{text}"),
            Mode::Quiet => {}
            Mode::Live => self.remember(text.to_owned()),
        }
    }

    /// A finished trial.
    pub fn trial(&mut self, record: &TrialRecord) {
        let line = trial_line(record, &self.bounds);
        self.say(&line);
    }

    /// A part of a second has passed.
    pub fn tick(&mut self, tick: Tick) {
        match self.mode {
            Mode::Lines => println!("{}", live_line(&tick)),
            Mode::Quiet => {}
            Mode::Live => self.draw(&tick),
        }
    }

    /// The last drawing stays; what is printed next comes below it.
    pub fn finish(&mut self) {
        self.drawn = 0;
    }

    fn remember(&mut self, line: String) {
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(line);
    }

    fn draw(&mut self, tick: &Tick) {
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        let body = self.body(tick);
        self.drawn = body.lines().count();
        for line in body.lines() {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        // What an earlier, longer drawing left.
        text.push_str("\x1b[J");
        let mut out = std::io::stdout().lock();
        // A terminal that is gone is no reason to stop measuring.
        _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn body(&self, tick: &Tick) -> String {
        let Tick { before, now, .. } = tick;
        let stage = now.stage.name();
        let elapsed = self.begun.elapsed().as_secs();
        let purpose = if self.purpose.is_empty() { stage } else { &self.purpose };
        let mut text = format!("{}\n{purpose} ({stage}), {elapsed} s\n\n", self.title);
        let mut rates = Table::new(["", "tx>", "rx>", "missing>"]);
        for (index, name) in ["outward", "inward"].into_iter().enumerate() {
            let [tx, rx] =
                [rate(tick, before.sent, now.sent), rate(tick, before.received, now.received)]
                    .map(|rates| rates[index]);
            let missing = now.sent[index].saturating_sub(now.received[index]);
            let row = [Unit::Pps.format(tx), Unit::Pps.format(rx), missing.to_string()];
            let [tx, rx, missing] = row;
            rates.push([name.to_owned(), tx, rx, missing]);
        }
        text.push_str(&rates.text());
        let [p50, p99, p999] = now.latency_ns.map(|ns| Unit::Ns.format(ns as f64));
        text.push_str(&format!("\nlatency  p50 {p50}  p99 {p99}  p99.9 {p999}\n"));
        text.push_str(&format!("counters {}\n", counters(now)));
        let mut bounds = Table::new(["goal", "met at>", "not met at>"]);
        for Known { goal, lower, upper } in &self.bounds {
            let written =
                |load: &Option<f64>| load.map_or("?".to_owned(), |load| Unit::Pps.format(load));
            bounds.push([goal.clone(), written(lower), written(upper)]);
        }
        if !bounds.rows.is_empty() {
            text.push_str(&format!("\n{}", bounds.text()));
        }
        if !self.recent.is_empty() {
            text.push_str(&format!("\n{}\n", self.recent.join("\n")));
        }
        text
    }
}

/// What happened in a part of a second.
pub fn live_line(tick: &Tick) -> String {
    let Tick { second, before, now, .. } = tick;
    let stage = now.stage.name();
    if now.stage == Stage::Resolving {
        return format!("{second:4} s  {stage}");
    }
    let written = |[outward, inward]: [f64; 2]| format!("{}+{}", Si(outward), Si(inward));
    let tx = written(rate(tick, before.sent, now.sent));
    let rx = written(rate(tick, before.received, now.received));
    let [p50, p99, _] = now.latency_ns.map(|ns| Unit::Ns.format(ns as f64));
    let defects = now.defects.of_path();
    format!(
        "{second:4} s  {stage:<9}  tx {tx} pps  rx {rx} pps  p50 {p50}  p99 {p99}  defects {defects}"
    )
}

/// Frames per second of each direction between two looks.
fn rate(tick: &Tick, before: [u64; 2], now: [u64; 2]) -> [f64; 2] {
    let same = tick.now.phase == tick.before.phase;
    std::array::from_fn(|index| {
        let before = if same { before[index] } else { 0 };
        now[index].saturating_sub(before) as f64 / tick.seconds
    })
}

fn trial_line(record: &TrialRecord, bounds: &[Known]) -> String {
    let load = record.load_pps.map_or("max".to_owned(), |load| Unit::Pps.format(load));
    let flags = [(record.tg_limited, ", TG-limited"), (record.disturbed, ", disturbed")];
    let flags: String = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
    let written = |load: &Option<f64>| load.map_or("?".to_owned(), |load| Unit::Pps.format(load));
    let bounds: Vec<String> = bounds
        .iter()
        .map(|Known { goal, lower, upper }| {
            format!("{goal} {} to {}", written(lower), written(upper))
        })
        .collect();
    format!(
        "trial {:>3}  {load:>11} for {:>7}  loss {:>9}  p99 {:>9}{flags}  {}",
        record.number,
        Unit::S.format(record.duration_s),
        Unit::Ratio.format(record.loss_ratio),
        Unit::Ns.format(record.latency_ns.p99 as f64),
        bounds.join("  ")
    )
    .trim_end()
    .to_owned()
}

/// Broken invariants in red; strangers' frames as they are.
fn counters(now: &Glance) -> String {
    let found: Vec<String> = now
        .defects
        .named()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("\x1b[31m{name} {count}\x1b[0m"))
        .collect();
    if found.is_empty() { "all 0".to_owned() } else { found.join("  ") }
}

/// Lines of the past that stay on the screen.
const RECENT: usize = 8;
