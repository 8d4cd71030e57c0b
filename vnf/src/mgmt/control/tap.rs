//! Where the kernel's end of a tap port is. DPDK looks for it in the VNF's own network namespace only and calls the link
//! down when it is not there, but handing it to another namespace is what taps are for.

use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's end of a tap port.
pub(super) struct Tap {
    /// The name it was given at start, the only one that DPDK knows.
    name: String,
    /// The kernel's word on the file descriptor that holds it.
    fdinfo: PathBuf,
}

impl Tap {
    /// The tap that was just opened for this device string; none for devices of other kinds.
    pub(super) fn find(device: &str) -> Option<Self> {
        let name = interface(device)?;
        let holds = |path: &PathBuf| attached(path).is_some_and(|found| found == name);
        let fdinfo = fs::read_dir("/proc/self/fdinfo").ok()?.flatten().map(|entry| entry.path());
        Some(Self { fdinfo: fdinfo.into_iter().find(holds)?, name })
    }

    /// Whether the interface lives, but in another namespace; what its state is there cannot be seen from here.
    pub(super) fn is_elsewhere(&self) -> bool {
        attached(&self.fdinfo).is_some() && !is_visible(&self.name)
    }
}

/// The interface that a tap device string asks for.
fn interface(device: &str) -> Option<String> {
    let mut parts = device.strip_prefix("net_tap")?.split(',');
    let number = parts.next()?;
    let named = parts.find_map(|part| part.strip_prefix("iface="));
    Some(named.map_or_else(|| format!("dtap{number}"), str::to_owned))
}

/// The interface that a descriptor is attached to; none once that has been deleted.
fn attached(fdinfo: &Path) -> Option<String> {
    let text = fs::read_to_string(fdinfo).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("iff:"))?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_visible(name: &str) -> bool {
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    devices.lines().any(|line| line.split_once(':').is_some_and(|(found, _)| found.trim() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_strings_name_their_interface() {
        assert_eq!(interface("net_tap0,iface=vnf-lan").as_deref(), Some("vnf-lan"));
        assert_eq!(interface("net_tap1,mac=fixed,iface=w").as_deref(), Some("w"));
        assert_eq!(interface("net_tap3").as_deref(), Some("dtap3"));
        assert_eq!(interface("net_null0"), None);
        assert_eq!(interface("0000:01:00.0"), None);
    }

    #[test]
    fn what_is_here_is_visible() {
        assert!(is_visible("lo"));
        assert!(!is_visible("no-such-interface"));
        assert!(Tap::find("net_tap0,iface=no-such-interface").is_none());
    }
}
