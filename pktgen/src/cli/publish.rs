//! What becomes of a record: files, and the table.

use std::fs;
use std::path::Path;

use super::{Failure, Global, environment};
use crate::page::Page;
use crate::record::{self, Record};

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
