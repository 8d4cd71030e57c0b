//! What becomes of a record: files, and the table.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::{Failure, Global, environment};
use crate::calibration;
use crate::flow::Direction;
use crate::page::Page;
use crate::record::{self, Case, Host, Record, SCHEMA, Setup};
use crate::session::Session;

/// A measurement that has begun.
pub(super) struct Begun {
    pub(super) record: Record,
    at: Instant,
}

impl Begun {
    /// Now, on this session, in these directions.
    pub(super) fn new(global: &Global, session: &Session, directions: &[Direction]) -> Self {
        let layout = &session.layout;
        let names: Vec<&str> = layout.streams.iter().map(|stream| stream.name.as_str()).collect();
        let setup = Setup {
            ports: session.devices(),
            sut: layout.sut.name().to_owned(),
            directions: directions.iter().map(|direction| direction.name().to_owned()).collect(),
            protocols: names.join(", "),
            seed: layout.seed,
            core: session.core(),
            max_load_pps: 0.0,
        };
        let calibration = calibration::stored(&session.drivers(), &layout.sizes());
        let record = Record {
            schema: SCHEMA.to_owned(),
            command: std::env::args().collect(),
            started: jiff::Timestamp::now().to_string(),
            host: Host::read(session.core(), session.uses_hugepages()),
            setup,
            // Read when the session was opened: there is a file, and it can be read.
            profile: global.config.as_ref().and_then(|file| fs::read_to_string(file).ok()),
            calibration: calibration.and_then(|found| serde_json::to_value(found).ok()),
            ..Record::default()
        };
        Self { record, at: Instant::now() }
    }

    /// The command line.
    pub(super) fn command(&self) -> String {
        self.record.command.join(" ")
    }

    /// The record of these cases.
    pub(super) fn end(mut self, cases: Vec<Case>) -> Record {
        let trials = || cases.iter().flat_map(|case| &case.trials);
        self.record.host.context_switches = trials().map(|trial| trial.context_switches).sum();
        self.record.host.steal_s = trials().map(|trial| trial.steal_s).sum();
        Record { elapsed_s: self.at.elapsed().as_secs_f64(), cases, ..self.record }
    }
}

/// Writes the files that were asked for, and prints the table.
pub(super) fn publish(record: &Record, global: &Global) -> Result<(), Failure> {
    if let Some(path) = &global.json {
        let mut text =
            serde_json::to_string(record).map_err(|error| environment(&error.to_string()))?;
        text.push('\n');
        write(path, &text)?;
    }
    write_pages(record, global)?;
    if !global.quiet {
        println!();
        print!("{}", record::results(record).text());
    }
    for warning in &record.warnings {
        println!("{warning}");
    }
    Ok(())
}

/// The files of `--csv` and `--html`.
pub(super) fn write_pages(record: &Record, global: &Global) -> Result<(), Failure> {
    if let Some(dir) = &global.csv {
        fs::create_dir_all(dir).map_err(|error| failure(dir, &error))?;
        for (name, text) in record::csv_files(record) {
            write(&dir.join(name), &text)?;
        }
    }
    if let Some(path) = &global.html {
        write_page(&record::page(record), path)?;
    }
    Ok(())
}

/// One page as a file.
pub(super) fn write_page(page: &Page, path: &Path) -> Result<(), Failure> {
    write(path, &page.html())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &std::io::Error) -> Failure {
    environment(&format!("{}: {error}", path.display()))
}
