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
        if self.mode == Mode::Lines && self.bounds != bounds {
            let known: Vec<String> = bounds.iter().map(known).collect();
            println!("{:>11}{}", "", known.join("  "));
        }
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
        self.say(&trial_line(record));
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

/// What is known of a goal.
fn known(Known { goal, lower, upper }: &Known) -> String {
    match (lower.map(|load| Unit::Pps.format(load)), upper.map(|load| Unit::Pps.format(load))) {
        (None, None) => format!("{goal} unknown"),
        (None, Some(upper)) => format!("{goal} below {upper}"),
        (Some(lower), None) => format!("{goal} at least {lower}"),
        (Some(lower), Some(upper)) => format!("{goal} {lower} to {upper}"),
    }
}

fn trial_line(record: &TrialRecord) -> String {
    let load = record.load_pps.map_or("max".to_owned(), |load| Unit::Pps.format(load));
    let flags = [(record.tg_limited, ", TG-limited"), (record.disturbed, ", disturbed")];
    let flags: String = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
    format!(
        "trial {:>4}  {load:>11} for {:>7}  loss {:>9}  p99 {:>9}{flags}",
        record.number,
        Unit::S.format(record.duration_s),
        Unit::Ratio.format(record.loss_ratio),
        Unit::Ns.format(record.latency_ns.p99 as f64),
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::Defects;

    fn tick() -> Tick {
        let before = Glance { phase: 3, stage: Stage::Measuring, ..Glance::default() };
        let now = Glance {
            sent: [1_000_000, 500_000],
            received: [999_000, 500_000],
            defects: Defects { remap: 2, ..Defects::default() },
            latency_ns: [5000, 9000, 1_000_000],
            ..before
        };
        Tick { second: 12, seconds: 0.5, before, now }
    }

    #[test]
    fn a_line_has_rates_latency_and_defects() {
        let line =
            "  12 s  measuring  tx 2M+1M pps  rx 1.998M+1M pps  p50 5 µs  p99 9 µs  defects 2";
        assert_eq!(live_line(&tick()), line);
        let mut tick = tick();
        tick.before.sent = [900_000, 0];
        assert!(live_line(&tick).contains("tx 200k+1M pps"));
        tick.now.phase = 4;
        assert!(
            live_line(&tick).contains("tx 2M+1M pps"),
            "the counters of a new phase begin at 0"
        );
    }

    #[test]
    fn the_screen_has_bounds_and_counters_that_are_not_0_in_red() {
        let mut screen = Screen::new(Mode::Quiet, "64 octets, 1000 flows");
        screen.purpose("search", 2);
        let (goal, lower) = ("ndr".to_owned(), Some(1.5e6));
        screen.bounds(&[Known { goal, lower, upper: None }]);
        let body = screen.body(&tick());
        for part in [
            "search, repetition 2 (measuring)",
            "outward  2 Mpps  1.998 Mpps     1000",
            "p99.9 1 ms",
            "\x1b[31mremap 2\x1b[0m",
            "ndr   1.5 Mpps           ?",
        ] {
            assert!(body.contains(part), "{part} in\n{body}");
        }
        assert!(!body.contains("bad_ttl"));
    }
}
