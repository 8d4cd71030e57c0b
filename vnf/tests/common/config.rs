//! Configurations for tests: a base file with changes.

use std::fmt::Write;

/// The text of a configuration, to be changed by inserting lines.
#[derive(Clone)]
pub struct Config {
    text: String,
}

impl Config {
    /// A base configuration by its name, or the text of one.
    pub fn new(name_or_text: &str) -> Self {
        let text = match name_or_text {
            "firewall.toml" => include_str!("firewall.toml"),
            "nat44.toml" => include_str!("nat44.toml"),
            "router.toml" => include_str!("router.toml"),
            "vrfs.toml" => include_str!("vrfs.toml"),
            text => text,
        };
        Self { text: text.to_owned() }
    }

    /// With these lines in the table that has `name = "..."`.
    pub fn interface(self, name: &str, lines: &str) -> Self {
        let head = format!("name = \"{name}\"\n");
        self.after(&head, lines)
    }

    /// With these lines in `[nat44]`.
    pub fn nat44(self, lines: &str) -> Self {
        self.after("[nat44]\n", lines)
    }

    /// With these tables at the end.
    pub fn more(mut self, tables: &str) -> Self {
        write!(self.text, "\n{tables}\n").expect("a string takes everything");
        self
    }

    /// With one piece of text in place of another.
    pub fn replace(self, old: &str, new: &str) -> Self {
        assert!(self.text.contains(old), "`{old}` is not in the configuration");
        Self { text: self.text.replace(old, new) }
    }

    /// With static neighbours, their MAC addresses as `mac_of` has them.
    pub fn neighbors(mut self, port: &str, addresses: impl IntoIterator<Item = String>) -> Self {
        for address in addresses {
            let mac = super::frame::mac_of(super::packet::address(&address));
            let mac: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
            let mac = mac.join(":");
            self = self.more(&format!(
                "[[neighbor]]\nport = \"{port}\"\naddress = \"{address}\"\nmac = \"{mac}\""
            ));
        }
        self
    }

    /// The whole file.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn after(self, head: &str, lines: &str) -> Self {
        assert!(self.text.contains(head), "`{head}` is not in the configuration");
        Self { text: self.text.replacen(head, &format!("{head}{lines}\n"), 1) }
    }
}

impl From<&str> for Config {
    fn from(name_or_text: &str) -> Self {
        Self::new(name_or_text)
    }
}
