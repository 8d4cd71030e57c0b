//! Who held an external endpoint at some time: the log read backwards, with the help of its index.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddrV4;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use memchr::{memchr, memmem, memrchr};
use serde::Deserialize;

use super::index::{Index, Key, SUFFIX};
use super::line::{EVENT, EXTERNAL, PARAMETERS, TIME};

/// What is asked of the log.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The external endpoint.
    pub(crate) external: SocketAddrV4,
    /// Which protocols, by name.
    pub(crate) protocols: Vec<String>,
    /// The time, as the log writes it.
    pub(crate) at: String,
}

/// The last that the log knows of an external endpoint and a protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trace {
    /// The protocol's name; `any` for a port block.
    pub(crate) protocol: String,
    /// The internal endpoint; of a port block the host.
    pub(crate) internal: String,
    /// The VRF of the internal side.
    pub(crate) vrf: Option<String>,
    /// When the last session opened or closed.
    pub(crate) time: String,
    /// Whether the internal endpoint went on holding it.
    pub(crate) held: bool,
    /// Whether records are missing between then and the time asked about.
    pub(crate) uncertain: bool,
}

#[derive(Deserialize)]
struct Line {
    time: String,
    event: String,
    protocol: Option<String>,
    internal: String,
    #[serde(default)]
    ports: Option<String>,
    #[serde(default)]
    sessions: Option<u32>,
    #[serde(default)]
    vrf: Option<String>,
}

/// Searches a log and what was rotated away from it, as far as it is not compressed; nothing found is an empty list.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn search(log: &Path, question: &Question) -> io::Result<Vec<Trace>> {
    Ok(look(log, question, false)?.traces)
}

/// What a search found.
struct Findings {
    traces: Vec<Trace>,
    parameters: Option<String>,
}

fn look(log: &Path, question: &Question, for_parameters: bool) -> io::Result<Findings> {
    let needle = format!("{}{}\"", String::from_utf8_lossy(EXTERNAL), question.external);
    let block = format!("{}{}\"", String::from_utf8_lossy(EXTERNAL), question.external.ip());
    let mut search = Search {
        needle: memmem::Finder::new(&needle),
        block: memmem::Finder::new(&block),
        port: question.external.port(),
        at: question.at.as_bytes(),
        missing: question.protocols.clone(),
        traces: Vec::new(),
        uncertain: false,
        ended: false,
        for_parameters,
        parameters: None,
    };
    let address = u32::from(*question.external.ip());
    let keys = [Key::Endpoint(address, question.external.port()), Key::Address(address)];
    let mut files = files(log)?;
    files.sort_by_key(|file| std::cmp::Reverse(file.begins));
    for file in files.iter().filter(|file| &file.begins[..] <= question.at.as_bytes()) {
        search.file(log, &file.file, keys)?;
        if search.is_done() {
            break;
        }
    }
    Ok(Findings { traces: search.traces, parameters: search.parameters })
}

/// The parameters of deterministic allocation that were in force at a time, as far as the log tells: a JSON object.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn parameters_at(log: &Path, at: &str) -> io::Result<Option<String>> {
    let nobody = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
    let question = Question { external: nobody, protocols: vec![NOBODY.into()], at: at.to_owned() };
    Ok(look(log, &question, true)?.parameters)
}

struct Search<'a> {
    /// The endpoint, as a line has it.
    needle: memmem::Finder<'a>,
    /// Its address alone, as the line of a port block has it.
    block: memmem::Finder<'a>,
    port: u16,
    at: &'a [u8],
    /// Protocols without a trace.
    missing: Vec<String>,
    traces: Vec<Trace>,
    /// A line on the way said that records are missing.
    uncertain: bool,
    /// A line said that whatever was held before was held no more.
    ended: bool,
    /// Whether the last parameters are looked for, and nothing else.
    for_parameters: bool,
    parameters: Option<String>,
}

impl Search<'_> {
    fn is_done(&self) -> bool {
        self.ended || self.missing.is_empty()
    }

    fn file(&mut self, log: &Path, file: &File, [key, address]: [Key; 2]) -> io::Result<()> {
        let mut end = file.metadata()?.len();
        if let Some(index) = Index::open(log, file)? {
            for entry in (0..index.entries()).rev() {
                let (offset, length, time) = index.head(entry)?;
                if offset + length > end {
                    continue;
                }
                self.lines(file, offset + length, end)?;
                if &time[..] <= self.at && index.may_hold(entry, [key, Key::Mark, address])? {
                    self.lines(file, offset, offset + length)?;
                }
                if self.is_done() {
                    return Ok(());
                }
                end = offset;
            }
        }
        self.lines(file, 0, end)
    }

    /// Looks at the lines of a part of the file, the last one first, until enough is known.
    fn lines(&mut self, file: &File, start: u64, mut end: u64) -> io::Result<()> {
        let mut rest: Vec<u8> = Vec::new();
        while end > start && !self.is_done() {
            let from = start.max(end.saturating_sub(WINDOW));
            let mut text = vec![0; (end - from) as usize];
            file.read_exact_at(&mut text, from)?;
            text.append(&mut rest);
            // The first line may begin further up.
            let first = if from == start { 0 } else { memchr(b'\n', &text).map_or(0, |at| at + 1) };
            let mut until = text.len();
            while until > first && !self.is_done() {
                let begin =
                    memrchr(b'\n', &text[first..until - 1]).map_or(first, |at| first + at + 1);
                self.line(&text[begin..until]);
                until = begin;
            }
            text.truncate(first);
            (rest, end) = (text, from);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        if line.get(TIME).is_none_or(|time| time > self.at) {
            return;
        }
        match line.get(EVENT..) {
            // Parameters stay what they are while nothing is logged.
            Some(event) if event.starts_with(b"stopped") => self.ended = !self.for_parameters,
            Some(event) if event.starts_with(b"started") => self.ended = true,
            Some(event) if event.starts_with(PARAMETERS) && self.for_parameters => {
                let text = event[PARAMETERS.len()..].trim_ascii_end();
                self.parameters = Some(format!("{{{}", String::from_utf8_lossy(text)));
                self.ended = true;
            }
            Some(event) if event.starts_with(b"lost") => self.uncertain = true,
            Some(event)
                if (event.starts_with(b"given") || event.starts_with(b"returned"))
                    && self.block.find(event).is_some() =>
            {
                self.block(line);
            }
            Some(event) if self.needle.find(event).is_some() => self.record(line),
            _ => {}
        }
    }

    fn record(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
        let Some(protocol) = line.protocol else { return };
        let Some(at) = self.missing.iter().position(|name| *name == protocol) else { return };
        self.missing.swap_remove(at);
        self.traces.push(Trace {
            protocol,
            internal: line.internal,
            vrf: line.vrf,
            time: line.time,
            held: line.event == "opened" || line.sessions != Some(0),
            uncertain: self.uncertain,
        });
    }
}

impl Search<'_> {
    /// Takes the line of a port block, if the port is in it: it tells of every protocol.
    fn block(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
        let ports = line.ports.as_deref().and_then(|ports| ports.split_once('-'));
        let within = ports.and_then(|(first, last)| {
            Some((first.parse::<u16>().ok()?..=last.parse().ok()?).contains(&self.port))
        });
        if within != Some(true) {
            return;
        }
        self.missing.clear();
        self.traces.push(Trace {
            protocol: "any".to_owned(),
            internal: line.internal,
            vrf: line.vrf,
            time: line.time,
            held: line.event == "given",
            uncertain: self.uncertain,
        });
    }
}

/// A log, or a part that was rotated away.
struct Part {
    file: File,
    /// The time of its first line.
    begins: [u8; TIME.end - TIME.start],
}

/// The log's files that can be read.
fn files(log: &Path) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for path in names(log)? {
        let file = File::open(path)?;
        let mut begins = [0; TIME.end - TIME.start];
        if file.read_exact_at(&mut begins, TIME.start as u64).is_ok() {
            parts.push(Part { file, begins });
        }
    }
    Ok(parts)
}

fn names(log: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name()) else {
        return Ok(Vec::new());
    };
    let name = name.to_string_lossy();
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = found.strip_prefix(&*name) else { continue };
        let rotated = rest.is_empty() || rest.starts_with(['.', '-']);
        let other = COMPRESSED.iter().any(|suffix| rest.ends_with(suffix)) || is_index(rest);
        if rotated && !other && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            names.push(entry.path());
        }
    }
    Ok(names)
}

fn is_index(rest: &str) -> bool {
    rest.strip_suffix(SUFFIX).is_some_and(|rest| rest.ends_with('.'))
}

/// Removes the indexes of files that are not there any more.
pub(super) fn tidy(log: &Path) -> io::Result<()> {
    let inode = |path: PathBuf| fs::metadata(path).map(|found| found.ino().to_string()).ok();
    let inodes: Vec<String> = names(log)?.into_iter().filter_map(inode).collect();
    let (Some(directory), Some(name)) = (log.parent(), log.file_name()) else { return Ok(()) };
    for entry in fs::read_dir(directory)?.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let number = found
            .strip_prefix(&*name.to_string_lossy())
            .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(SUFFIX)?.strip_suffix('.'))
            .filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
        if number.is_some_and(|number| !inodes.iter().any(|inode| inode == number)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// No protocol's name.
const NOBODY: &str = "-";
/// Endings of what cannot be searched.
const COMPRESSED: [&str; 5] = [".bz2", ".gz", ".lz4", ".xz", ".zst"];
/// Octets read at once.
const WINDOW: u64 = 1 << 20;

#[cfg(test)]
mod tests;
