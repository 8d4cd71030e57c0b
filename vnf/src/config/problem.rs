//! What is wrong with a configuration file, and where.

use std::fmt;

/// One thing wrong, or worth a word, in a configuration file.
///
/// Reads `vnf.toml:12: nat44.mapping: found "foo", expected "endpoint-independent"`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// The key's path, e.g. `acl[from-lan].rule[3].source`; empty: the file as a whole.
    pub key: String,
    /// The line, from 1; 0: the file as a whole.
    pub line: usize,
    /// What was found, and what is accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

/// Everything wrong with a configuration file, in the order of its lines; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Errors(pub Vec<Problem>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
