//! The names of virtual routing tables.

use std::sync::Arc;

/// The VRFs of a configuration; the first is the default one. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VrfNames(Arc<[String]>);

impl VrfNames {
    /// The default VRF, and these others.
    pub fn new(others: impl IntoIterator<Item = String>) -> Self {
        Self(std::iter::once(DEFAULT.to_owned()).chain(others).collect())
    }

    /// The name of a VRF.
    pub fn name(&self, vrf: usize) -> &str {
        self.0.get(vrf).map_or("?", String::as_str)
    }

    /// The VRF of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// How many there are, at least one.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The names, the default one first.
    pub fn iter(&self) -> std::slice::Iter<'_, String> {
        self.0.iter()
    }
}

impl Default for VrfNames {
    fn default() -> Self {
        Self::new([])
    }
}

/// The VRF of interfaces that name none.
const DEFAULT: &str = "default";
