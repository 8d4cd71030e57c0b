//! The journal's file: lines of text, appended and on disk before anybody relies on them. What is torn at its end was not relied
//! on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::engine::ids::WorkerId;
use crate::nat::leases::Lease;

/// Worker, external address, first port of unit 0, ports of a unit.
type Key = (u8, u32, u16, u16);

/// The leases of all workers, in memory and in the file.
pub struct Book {
    path: PathBuf,
    /// None until it was written as a whole; then lines are appended.
    file: Option<File>,
    leased: BTreeMap<Key, u128>,
    /// What may have been in use when the process before this one ended, and until when it rests.
    before: Vec<Lease>,
    rests_until: Instant,
    pending: String,
    lines: usize,
}

impl Book {
    /// Opens the journal at a path, where there need not be one. What it tells of rests for `hold`, counted from when the
    /// process before ended, as far as that can be known.
    ///
    /// # Errors
    /// When the file is there but cannot be read, is no journal, or cannot be written.
    pub fn open(path: &Path, hold: Duration) -> io::Result<Self> {
        let mut book = Self {
            path: path.to_owned(),
            file: None,
            leased: BTreeMap::new(),
            before: Vec::new(),
            rests_until: Instant::now(),
            pending: String::new(),
            lines: 0,
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                let touched = fs::metadata(path)?.modified()?;
                book.remember(&text, touched, hold)?;
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
        book.rewrite()?;
        Ok(book)
    }

    fn remember(&mut self, text: &str, touched: SystemTime, hold: Duration) -> io::Result<()> {
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        if lines.next() != Some(HEADER) {
            let why = "this is not a journal of vnf; move it away, or name another file";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut leased: BTreeMap<Key, u128> = BTreeMap::new();
        let mut ended = touched + MARGIN;
        for line in lines {
            match parse(line) {
                Some(Line::Changed(key, units, false)) => *leased.entry(key).or_default() |= units,
                Some(Line::Changed(key, units, true)) => *leased.entry(key).or_default() &= !units,
                Some(Line::Stopped(at)) => ended = at,
                None => {}
            }
        }
        // A clock that was set back in between says nothing: then everything rests in full.
        let since = SystemTime::now().duration_since(ended).unwrap_or_default();
        let rest = hold.saturating_sub(since);
        if !rest.is_zero() {
            self.rests_until = Instant::now() + rest;
            let used = leased.into_iter().filter(|(_, units)| *units != 0);
            self.before = used
                .map(|((_, address, base, unit), units)| Lease {
                    address,
                    base,
                    unit,
                    units,
                    ended: false,
                })
                .collect();
        }
        Ok(())
    }

    /// What may have been in use when the process before this one ended.
    pub fn before(&self) -> &[Lease] {
        &self.before
    }

    /// For how long that still rests.
    pub fn rests_for(&self) -> Duration {
        self.rests_until.saturating_duration_since(Instant::now())
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a worker's wish into the next [`Self::commit`].
    pub fn note(&mut self, worker: WorkerId, lease: &Lease) {
        let key = (worker.0, lease.address, lease.base, lease.unit);
        let leased = self.leased.entry(key).or_default();
        *leased = if lease.ended { *leased & !lease.units } else { *leased | lease.units };
        write_line(&mut self.pending, key, lease.units, lease.ended);
        self.lines += 1;
    }

    /// Brings everything noted to disk, and shows that the process lives.
    ///
    /// # Errors
    /// When that fails; it is tried again as a whole the next time.
    pub fn commit(&mut self) -> io::Result<()> {
        let rested = !self.before.is_empty() && self.rests_for().is_zero();
        if rested {
            self.before.clear();
        }
        if rested || self.file.is_none() || self.lines > 4 * self.leased.len() + SPARE_LINES {
            return self.rewrite();
        }
        let appended = self.append();
        if appended.is_err() {
            self.file = None;
        }
        appended
    }

    /// Notes that nothing is in use any more, and when that was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        writeln!(self.pending, "stopped {}", now.as_millis()).expect(INFALLIBLE);
        self.append()
    }

    fn append(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        if self.pending.is_empty() {
            return file.set_modified(SystemTime::now());
        }
        file.write_all(self.pending.as_bytes())?;
        file.sync_data()?;
        self.pending.clear();
        Ok(())
    }

    /// Writes everything anew, beside the old file and then in its place.
    fn rewrite(&mut self) -> io::Result<()> {
        self.file = None;
        let mut text = format!("{HEADER}\n");
        for lease in &self.before {
            let key = (BEFORE, lease.address, lease.base, lease.unit);
            write_line(&mut text, key, lease.units, false);
        }
        self.leased.retain(|_, units| *units != 0);
        for (key, units) in &self.leased {
            write_line(&mut text, *key, *units, false);
        }
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(MODE).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(directory)?.sync_all()?;
        self.file = Some(file);
        self.lines = self.leased.len() + self.before.len();
        self.pending.clear();
        Ok(())
    }
}

enum Line {
    Changed(Key, u128, bool),
    Stopped(SystemTime),
}

fn write_line(text: &mut String, (worker, address, base, unit): Key, units: u128, ended: bool) {
    let verb = if ended { "return" } else { "lease" };
    let address = Ipv4Addr::from(address);
    writeln!(text, "{verb} {worker} {address} {base} {unit} {units:032x}").expect(INFALLIBLE);
}

fn parse(line: &str) -> Option<Line> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["stopped", at] => {
            Some(Line::Stopped(SystemTime::UNIX_EPOCH + Duration::from_millis(at.parse().ok()?)))
        }
        [verb @ ("lease" | "return"), worker, address, base, unit, units] => {
            let address: Ipv4Addr = address.parse().ok()?;
            let key =
                (worker.parse().ok()?, address.into(), base.parse().ok()?, unit.parse().ok()?);
            Some(Line::Changed(key, u128::from_str_radix(units, 16).ok()?, verb == "return"))
        }
        _ => None,
    }
}

const HEADER: &str = "vnf-nat-journal 1";
/// Stands for the workers of the process before.
const BEFORE: u8 = u8::MAX;
const INFALLIBLE: &str = "writing to a string cannot fail";
/// How much later than the file was last touched the process may have ended: it touches the file every ten seconds, and the
/// file system may take some more to keep that.
const MARGIN: Duration = Duration::from_secs(60);
const MODE: u32 = 0o640;
/// Lines that the file may have beyond those that count.
const SPARE_LINES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(120);

    fn lease(units: u128, ended: bool) -> Lease {
        Lease { address: 0xc633_640a, base: 0, unit: 512, units, ended }
    }

    /// What rests, of all workers.
    fn units(book: &Book) -> u128 {
        book.before().iter().fold(0, |units, lease| units | lease.units)
    }

    #[test]
    fn what_was_leased_at_the_last_moment_rests_after_a_crash_and_after_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("below/journal");
        let mut book = Book::open(&path, HOLD).expect("a new journal");
        assert!(book.before().is_empty());
        book.note(WorkerId(0), &lease(0b1110, false));
        book.commit().expect("a disk");
        book.note(WorkerId(0), &lease(0b0010, true));
        book.note(WorkerId(1), &lease(0b0001, false));
        book.commit().expect("a disk");
        drop(book);
        for _ in 0..2 {
            let book = Book::open(&path, HOLD).expect("the journal");
            assert_eq!(units(&book), 0b1101);
            assert!(book.rests_for() > Duration::from_secs(100));
        }
    }

    #[test]
    fn what_ended_in_order_long_ago_does_not_rest() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let mut book = Book::open(&path, HOLD).expect("a new journal");
        book.note(WorkerId(0), &lease(1, false));
        book.commit().expect("a disk");
        book.end().expect("a disk");
        assert_eq!(units(&Book::open(&path, HOLD).expect("the journal")), 1);
        let stopped = |seconds| {
            let at = SystemTime::now() - Duration::from_secs(seconds);
            let ms = at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
            let text = format!("{HEADER}\nlease 0 198.51.100.10 0 512 1\nstopped {ms}\n");
            fs::write(&path, text).expect("a disk");
            Book::open(&path, HOLD).expect("the journal")
        };
        assert!(stopped(121).before().is_empty());
        let book = stopped(60);
        assert_eq!(units(&book), 1);
        assert!(book.rests_for() <= Duration::from_secs(60));
    }

    #[test]
    fn a_crash_long_ago_is_told_by_the_files_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        for (ago, rests) in [(170, true), (190, false)] {
            fs::write(&path, format!("{HEADER}\nlease 0 198.51.100.10 0 512 1\n")).expect("a disk");
            let file = File::options().append(true).open(&path).expect("the journal");
            file.set_modified(SystemTime::now() - Duration::from_secs(ago)).expect("a file system");
            let book = Book::open(&path, HOLD).expect("the journal");
            assert_eq!(!book.before().is_empty(), rests, "{ago}");
        }
    }

    #[test]
    fn a_torn_line_was_relied_on_by_nobody_and_another_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let text =
            format!("{HEADER}\nlease 0 198.51.100.10 0 512 1\nlease 0 198.51.100.10 0 512 f");
        fs::write(&path, text).expect("a disk");
        assert_eq!(units(&Book::open(&path, HOLD).expect("the journal")), 1);
        fs::write(&path, "something else\n").expect("a disk");
        assert!(Book::open(&path, HOLD).is_err());
        assert_eq!(fs::read_to_string(&path).expect("the file"), "something else\n");
    }

    #[test]
    fn the_file_stays_short_and_what_has_rested_leaves_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let mut book = Book::open(&path, HOLD).expect("a new journal");
        for round in 0..3000 {
            book.note(WorkerId(0), &lease(1 << (round % 100), round % 2 == 0));
            if round % 100 == 0 {
                book.commit().expect("a disk");
            }
        }
        book.commit().expect("a disk");
        let lines = |path: &Path| fs::read_to_string(path).expect("the file").lines().count();
        assert!(lines(&path) < 1200);
        drop(book);
        let mut book = Book::open(&path, Duration::from_millis(1)).expect("the journal");
        std::thread::sleep(Duration::from_millis(2));
        book.commit().expect("a disk");
        assert_eq!((book.before().len(), lines(&path)), (0, 1));
    }
}
