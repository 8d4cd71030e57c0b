//! The index beside a log: for each few thousand lines where they stand, when they begin, and a Bloom filter of the
//! external endpoints in them. It belongs to the file, not to its name, so rotation does not disturb it; a log without one, or
//! beyond it, is searched line by line.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::line::{EXTERNAL, TIME};

/// Adds to an index while its log is written.
pub(super) struct IndexWriter {
    path: PathBuf,
    /// Once the first chunk is complete.
    file: Option<File>,
    /// Where the next entry goes.
    end: u64,
    chunk: Chunk,
}

/// A run of whole lines.
pub(super) struct Chunk {
    /// Where it begins in the log.
    pub(super) offset: u64,
    /// Its length in octets.
    pub(super) length: u64,
    /// The earliest time in it, as written.
    pub(super) time: [u8; TIME.end - TIME.start],
    lines: usize,
    filter: Box<[u8]>,
}

/// What a line is found by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// An external address, for port blocks of it.
    Address(u32),
    /// An external endpoint.
    Endpoint(u32, u16),
    /// A line about the log itself.
    Mark,
}

impl IndexWriter {
    /// Goes on with the index of a log, or begins one. What the index lacks of a long log is left to the search.
    pub(super) fn open(log_path: &Path, log: &File) -> io::Result<Self> {
        let metadata = log.metadata()?;
        let (path, length) = (index_path(log_path, metadata.ino()), metadata.len());
        let (mut end, mut covered) = (HEADER, 0);
        let file = match Index::open(log_path, log)? {
            Some(index) => {
                end = HEADER + index.entries() as u64 * ENTRY;
                if let Some(last) = index.entries().checked_sub(1) {
                    let (offset, length, _) = index.head(last)?;
                    covered = offset + length;
                }
                Some(fs::OpenOptions::new().write(true).open(&path)?)
            }
            None => None,
        };
        let missing = length.saturating_sub(covered);
        let offset = if missing <= CAUGHT_UP { covered } else { length };
        let mut this = Self { path, file, end, chunk: Chunk::new(offset) };
        if missing <= CAUGHT_UP {
            let mut lines = vec![0; missing as usize];
            log.read_exact_at(&mut lines, offset)?;
            this.add(&lines, log)?;
        }
        Ok(this)
    }

    /// Notes lines that were written behind what is noted already.
    pub(super) fn add(&mut self, lines: &[u8], log: &File) -> io::Result<()> {
        let mut begin = 0;
        for newline in memchr::memchr_iter(b'\n', lines) {
            self.chunk.add(&lines[begin..=newline]);
            begin = newline + 1;
            if self.chunk.lines == CHUNK {
                let next = self.chunk.offset + self.chunk.length;
                let chunk = std::mem::replace(&mut self.chunk, Chunk::new(next));
                self.put(&chunk, log)?;
            }
        }
        Ok(())
    }

    /// Starts a chunk at this place: what is between is not of our writing.
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.chunk = Chunk::new(offset);
    }

    /// Forgets everything: the log was emptied.
    pub(super) fn clear(&mut self) {
        (self.file, self.end, self.chunk) = (None, HEADER, Chunk::new(0));
        // It may never have been there.
        let _ = fs::remove_file(&self.path);
    }

    fn put(&mut self, chunk: &Chunk, log: &File) -> io::Result<()> {
        if self.file.is_none() {
            let mut options = fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, super::output::MODE);
            let file = options.create(true).truncate(true).write(true).open(&self.path)?;
            file.write_all_at(&header(log)?, 0)?;
            (self.file, self.end) = (Some(file), HEADER);
        }
        if let Some(file) = &self.file {
            file.write_all_at(&chunk.entry(), self.end)?;
            self.end += ENTRY;
        }
        Ok(())
    }
}

impl Chunk {
    fn new(offset: u64) -> Self {
        let time = [b'9'; TIME.end - TIME.start];
        Self { offset, length: 0, time, lines: 0, filter: vec![0; FILTER].into() }
    }

    fn add(&mut self, line: &[u8]) {
        self.length += line.len() as u64;
        self.lines += 1;
        if let Some(time) = line.get(TIME)
            && time < &self.time[..]
        {
            self.time.copy_from_slice(time);
        }
        let (block, bits) = key_of(line).bits();
        let block = &mut self.filter[block..block + BLOCK];
        for bit in bits {
            block[bit / 8] |= 1 << (bit % 8);
        }
    }

    fn entry(&self) -> Vec<u8> {
        let mut entry = Vec::with_capacity(ENTRY as usize);
        entry.extend_from_slice(&self.offset.to_le_bytes());
        entry.extend_from_slice(&self.length.to_le_bytes());
        entry.extend_from_slice(&self.time);
        entry.resize(HEAD, 0);
        entry.extend_from_slice(&self.filter);
        entry
    }
}

impl Key {
    /// The block of the filter, and the bits in it.
    fn bits(self) -> (usize, [usize; 6]) {
        let number = match self {
            Self::Address(address) => u64::from(address) | 1 << 63,
            Self::Endpoint(address, port) => u64::from(address) << 16 | u64::from(port),
            Self::Mark => u64::MAX,
        };
        // The finaliser of splitmix64; it must stay as it is for the sake of indexes on disk.
        let mut hash = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        let block = (hash >> 57) as usize * BLOCK;
        (block, std::array::from_fn(|n| (hash >> (9 * n)) as usize % (BLOCK * 8)))
    }
}

/// The key of a line.
pub(super) fn key_of(line: &[u8]) -> Key {
    let endpoint = || {
        let begin = memmem::find(line, EXTERNAL)? + EXTERNAL.len();
        let text = std::str::from_utf8(&line[begin..begin + memchr::memchr(b'"', &line[begin..])?]);
        let text = text.ok()?;
        let (address, port) = text.split_once(':').unwrap_or((text, ""));
        let address: std::net::Ipv4Addr = address.parse().ok()?;
        Some(match port {
            "" => Key::Address(address.into()),
            port => Key::Endpoint(address.into(), port.parse().ok()?),
        })
    };
    endpoint().unwrap_or(Key::Mark)
}

/// An index to search.
pub(super) struct Index {
    file: File,
    entries: usize,
}

impl Index {
    /// The index of a log, unless there is none or it belongs to what the file held before.
    pub(super) fn open(log_path: &Path, log: &File) -> io::Result<Option<Self>> {
        let path = index_path(log_path, log.metadata()?.ino());
        let file = match File::open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut found = [0; HEADER as usize];
        if file.read_exact_at(&mut found, 0).is_err() || found[..] != header(log)?[..] {
            return Ok(None);
        }
        let entries = (file.metadata()?.len().saturating_sub(HEADER) / ENTRY) as usize;
        Ok(Some(Self { file, entries }))
    }

    /// How many chunks it knows.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Offset, length and earliest time of a chunk.
    pub(super) fn head(&self, entry: usize) -> io::Result<(u64, u64, [u8; 24])> {
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, HEADER + entry as u64 * ENTRY)?;
        let (mut offset, mut length, mut time) = ([0; 8], [0; 8], [0; 24]);
        offset.copy_from_slice(&head[..8]);
        length.copy_from_slice(&head[8..16]);
        time.copy_from_slice(&head[16..40]);
        Ok((u64::from_le_bytes(offset), u64::from_le_bytes(length), time))
    }

    /// Whether a line with one of these keys may be in a chunk.
    pub(super) fn may_hold(&self, entry: usize, keys: [Key; 3]) -> io::Result<bool> {
        for key in keys {
            let (block, bits) = key.bits();
            let at = HEADER + entry as u64 * ENTRY + (HEAD + block) as u64;
            let mut filter = [0; BLOCK];
            self.file.read_exact_at(&mut filter, at)?;
            if bits.iter().all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where the index of the log with this file number stands.
fn index_path(log: &Path, inode: u64) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(format!(".{inode}.{SUFFIX}"));
    path.into()
}

/// Begins an index: tells its kind, and with which line its log begins.
fn header(log: &File) -> io::Result<Vec<u8>> {
    let mut header = MAGIC.to_vec();
    let mut time = [0; TIME.end - TIME.start];
    // A log too short for that has no line yet.
    let _ = log.read_exact_at(&mut time, TIME.start as u64);
    header.extend_from_slice(&time);
    header.resize(HEADER as usize, 0);
    Ok(header)
}

/// What names of indexes end with.
pub(super) const SUFFIX: &str = "idx";
const MAGIC: &[u8; 8] = b"vnf-log1";
const HEADER: u64 = 64;
/// An entry without its filter.
const HEAD: usize = 64;
/// Lines of a chunk.
const CHUNK: usize = 4096;
/// Octets of a filter: 16 bits for each line.
const FILTER: usize = CHUNK * 2;
/// Octets of a filter that one key touches.
const BLOCK: usize = 64;
const ENTRY: u64 = (HEAD + FILTER) as u64;
/// Octets of a log that are read to complete its index when it is opened.
const CAUGHT_UP: u64 = 16 << 20;
