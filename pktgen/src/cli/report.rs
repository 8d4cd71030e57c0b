//! `pktgen report`: pages from the JSON of earlier measurements.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::publish::write_page;
use super::{Failure, Global, environment};
use crate::page::Page;
use crate::record::{Record, SCHEMA, comparison, page, results};

#[derive(Args, Debug)]
pub(super) struct Report {
    /// JSON files; several are compared with the first
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file is the record of a measurement, or a page that some other program has put together.
enum Document {
    Page(Page),
    Record(Box<Record>),
}

impl Report {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let mut records = Vec::new();
        let mut pages = Vec::new();
        for path in &self.files {
            match read(path)? {
                Document::Page(page) => pages.push(page),
                Document::Record(record) => records.push((self.name(path), *record)),
            }
        }
        let page = match (&records[..], &mut pages[..]) {
            ([], [only]) => std::mem::take(only),
            ([(_, only)], []) => page(only),
            (several, []) => comparison(several),
            _ => {
                let why = "a page can only be rendered alone: records are what is compared";
                return Err(Failure::Usage(why.to_owned()));
            }
        };
        if let Some(path) = &global.html {
            write_page(&page, path)?;
        }
        if !global.quiet {
            match &records[..] {
                [(_, only)] => print!("{}", results(only).text()),
                _ => page
                    .sections
                    .first()
                    .into_iter()
                    .flat_map(|section| &section.tables)
                    .for_each(|table| print!("{}", table.text())),
            }
        }
        Ok(0)
    }

    /// The shortest name that tells the files apart.
    fn name(&self, path: &Path) -> String {
        let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let same = self.files.iter().filter(|other| stem(other) == stem(path)).count();
        match stem(path) {
            Some(stem) if same == 1 => stem,
            _ => path.display().to_string(),
        }
    }
}

fn read(path: &Path) -> Result<Document, Failure> {
    let name = path.display();
    let text =
        fs::read_to_string(path).map_err(|error| environment(&format!("{name}: {error}")))?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{name} is not JSON: {error}")))?;
    let wrong = |error: serde_json::Error| Failure::Usage(format!("{name}: {error}"));
    match value["schema"].as_str() {
        Some(SCHEMA) => Ok(Document::Record(serde_json::from_value(value).map_err(wrong)?)),
        None if value["sections"].is_array() => {
            Ok(Document::Page(serde_json::from_value(value).map_err(wrong)?))
        }
        Some(other) => Err(Failure::Usage(format!(
            "{name} is of schema {other}, this pktgen reads {SCHEMA}: measure again, or use that version"
        ))),
        None => Err(Failure::Usage(format!("{name} is neither a record of pktgen nor a page"))),
    }
}
