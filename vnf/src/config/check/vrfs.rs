//! Virtual routing tables: they are there because ports and VLANs name them.

use crate::config::reader::quoted;
use crate::config::report::{Found, Report};
use crate::config::section::interface::Interface;
use crate::config::settings::VrfNames;

/// The VRFs of the interfaces.
pub(super) struct Vrfs {
    /// Whether every interface could be read: else a name may be right.
    complete: bool,
    pub(super) names: VrfNames,
}

impl Vrfs {
    /// Those that these interfaces name.
    pub(super) fn named_by<'a>(
        interfaces: impl Iterator<Item = &'a Interface>,
        complete: bool,
        report: &Report<'_>,
    ) -> Self {
        let mut names = vec![VrfNames::default().name(0).to_owned()];
        for found in interfaces.filter_map(|interface| interface.vrf.as_ref()) {
            if names.contains(&found.value) {
                continue;
            }
            if names.len() == MAX_VRFS {
                let expected = format!("at most {MAX_VRFS} VRFs, the default one among them");
                found.reject(report, expected);
                break;
            }
            names.push(found.value.clone());
        }
        let others = names.split_off(1);
        Self { complete: complete && !report.incomplete(), names: VrfNames::new(others) }
    }

    /// The VRF of an interface.
    pub(super) fn of(&self, interface: &Interface) -> usize {
        interface.vrf.as_ref().and_then(|found| self.names.find(&found.value)).unwrap_or(0)
    }

    /// The VRF that is named, or else the default one; one that no interface has is reported.
    pub(super) fn find(&self, name: Option<&Found<String>>, report: &Report<'_>) -> usize {
        let Some(name) = name else { return 0 };
        if let Some(vrf) = self.names.find(&name.value) {
            return vrf;
        }
        if self.complete {
            let known = quoted(&self.names.iter().collect::<Vec<_>>());
            name.reject(report, format!("the VRF of a port or VLAN: {known}"));
        }
        0
    }
}

/// As many as the table of routes to other VRFs is good for.
const MAX_VRFS: usize = 64;
