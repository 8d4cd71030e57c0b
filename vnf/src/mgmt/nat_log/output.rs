//! The file that is written to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use log::warn;

use super::index::IndexWriter;
use super::search;

/// The open file.
pub(super) struct Output {
    pub(super) file: File,
    /// How long it is if nobody else has touched it.
    length: u64,
    /// None for a pipe, or once it could not be written.
    index: Option<IndexWriter>,
    /// Octets since the length was last compared.
    unchecked: u64,
}

impl Output {
    /// Opens the file for appending; it and its directory are created where missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).read(true).mode(MODE).open(path)?;
        let mut length = file.metadata()?.len();
        let mut last = [b'\n'];
        // What was torn off when the last process ended stays a line of its own. A pipe has no last octet.
        if length > 0 && file.read_exact_at(&mut last, length - 1).is_ok() && last != [b'\n'] {
            file.write_all(b"\n")?;
            length += 1;
        }
        let mut index = None;
        if file.metadata()?.is_file() {
            let tidy = search::tidy(path);
            index = tidy.and_then(|()| IndexWriter::open(path, &file)).map_err(unindexed).ok();
        }
        Ok(Self { file, length, index, unchecked: 0 })
    }

    /// These whole lines stand in the file now.
    pub(super) fn wrote(&mut self, lines: &[u8]) {
        self.length += lines.len() as u64;
        self.unchecked += lines.len() as u64;
        if let Some(index) = &mut self.index {
            let added = index.add(lines, &self.file);
            self.index = self.index.take().filter(|_| added.map_err(unindexed).is_ok());
        }
        if self.unchecked > CHECKED_EVERY {
            self.compare_length();
        }
    }

    /// Sees whether somebody else has emptied the file (logrotate's copytruncate) or written to it.
    fn compare_length(&mut self) {
        self.unchecked = 0;
        let Ok(found) = self.file.metadata().map(|metadata| metadata.len()) else { return };
        if let Some(index) = &mut self.index
            && found != self.length
        {
            if found < self.length {
                index.clear();
            }
            index.skip_to(found);
            self.length = found;
        }
    }

    /// Of `written` octets the file shall keep `whole` ones only. Failing that, [`Self::open`] ends the line.
    pub(super) fn take_back(&mut self, written: usize, whole: usize) {
        let expected = self.length + written as u64;
        if self.file.metadata().is_ok_and(|now| now.len() == expected) {
            let _ = self.file.set_len(self.length + whole as u64);
        }
    }
}

fn unindexed(why: io::Error) {
    warn!("nat44.log_file: without an index, `vnf who --at` takes longer: {why}");
}

/// Octets between two looks at the file's length.
const CHECKED_EVERY: u64 = 256 << 10;
/// Readable by the group: a log names subscribers.
pub(super) const MODE: u32 = 0o640;
