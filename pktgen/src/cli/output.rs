//! Files that commands write.

use std::path::Path;

use serde::Serialize;

use super::{Failure, Global, environment};
use crate::offence;
use crate::session::Session;

/// Writes a record to the file of `--json`, if one is given.
pub(super) fn json(global: &Global, record: &impl Serialize) -> Result<(), Failure> {
    global.json.as_ref().map_or(Ok(()), |path| write_json(record, path))
}

/// Writes a record as JSON.
pub(super) fn write_json(record: &impl Serialize, path: &Path) -> Result<(), Failure> {
    let write = || -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(record)?;
        text.push('\n');
        Ok(std::fs::write(path, text)?)
    };
    write().map_err(|error| failure(path, &error))
}

/// Writes the frames with defects to the file of `--pcap-errors`, if one is given.
pub(super) fn offenders(global: &Global, session: &Session) -> Result<(), Failure> {
    let Some(path) = &global.pcap_errors else { return Ok(()) };
    let offenders = session.engine.verifier.offenders.list();
    offence::write(offenders, session.started, path).map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &anyhow::Error) -> Failure {
    environment(&format!("{}: {error}", path.display()))
}
