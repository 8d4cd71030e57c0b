//! What changes between two configurations, and what of it needs a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::section::acl::show_action;
use super::settings::{AclSettings, Settings};

/// What a reload would do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diff {
    /// One sentence for each change.
    pub changes: Vec<String>,
    /// The keys whose change needs a restart; unless empty, a reload is refused.
    pub restart_required: Vec<String>,
}

/// Compares two configurations; where they stand in their files does not matter.
pub fn diff(old: &Settings, new: &Settings) -> Diff {
    let mut diff = Diff::default();
    let (old_json, new_json) = (old.to_json(), new.to_json());
    let keys = keys(&old_json).chain(keys(&new_json)).collect::<BTreeSet<_>>();
    for key in keys.into_iter().filter(|key| *key != "acl") {
        diff.compare(key, old_json.get(key), new_json.get(key));
    }
    diff.compare_acls(&old.acls, &new.acls);
    // Workers hold interfaces by their index.
    let names = |settings: &Settings| {
        settings.interfaces.iter().map(|port| port.name.clone()).collect::<Vec<_>>()
    };
    let (mut before, mut after) = (names(old), names(new));
    if before != after {
        before.sort_unstable();
        after.sort_unstable();
        if before == after {
            diff.changed("port", "port: in another order".to_owned());
        }
    }
    // Reserved at start, with or without [nat44].
    if old.nat44.is_some() != new.nat44.is_some()
        && old.sessions.max_sessions != new.sessions.max_sessions
    {
        let (old, new) = (old.sessions.max_sessions, new.sessions.max_sessions);
        diff.changed("nat44.max_sessions", format!("nat44.max_sessions: {old} becomes {new}"));
    }
    diff
}

impl Diff {
    fn compare(&mut self, path: &str, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            _ if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                let keys = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
                for key in keys {
                    self.compare(&format!("{path}.{key}"), old.get(key), new.get(key));
                }
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) if tables(old) && tables(new) => {
                self.compare_tables(path, old, new);
            }
            (Some(old), Some(new)) => self.changed(path, format!("{path}: {old} becomes {new}")),
            (None, Some(Value::Object(_))) => self.changed(path, format!("{path} is new")),
            (None, Some(new)) => self.changed(path, format!("{path}: set to {new}")),
            (Some(_), None) => self.changed(path, format!("{path} is gone")),
            (None, None) => {}
        }
    }

    /// Tables are the same where what names them is; their order does not matter.
    fn compare_tables(&mut self, path: &str, old: &[Value], new: &[Value]) {
        let by_label = |tables: &[Value]| -> BTreeMap<String, Value> {
            tables.iter().map(|table| (label(table), table.clone())).collect()
        };
        let (old, new) = (by_label(old), by_label(new));
        for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            self.compare(&format!("{path}[{name}]"), old.get(name), new.get(name));
        }
    }

    fn compare_acls(&mut self, old: &[AclSettings], new: &[AclSettings]) {
        let names = old.iter().chain(new).map(|acl| &acl.name).collect::<BTreeSet<_>>();
        for name in names {
            let find = |acls: &[AclSettings]| acls.iter().find(|acl| acl.name == *name).cloned();
            let path = format!("acl[{name}]");
            let (old, new) = match (find(old), find(new)) {
                (Some(old), Some(new)) => (old, new),
                (None, _) => {
                    self.changed(&path, format!("{path} is new"));
                    continue;
                }
                (_, None) => {
                    self.changed(&path, format!("{path} is gone"));
                    continue;
                }
            };
            if old.default != new.default {
                let default = show_action(new.default);
                self.changed(&path, format!("{path}: default is now {default}"));
            }
            self.compare_rules(&path, &old, &new);
        }
    }

    fn compare_rules(&mut self, path: &str, old: &AclSettings, new: &AclSettings) {
        let texts = |acl: &AclSettings| acl.rules.iter().map(|rule| rule.text.clone()).collect();
        let (old_texts, new_texts): (Vec<String>, Vec<String>) = (texts(old), texts(new));
        // A rule may stand in the list twice.
        let mut spare: HashMap<&str, usize> = HashMap::new();
        for text in &old_texts {
            *spare.entry(text).or_default() += 1;
        }
        let mut take = |text: &&String| match spare.get_mut(text.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        let added = new_texts.iter().filter(|text| !take(text)).collect::<Vec<_>>();
        // What is left of each text is gone; the last ones of equal rules are named.
        let gone = old_texts.iter().rev().filter(take).collect::<Vec<_>>();
        if gone.is_empty() && added.is_empty() && old_texts != new_texts {
            self.changed(path, format!("{path}: rules in another order"));
        }
        for text in gone.into_iter().rev() {
            self.changed(path, format!("{path}: without \"{text}\""));
        }
        for text in added {
            self.changed(path, format!("{path}: with \"{text}\""));
        }
    }

    fn changed(&mut self, path: &str, sentence: String) {
        let bare = bare(path);
        let section = bare.split('.').next().unwrap_or_default();
        if RESTART_SECTIONS.contains(&section) || RESTART_KEYS.contains(&&*bare) {
            self.restart_required.push(path.to_owned());
        }
        self.changes.push(sentence);
    }
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flat_map(Map::keys).map(String::as_str)
}

fn tables(list: &[Value]) -> bool {
    list.iter().all(Value::is_object)
}

/// What names a table in paths: its name, else the keys that make it unique.
fn label(table: &Value) -> String {
    let named = |keys: &[&str]| {
        let words = keys.iter().map(|key| match table.get(key)? {
            Value::String(word) => Some(word.clone()),
            other => Some(other.to_string()),
        });
        words.collect::<Option<Vec<_>>>().map(|words| words.join(" "))
    };
    let named = IDENTITIES.iter().find_map(|keys| named(keys));
    named.unwrap_or_else(|| table.to_string())
}

/// A path without what stands in brackets: `port[lan].mtu` is `port.mtu`.
fn bare(path: &str) -> String {
    let mut depth = 0u32;
    let outside = |c: &char| {
        depth = if *c == '[' { depth + 1 } else { depth };
        let keep = depth == 0;
        depth = if *c == ']' { depth.saturating_sub(1) } else { depth };
        keep
    };
    path.chars().filter(outside).collect()
}

/// Keys that make a table unique, tried in order.
const IDENTITIES: &[&[&str]] = &[
    &["name"],
    &["vrf", "prefix"],
    &["prefix"],
    &["port", "address"],
    &["protocol", "external"],
    &["external"],
    &["vrf", "source", "destination"],
    &["source", "destination"],
];

/// Read at start only: devices, what is bound to them, and reserved memory.
const RESTART_KEYS: &[&str] = &[
    "nat44.journal",
    "nat44.max_sessions",
    "port",
    "port.device",
    "port.linux",
    "port.mac",
    "port.mtu",
    "port.vrf",
    "vlan",
    "vlan.id",
    "vlan.linux",
    "vlan.mac",
    "vlan.mtu",
    "vlan.port",
    "vlan.vrf",
];

/// Sections read at start only.
const RESTART_SECTIONS: &[&str] = &["dpdk", "management", "workers"];
