//! What the contract names and this version does not do yet. A feature is switched on by deleting
//! its line here.

use toml_edit::TableLike;

use super::reader::{Node, Reader};
use super::report::Report;

/// A key, and whether a value of it asks for something not built yet.
type Refusal = (&'static str, fn(&Node<'_>) -> bool);

const NOT_YET: &[Refusal] = &[("nat44.log", |node| matches!(node.as_str(), Some("blocks")))];

/// Refuses what is not available; nothing else is said about these keys.
pub(super) fn refuse(root: &dyn TableLike, report: &Report<'_>) {
    let root = Reader::root(root, report);
    for (path, asks) in NOT_YET {
        if let Some(node) = root.find(path).filter(asks) {
            let found = node.found(()).text;
            report.refuse(
                node.place(),
                format!("found {found}, which is not available in this version"),
            );
        }
    }
}
