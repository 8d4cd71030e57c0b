//! The file that is written to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The open file.
pub(super) struct Output {
    pub(super) file: File,
    /// How long it is if nobody else has touched it.
    length: u64,
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
        Ok(Self { file, length })
    }

    /// These whole lines stand in the file now.
    pub(super) fn wrote(&mut self, lines: &[u8]) {
        self.length += lines.len() as u64;
    }

    /// Of `written` octets the file shall keep `whole` ones only. Failing that, [`Self::open`] ends the line.
    pub(super) fn take_back(&mut self, written: usize, whole: usize) {
        let expected = self.length + written as u64;
        if self.file.metadata().is_ok_and(|now| now.len() == expected) {
            let _ = self.file.set_len(self.length + whole as u64);
        }
    }
}

/// Readable by the group: a log names subscribers.
const MODE: u32 = 0o640;
