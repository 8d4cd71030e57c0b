//! Cursors on a parsed TOML file: they know their path and line, and which keys were asked for.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use toml_edit::{Item, TableLike, Value};

use super::report::{Found, Place, Report};

/// A table being read; every key not asked for by the time of `finish` is an error.
pub(super) struct Reader<'a> {
    missing: RefCell<Vec<(&'static str, String)>>,
    place: Place,
    report: &'a Report<'a>,
    seen: RefCell<Vec<&'static str>>,
    table: Option<&'a dyn TableLike>,
    unreadable: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// The whole file.
    pub(super) fn root(table: &'a dyn TableLike, report: &'a Report<'a>) -> Self {
        Self::new(Some(table), Place { key: String::new(), line: 1 }, report)
    }

    fn new(table: Option<&'a dyn TableLike>, place: Place, report: &'a Report<'a>) -> Self {
        Self {
            missing: RefCell::default(),
            place,
            report,
            seen: RefCell::default(),
            table,
            unreadable: RefCell::default(),
        }
    }

    /// Where the table starts.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The problems of the file.
    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// The value of `key`, where there is one.
    pub(super) fn optional(&self, key: &'static str) -> Option<Node<'a>> {
        self.seen.borrow_mut().push(key);
        self.node(key)
    }

    /// The value of `key`; without one, `finish` reports what was expected.
    pub(super) fn required(
        &self,
        key: &'static str,
        expected: impl Into<String>,
    ) -> Option<Node<'a>> {
        let node = self.optional(key);
        if node.is_none() {
            self.missing.borrow_mut().push((key, expected.into()));
        }
        node
    }

    /// The table at `key`; an empty one in its stead where there is none.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let table = self.optional_table(key);
        table.unwrap_or_else(|| Self::new(None, self.below(key, self.place.line), self.report))
    }

    /// The table at `key`, where there is one.
    pub(super) fn optional_table(&self, key: &'static str) -> Option<Self> {
        let node = self.optional(key)?;
        let table = node.as_table();
        if table.is_none() {
            node.reject("a table");
        }
        Some(Self::new(table, node.place, self.report))
    }

    /// The tables of the list at `key`, each named in paths by its own `label` or its number.
    pub(super) fn tables(&self, key: &'static str, label: Option<&str>) -> Vec<Self> {
        let Some(node) = self.optional(key) else { return Vec::new() };
        let Some(nodes) = node.elements() else {
            node.reject(format!("a list of tables, each under [[{key}]]"));
            self.unreadable.borrow_mut().push(key);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let table = node.as_table();
            let name = table.and_then(|table| table.get(label?)?.as_str()).filter(|name| {
                !name.is_empty() && name.len() <= 64 && !name.contains(char::is_control)
            });
            let name = name.map_or_else(|| (index + 1).to_string(), str::to_owned);
            let key = format!("{}[{name}]", node.place.key);
            let node = Node { place: Place { key, ..node.place }, ..node };
            if table.is_none() {
                node.reject("a table");
            }
            tables.push(Self::new(table, node.place, self.report));
        }
        tables
    }

    /// The keys of a table that has no fixed ones, with their values.
    pub(super) fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let keys = self.table.into_iter().flat_map(|table| table.iter().map(|(key, _)| key));
        keys.filter_map(|key| Some((key, self.node(key)?))).collect()
    }

    /// Reports missing and unknown keys; answers of which known keys nothing can be said: those the
    /// unknown ones may have meant, and lists of tables that are none.
    pub(super) fn finish(self) -> Vec<&'static str> {
        let mut seen = self.seen.into_inner();
        seen.sort_unstable();
        let mut meant = self.unreadable.into_inner();
        for (name, _) in self.table.into_iter().flat_map(TableLike::iter) {
            if seen.contains(&name) {
                continue;
            }
            let line = key_line(self.table, name, self.report).unwrap_or(self.place.line);
            let place = Place { key: join(&self.place.key, name), line };
            let nearest = nearest(name, &seen);
            meant.extend(nearest);
            let accepted = quoted(&seen);
            self.report.error(
                &place,
                match nearest {
                    Some(nearest) => format!("unknown key, did you mean \"{nearest}\"?"),
                    None => format!("unknown key, expected {accepted}"),
                },
            );
        }
        for (key, expected) in self.missing.into_inner() {
            // A misspelt key has had its message; in an incomplete file the key may be there.
            if !meant.contains(&key) && !self.report.incomplete() && self.table.is_some() {
                let place = Place { key: join(&self.place.key, key), line: self.place.line };
                self.report.error(&place, format!("found nothing, expected {expected}"));
            }
        }
        meant
    }

    fn node(&self, key: &str) -> Option<Node<'a>> {
        let item = self.table?.get(key)?;
        let raw = match item {
            Item::None => return None,
            Item::Value(value) => Raw::Value(value),
            Item::Table(_) | Item::ArrayOfTables(_) => Raw::Item(item),
        };
        // A table's own line where it has a header, else the line of the key.
        let line = match item {
            Item::Value(_) => None,
            _ => item.span().map(|span| self.report.line(span)),
        };
        let line = line.or_else(|| key_line(self.table, key, self.report));
        let place = self.below(key, line.unwrap_or(self.place.line));
        Some(Node { place, raw, report: self.report })
    }

    fn below(&self, key: &str, line: usize) -> Place {
        Place { key: join(&self.place.key, key), line }
    }
}

/// A value being read.
pub(super) struct Node<'a> {
    place: Place,
    raw: Raw<'a>,
    report: &'a Report<'a>,
}

impl<'a> Node<'a> {
    /// Where the value stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The problems of the file.
    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// Records that the value is not acceptable.
    pub(super) fn reject(&self, expected: impl AsRef<str>) {
        self.found(()).reject(self.report, expected);
    }

    /// `value`, read from here.
    pub(super) fn found<T>(&self, value: T) -> Found<T> {
        Found { place: self.place.clone(), text: self.text(), value }
    }

    /// What `parse` makes of a string; `expected` describes the form.
    pub(super) fn string<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Parsed<T>,
    ) -> Option<Found<T>> {
        match self.as_str().map_or(Err(None), parse) {
            Ok(value) => Some(self.found(value)),
            Err(better) => {
                self.reject(better.as_deref().unwrap_or(expected));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let named = |word: &str| choices.iter().find(|(name, _)| *name == word);
        let choice = self.as_str().and_then(named);
        if choice.is_none() {
            let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            self.reject(quoted(&names));
        }
        choice.map(|(_, value)| *value)
    }

    /// A whole number within `bounds`, which lie within `T`.
    pub(super) fn integer<T: TryFrom<i64>>(&self, bounds: RangeInclusive<i64>) -> Option<Found<T>> {
        let number = self.as_integer().filter(|number| bounds.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.reject(format!("a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        number.map(|number| self.found(number))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.as_value().and_then(Value::as_bool);
        if value.is_none() {
            self.reject("true or false");
        }
        value
    }

    /// The elements of a list; `expected` describes it.
    pub(super) fn list(&self, expected: &str) -> Option<Vec<Node<'a>>> {
        let elements = self.elements();
        if elements.is_none() {
            self.reject(expected);
        }
        elements
    }

    /// The elements of a list, or the value itself where it is none.
    pub(super) fn one_or_many(self) -> Vec<Node<'a>> {
        self.elements().unwrap_or_else(|| vec![self])
    }

    /// The table, where it is one.
    pub(super) fn table(&self) -> Option<Reader<'a>> {
        let table = self.as_table()?;
        Some(Reader::new(Some(table), self.place.clone(), self.report))
    }

    /// The value, where it is a string.
    pub(super) fn as_str(&self) -> Option<&'a str> {
        self.as_value().and_then(Value::as_str)
    }

    /// The value, where it is a whole number.
    pub(super) fn as_integer(&self) -> Option<i64> {
        self.as_value().and_then(Value::as_integer)
    }

    fn as_value(&self) -> Option<&'a Value> {
        match self.raw {
            Raw::Item(_) => None,
            Raw::Table(_) => None,
            Raw::Value(value) => Some(value),
        }
    }

    fn as_table(&self) -> Option<&'a dyn TableLike> {
        match self.raw {
            Raw::Item(item) => item.as_table_like(),
            Raw::Table(table) => Some(table),
            Raw::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
        }
    }

    fn elements(&self) -> Option<Vec<Node<'a>>> {
        let line = |span: Option<_>| span.map_or(self.place.line, |span| self.report.line(span));
        let node = |span, raw| {
            let place = Place { key: self.place.key.clone(), line: line(span) };
            Node { place, raw, report: self.report }
        };
        match self.raw {
            Raw::Item(item) => {
                let tables = item.as_array_of_tables()?.iter();
                Some(tables.map(|table| node(table.span(), Raw::Table(table))).collect())
            }
            Raw::Table(_) => None,
            Raw::Value(value) => {
                let values = value.as_array()?.iter();
                Some(values.map(|value| node(value.span(), Raw::Value(value))).collect())
            }
        }
    }

    fn text(&self) -> String {
        match self.raw {
            Raw::Item(item) if item.is_array_of_tables() => "a list of tables".to_owned(),
            Raw::Item(_) | Raw::Table(_) => "a table".to_owned(),
            Raw::Value(value) => {
                value.span().map_or_else(String::new, |span| self.report.excerpt(span))
            }
        }
    }
}

/// A parsed string; else what was expected, where that can be said better than in general.
pub(super) type Parsed<T> = Result<T, Option<String>>;

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub(super) fn quoted<S: AsRef<str>>(words: &[S]) -> String {
    let quoted = words.iter().map(|word| format!("\"{}\"", word.as_ref())).collect::<Vec<_>>();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// What a node stands on; TOML has three kinds of tables.
enum Raw<'a> {
    Item(&'a Item),
    Table(&'a dyn TableLike),
    Value(&'a Value),
}

/// The known key an unknown one was probably meant to be.
fn nearest(unknown: &str, known: &[&'static str]) -> Option<&'static str> {
    let distance = |key: &&'static str| strsim::osa_distance(unknown, key);
    let nearest = known.iter().copied().min_by_key(distance)?;
    (distance(&nearest) <= 1 + nearest.len() / 4).then_some(nearest)
}

fn key_line(table: Option<&dyn TableLike>, key: &str, report: &Report<'_>) -> Option<usize> {
    let (key, _) = table?.get_key_value(key)?;
    key.span().map(|span| report.line(span))
}

fn join(path: &str, key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let key = match !key.is_empty() && key.bytes().all(plain) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
