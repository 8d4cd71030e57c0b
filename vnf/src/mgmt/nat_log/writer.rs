//! From the workers' rings to the file. Whatever the disk does, workers never wait: while nothing can be written nothing
//! is taken from the rings, and what finds them full is counted.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::line::{Lines, Mark};
use super::output::Output;
use super::{Figures, Source};
use crate::config::VrfNames;
use crate::engine::clock::Clock;
use crate::engine::record::RECORDS;

/// Writes the log; lives on a thread of its own.
pub(super) struct Writer {
    sources: Vec<Source>,
    clock: Clock,
    lines: Lines,
    path: Option<PathBuf>,
    output: Option<Output>,
    /// Lines not yet written as a whole.
    pending: Vec<u8>,
    /// How much of them has been written.
    done: usize,
    /// How many records they hold.
    records: u64,
    /// Losses that stand in the log already.
    lost: u64,
    retry: Option<Instant>,
    /// What deterministic mappings are computed from, and when the log was told last.
    parameters: Option<String>,
    pub(super) described: Instant,
    figures: Arc<Figures>,
}

impl Writer {
    pub(super) fn new(
        sources: Vec<Source>,
        clock: Clock,
        figures: Arc<Figures>,
        vrfs: VrfNames,
    ) -> Self {
        let lines = Lines::new(clock.now(), vrfs);
        Self {
            sources,
            clock,
            lines,
            path: None,
            output: None,
            pending: Vec::with_capacity(BATCH * 192),
            done: 0,
            records: 0,
            lost: 0,
            retry: None,
            parameters: None,
            described: Instant::now(),
            figures,
        }
    }

    /// Writes to this file from now on, or nowhere.
    pub(super) fn write_to(&mut self, path: Option<PathBuf>) {
        if path == self.path {
            return;
        }
        if self.path.is_some() {
            self.finish();
        }
        (self.path, self.output, self.retry) = (path, None, None);
        self.pending.clear();
        (self.done, self.records) = (0, 0);
        if self.path.is_some() {
            self.lost = self.losses();
            self.mark(Mark::Started);
            self.mark_parameters();
        }
    }

    /// These are the parameters of deterministic allocation from now on (RFC 7422 section 3).
    pub(super) fn describe(&mut self, parameters: Option<String>) {
        if parameters != self.parameters {
            self.parameters = parameters;
            self.mark_parameters();
        }
    }

    fn mark_parameters(&mut self) {
        self.described = Instant::now();
        if self.path.is_some()
            && let Some(parameters) = &self.parameters
        {
            let now = self.clock.now();
            self.lines.set_clock(now);
            self.lines.parameters(parameters, now, &mut self.pending);
        }
    }

    /// Opens the file anew: somebody has moved it away.
    pub(super) fn reopen(&mut self) {
        self.close();
        self.retry = None;
    }

    /// Writes what there is, and that nothing more will come.
    pub(super) fn finish(&mut self) {
        // No more than the rings hold: workers may go on.
        for _ in 0..self.sources.len() * RECORDS / BATCH + 2 {
            if !self.turn() {
                break;
            }
        }
        if self.path.is_some() && self.pending.is_empty() {
            self.mark(Mark::Stopped);
            self.flush();
        }
    }

    /// Whether there is a file to write to.
    pub(super) fn is_on(&self) -> bool {
        self.path.is_some()
    }

    /// Takes a batch of records and writes it; returns whether there may be more.
    pub(super) fn turn(&mut self) -> bool {
        if self.path.is_none() {
            self.discard();
            return false;
        }
        if self.described.elapsed() >= DAY {
            self.mark_parameters();
        }
        if self.pending.is_empty() {
            self.take_records();
        }
        (self.output.is_none() || !self.pending.is_empty()) && self.flush()
    }

    fn take_records(&mut self) {
        self.lines.set_clock(self.clock.now());
        let share = BATCH / self.sources.len().max(1);
        for source in &self.sources {
            for _ in 0..share {
                let Some(record) = source.rings.records.pop() else { break };
                self.lines.record(&record, &mut self.pending);
                self.records += 1;
            }
        }
        let lost = self.losses();
        if lost > self.lost {
            self.mark(Mark::Lost(lost - self.lost));
            self.lost = lost;
        }
    }

    /// Writes as much as goes; returns whether everything went.
    fn flush(&mut self) -> bool {
        if self.retry.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        match self.write() {
            Ok(()) => {
                if self.retry.take().is_some() {
                    info!("nat44.log_file: written again");
                }
                self.figures.written.fetch_add(self.records, Relaxed);
                self.records = 0;
                true
            }
            Err(why) => {
                self.close();
                self.figures.errors.fetch_add(1, Relaxed);
                if self.retry.is_none() {
                    let path = self.path.as_deref().unwrap_or(Path::new("")).display();
                    warn!(
                        "nat44.log_file: {path} cannot be written: {why}; trying again every second"
                    );
                }
                self.retry = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.output.is_none() {
            self.output = Some(Output::open(path)?);
        }
        let Some(output) = &mut self.output else { return Ok(()) };
        while self.done < self.pending.len() {
            match output.file.write(&self.pending[self.done..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.done += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        output.wrote(&self.pending);
        self.pending.clear();
        self.done = 0;
        Ok(())
    }

    /// Lets go of the file. A line written in part is taken back, and is written as a whole to the next one.
    fn close(&mut self) {
        let whole = self.pending[..self.done].iter().rposition(|octet| *octet == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        if let Some(mut output) = self.output.take() {
            if whole < self.done {
                output.take_back(self.done, whole);
            }
            output.wrote(&self.pending[..whole]);
        }
        self.pending.drain(..whole);
        self.done = 0;
    }

    fn mark(&mut self, mark: Mark) {
        self.lines.set_clock(self.clock.now());
        self.lines.mark(mark, self.clock.now(), &mut self.pending);
    }

    fn losses(&self) -> u64 {
        self.sources.iter().map(|source| source.counters.records_lost.read()).sum()
    }

    /// Forgets what came from workers that had not heard yet that nothing is to be logged.
    fn discard(&self) {
        for source in &self.sources {
            while source.rings.records.pop().is_some() {}
        }
    }
}

/// How often the parameters are repeated.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// Records taken in one turn, all workers together.
const BATCH: usize = 8192;
/// How long a file that cannot be written is left alone.
const RETRY: Duration = Duration::from_secs(1);
