//! The configuration: a TOML file in, typed settings out, or every error at once.

mod check;
mod diff;
mod json;
mod problem;
mod reader;
mod report;
mod section;
mod settings;
mod syntax;
mod values;

use std::path::Path;

use check::Draft;
use reader::Reader;
use report::Report;
use section::{acl, interface, nat44, process, route};

pub use diff::{Diff, diff};
pub use problem::{Errors, Problem};
pub use settings::*;

/// Reads and checks the configuration file at `path`.
pub fn load(path: &Path) -> Result<Settings, Errors> {
    let name = path.display().to_string();
    let failed = |message| {
        let problem = Problem { file: name.clone(), key: String::new(), line: 0, message };
        Err(Errors(vec![problem]))
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return failed(format!("cannot be read: {error}")),
    };
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
            failed(format!("found a byte that is not UTF-8 on line {line}, expected TOML text"))
        }
    }
}

/// Checks a configuration; `file_name` is what messages call it.
pub fn parse(file_name: &str, text: &str) -> Result<Settings, Errors> {
    let report = Report::new(file_name, text);
    let document = syntax::parse(text, &report);
    let settings = document
        .map(|document| check::settle(read(Reader::root(document.as_table(), &report)), &report));
    let (settings, warnings) = report.settle(settings)?;
    Ok(Settings { warnings, ..settings })
}

fn read(root: Reader<'_>) -> Draft {
    let sets = acl::sets(&root.table("sets"));
    let acls = root.tables("acl", Some("name"));
    let ports = root.tables("port", Some("name"));
    let vlans = root.tables("vlan", Some("name"));
    let routes = root.tables("route", Some("prefix"));
    let neighbors = root.tables("neighbor", Some("address"));
    Draft {
        acls: acls.into_iter().map(|table| acl::acl(table, &sets)).collect(),
        dpdk: process::dpdk(root.table("dpdk")),
        management: process::management(root.table("management")),
        nat44: root.optional_table("nat44").map(nat44::nat44),
        neighbors: neighbors.into_iter().map(route::neighbor).collect(),
        ports: ports.into_iter().map(interface::port).collect(),
        routes: routes.into_iter().map(route::route).collect(),
        sets,
        vlans: vlans.into_iter().map(interface::vlan).collect(),
        workers: process::workers(root.table("workers")),
        unreadable: root.finish(),
    }
}
