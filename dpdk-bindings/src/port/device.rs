//! The device under a port and its queues: closed with the last of them.

use std::{
    any::Any,
    ffi::CStr,
    fmt, mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dpdk_sys::*;

use crate::{
    Eal, Mempool,
    error::{Error, Result, check},
};

/// An open device; closed with the last of its port and queues. Fields are dropped in this order, after closing.
pub(crate) struct Device {
    pub(crate) id: u16,
    /// Whether the queues may call the driver.
    pub(crate) started: AtomicBool, // port: write, queues: read
    /// Whether the driver leaves the port number of received packets as it was.
    pub(crate) omits_port: bool,
    /// Whether the driver sends only the first segment of a packet.
    pub(crate) one_segment: bool,
    pub(super) name: String,
    pub(super) promiscuous: bool,
    _backing: Option<Box<dyn Any + Send + Sync>>,
    /// The pool it receives into, once it is configured.
    pub(super) pool: Option<Mempool>,
    _eal: Eal,
}

impl Device {
    /// Takes over a port that exists; `backing` is dropped after it is closed.
    ///
    /// # Errors
    ///
    /// `EBUSY` where the port has an owner already.
    pub(super) fn claim(
        registry: &mut Vec<u16>,
        eal: &Eal,
        id: u16,
        name: &str,
        backing: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Self> {
        if registry.contains(&id) {
            return Err(Error::new("Port::open", libc::EBUSY, format!("{name}: is open already")));
        }
        registry.push(id);
        Ok(Self {
            id,
            started: AtomicBool::new(false),
            omits_port: backing.is_some() || name.starts_with("net_ring"),
            one_segment: false,
            name: name.to_owned(),
            promiscuous: false,
            _backing: backing,
            pool: None,
            _eal: eal.clone(),
        })
    }

    pub(super) fn info(&self) -> Result<rte_eth_dev_info> {
        let mut info = rte_eth_dev_info::default();
        // SAFETY: the port exists; `info` is writable.
        check("rte_eth_dev_info_get", unsafe { rte_eth_dev_info_get(self.id, &raw mut info) })?;
        Ok(info)
    }

    /// Whether it is made of software.
    pub(super) fn is_virtual(&self) -> bool {
        self.name.starts_with("net_") || self._backing.is_some()
    }

    /// Whether it is the far end of a kernel interface that DPDK made and gave the very same address.
    pub(super) fn shares_its_mac(&self) -> bool {
        let user = self.name.starts_with("net_virtio_user") && self.name.contains("/dev/vhost-net");
        user || self.name.starts_with("net_tap")
    }

    pub(super) fn start(&self) -> Result<()> {
        // SAFETY: the port exists; its queues are idle: they look at `started`.
        check("rte_eth_dev_start", unsafe { rte_eth_dev_start(self.id) })?;
        // Release: pairs with the queues, which may now call the driver.
        self.started.store(true, Ordering::Release);
        Ok(())
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        if !mem::take(self.started.get_mut()) {
            return Ok(());
        }
        // SAFETY: the port exists; `&mut self`: no queue is left to be in it.
        check("rte_eth_dev_stop", unsafe { rte_eth_dev_stop(self.id) }).map(drop)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut registry = registry();
        if self.promiscuous {
            // The kernel interface behind an af_packet port would stay so. No device depends on the answer.
            // SAFETY: the port exists.
            let _ = unsafe { rte_eth_promiscuous_disable(self.id) };
        }
        let stopped = self.stop();
        let device = self.info().map(|info| info.device);
        // SAFETY: the port exists until here and has no queue left; its pool is dropped after this.
        let closed = check("rte_eth_dev_close", unsafe { rte_eth_dev_close(self.id) });
        let removed = device.and_then(|device| {
            // SAFETY: the device under the port just closed: it is removed once, by the only owner of the port.
            check("rte_dev_remove", unsafe { rte_dev_remove(device) })
        });
        registry.retain(|id| *id != self.id);
        drop(registry);
        for error in [stopped.err(), closed.err(), removed.err()].into_iter().flatten() {
            log::warn!("{}: {error}", self.name);
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({}, {:?})", self.id, self.name)
    }
}

/// DPDK's number of a port, by the name of its device.
pub(super) fn port_of(name: &CStr) -> Option<u16> {
    let mut id = 0;
    // SAFETY: the name lives for the call; `id` is writable.
    let answer = unsafe { rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (answer == 0).then_some(id)
}

/// The ports that have an owner. Whoever adds or removes a device holds it: DPDK's list of devices has no lock.
pub(crate) fn registry() -> MutexGuard<'static, Vec<u16>> {
    static CLAIMED: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}
