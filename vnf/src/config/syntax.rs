//! Text to TOML. A line that is no TOML is reported and left out, so that the rest is checked too.

use toml_edit::Document;

use super::report::{Place, Report};

/// Parses `text`; `None` where an error leaves the rest without sense.
pub(super) fn parse(text: &str, report: &Report<'_>) -> Option<Document<String>> {
    let mut text = text.to_owned();
    for _ in 0..MAX_ERRORS {
        let error = match Document::parse(text.clone()) {
            Ok(document) => return Some(document),
            Err(error) => error,
        };
        report.set_incomplete();
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = line_around(&text, at);
        let content = text.get(line.clone()).unwrap_or_default().to_owned();
        let key = path(&text[..line.start], &content);
        let place = Place { key, line: report.line(line.clone()) };
        report.error(&place, message(&content, error.message()));
        if !stands_alone(&content) {
            return None;
        }
        // Spaces keep every later line and column where it was.
        text.replace_range(line.clone(), &" ".repeat(line.len()));
    }
    None
}

/// Syntax errors reported at most.
const MAX_ERRORS: usize = 100;

fn message(content: &str, error: &str) -> String {
    let found = content.split_once('=').map_or(content, |(_, value)| value).trim();
    let found = found.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    let error = error.trim().replace('\n', ", ");
    if found.is_empty() {
        format!("found nothing: {error}")
    } else {
        format!("found {found}: {error}")
    }
}

/// The bytes of the line that holds `at`, without its end.
fn line_around(text: &str, at: usize) -> std::ops::Range<usize> {
    let bytes = text.as_bytes();
    // An error at a line's end, such as a missing value, belongs to that line.
    let start = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| at + end);
    start..end
}

/// Whether a line is one key with its whole value, and can be left out.
fn stands_alone(line: &str) -> bool {
    let count = |wanted: char| line.matches(wanted).count();
    let pair = !line.trim_start().starts_with('[') && line.contains('=');
    let closed = count('[') == count(']') && count('{') == count('}');
    pair && closed && !line.contains("\"\"\"") && !line.contains("'''")
}

/// The path of the key on `line`, guessed from the last header in what is `above`.
fn path(above: &str, line: &str) -> String {
    let mut path = String::new();
    let header = above.lines().map(str::trim).rfind(|line| line.starts_with('['));
    if let Some(header) = header {
        let name = |line: &str| {
            line.trim_start_matches('[').split(']').next().unwrap_or_default().trim().to_owned()
        };
        path = name(header);
        if header.starts_with("[[") {
            let same = |line: &&str| line.starts_with("[[") && name(line) == path;
            let number = above.lines().map(str::trim).filter(same).count();
            path = format!("{path}[{number}]");
        }
    }
    match line.split_once('=') {
        Some((key, _)) if !line.trim_start().starts_with('[') => {
            let key = key.trim();
            if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
        }
        _ => String::new(),
    }
}
