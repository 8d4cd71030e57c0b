//! Collects what is wrong with one file while it is read.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use super::problem::{Errors, Problem};

/// The problems of one file so far.
///
/// Shared by every cursor on the file, hence the interior mutability.
pub(super) struct Report<'a> {
    errors: RefCell<Vec<Problem>>,
    file: &'a str,
    incomplete: Cell<bool>,
    /// Where lines end.
    line_ends: Vec<usize>,
    text: &'a str,
    warnings: RefCell<Vec<Problem>>,
}

impl<'a> Report<'a> {
    /// A report on `file`, whose whole content is `text`.
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            errors: RefCell::default(),
            file,
            incomplete: Cell::new(false),
            line_ends: text
                .bytes()
                .enumerate()
                .filter(|end| end.1 == b'\n')
                .map(|end| end.0)
                .collect(),
            text,
            warnings: RefCell::default(),
        }
    }

    /// Records an error.
    pub(super) fn error(&self, place: &Place, message: impl Into<String>) {
        self.errors.borrow_mut().push(self.problem(place, message.into()));
    }

    /// Records something that is accepted, but worth a word.
    pub(super) fn warn(&self, place: &Place, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.problem(place, message.into()));
    }

    /// Says that lines were left out because they are no TOML: what seems missing may not be.
    pub(super) fn set_incomplete(&self) {
        self.incomplete.set(true);
    }

    /// Whether lines were left out.
    pub(super) fn incomplete(&self) -> bool {
        self.incomplete.get()
    }

    /// The line, from 1, where `span` starts.
    pub(super) fn line(&self, span: Range<usize>) -> usize {
        1 + self.line_ends.partition_point(|&end| end < span.start)
    }

    /// The text at `span` on one line, shortened for a message.
    pub(super) fn excerpt(&self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.retain(|c| !c.is_control());
        if words.chars().count() > EXCERPT {
            words = words.chars().take(EXCERPT).chain("...".chars()).collect();
        }
        words
    }

    /// `value` and the warnings, or every error in the order of lines.
    pub(super) fn settle<T>(self, value: Option<T>) -> Result<(T, Vec<Problem>), Errors> {
        let by_line = |cell: RefCell<Vec<Problem>>| {
            let mut problems = cell.into_inner();
            problems.sort_by_key(|problem| problem.line);
            problems
        };
        match value {
            Some(value) if self.errors.borrow().is_empty() => Ok((value, by_line(self.warnings))),
            _ => Err(Errors(by_line(self.errors))),
        }
    }

    fn problem(&self, place: &Place, message: String) -> Problem {
        Problem { file: self.file.to_owned(), key: place.key.clone(), line: place.line, message }
    }
}

/// Where something stands in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// The key's path, e.g. `nat44.timeouts.udp`.
    pub(super) key: String,
    /// The line, from 1.
    pub(super) line: usize,
}

/// A value with the place it was read from, for the checks that need the whole file.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    /// Where it stands.
    pub(super) place: Place,
    /// As it stands there.
    pub(super) text: String,
    /// What it means.
    pub(super) value: T,
}

impl<T> Found<T> {
    /// Records that this value is not acceptable.
    pub(super) fn reject(&self, report: &Report<'_>, expected: impl AsRef<str>) {
        let expected = expected.as_ref();
        report.error(&self.place, format!("found {}, expected {expected}", self.text));
    }

    /// Where it stands, without its meaning.
    pub(super) fn bare(self) -> Found<()> {
        Found { place: self.place, text: self.text, value: () }
    }
}

/// Longest excerpt of the file in a message, in characters.
const EXCERPT: usize = 60;
