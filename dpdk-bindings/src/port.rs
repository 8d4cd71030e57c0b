//! Ethernet ports: any DPDK virtual device, or a PCI device.

mod device;
mod setup;

use std::{any::Any, ffi::CStr, ptr, sync::Arc};

use dpdk_sys::*;

use self::device::port_of;
pub(crate) use self::device::{Device, registry};
use crate::{
    Eal, Mempool, RxQueue, TxQueue,
    eal::c_string,
    error::{Error, Result, check},
};

/// How a port shall be set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Descriptors of each receive queue; the driver may adjust it.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue; the driver may adjust it.
    pub tx_descriptors: u16,
    /// Largest packet without its Ethernet header; `None` leaves the device's own.
    pub mtu: Option<u16>,
    /// Our address; `None` takes the device's own.
    pub mac: Option<[u8; 6]>,
    /// Receive frames for any address.
    pub promiscuous: bool,
    /// Lets the driver free sent packets without looking at them. All packets sent on the port then come from `pool`.
    pub fast_free: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: None,
            mac: None,
            promiscuous: false,
            fast_free: false,
        }
    }
}

/// What a port has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Packets received.
    pub rx_packets: u64,
    /// Octets received.
    pub rx_bytes: u64,
    /// Packets transmitted.
    pub tx_packets: u64,
    /// Octets transmitted.
    pub tx_bytes: u64,
    /// Packets the device dropped because nobody fetched them.
    pub rx_missed: u64,
    /// Frames the device found to be wrong.
    pub rx_errors: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Times there was no buffer to receive into.
    pub rx_nombuf: u64,
}

/// An open port. Dropping it and its queues stops, closes and removes the device.
#[derive(Debug)]
pub struct Port {
    device: Arc<Device>,
    mac: [u8; 6],
}

impl Port {
    /// Opens a device: a vdev string such as `"net_tap0,iface=lan"`, or a PCI address.
    pub fn open(eal: &Eal, device: &str) -> Result<Self> {
        let arguments = c_string(device)?;
        let name = c_string(device.split(',').next().unwrap_or(device).trim())?;
        let mut registry = registry();
        if port_of(&name).is_none() {
            // SAFETY: the EAL is initialised (token); the text lives for the call.
            let answer = unsafe { rte_dev_probe(arguments.as_ptr()) };
            check("rte_dev_probe", answer).map_err(|error| explain(error, device))?;
        }
        let id = port_of(&name).ok_or_else(|| {
            Error::new("rte_dev_probe", libc::ENODEV, format!("{device}: no port appeared"))
        })?;
        Self::adopt(&mut registry, eal, id, device, None)
    }

    /// Takes over a port that exists; `backing` is dropped after it is closed.
    pub(crate) fn adopt(
        registry: &mut Vec<u16>,
        eal: &Eal,
        id: u16,
        device: &str,
        backing: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Self> {
        let mut mac = rte_ether_addr::default();
        // SAFETY: the port exists; `mac` is writable.
        check("rte_eth_macaddr_get", unsafe { rte_eth_macaddr_get(id, &raw mut mac) })?;
        let device = Device::claim(registry, eal, id, device, backing)?;
        let mac = if device.shares_its_mac() { twin(mac.addr_bytes) } else { mac.addr_bytes };
        Ok(Self { device: Arc::new(device), mac })
    }

    /// Sets the port up and hands out its queues. Done once; the port is not started.
    ///
    /// Of the offloads it takes what the device has: receive checksum verdicts, scattered reception where the MTU needs it,
    /// multi-segment transmission. Transmit checksum offloads are never on: they would repair what should stay wrong.
    ///
    /// # Errors
    ///
    /// `EALREADY` on a second call; `EMSGSIZE` where the device can deliver frames that no buffer holds.
    pub fn configure(
        &mut self,
        config: Config,
        pool: &Mempool,
    ) -> Result<(Vec<RxQueue>, Vec<TxQueue>)> {
        let device = Arc::get_mut(&mut self.device).filter(|device| device.pool.is_none());
        let Some(device) = device else {
            let why = format!("{}: is configured", self.device());
            return Err(Error::new("Port::configure", libc::EALREADY, why));
        };
        device.set_up(&config, pool).map_err(|error| explain(error, &device.name))?;
        self.mac = config.mac.unwrap_or(self.mac);
        let rx =
            (0..config.rx_queues).map(|queue| RxQueue::new(self.device.clone(), queue)).collect();
        let tx =
            (0..config.tx_queues).map(|queue| TxQueue::new(self.device.clone(), queue)).collect();
        Ok((rx, tx))
    }

    /// Starts receiving and transmitting.
    pub fn start(&mut self) -> Result<()> {
        self.device.start().map_err(|error| explain(error, self.device()))
    }

    /// Stops the port.
    ///
    /// # Errors
    ///
    /// `EBUSY` while one of its queues lives: another thread may be in it.
    pub fn stop(&mut self) -> Result<()> {
        let Some(device) = Arc::get_mut(&mut self.device) else {
            let why = format!("{}: its queues are in use", self.device());
            return Err(Error::new("rte_eth_dev_stop", libc::EBUSY, why));
        };
        device.stop()
    }

    /// DPDK's number of the port.
    pub fn id(&self) -> u16 {
        self.device.id
    }

    /// The driver's name, e.g. `"net_tap"`.
    pub fn driver(&self) -> String {
        let name = self.device.info().map(|info| info.driver_name).unwrap_or(ptr::null());
        if name.is_null() {
            return "unknown".to_owned();
        }
        // SAFETY: the static name of a driver that is never unloaded.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }

    /// The device as it was opened.
    pub fn device(&self) -> &str {
        &self.device.name
    }

    /// Our address on this port.
    ///
    /// A device that is one end of a kernel interface of the same address gets another one here: the two are neighbours.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The largest packet without its Ethernet header.
    pub fn mtu(&self) -> u16 {
        self.device.mtu()
    }

    /// Whether the link is up.
    pub fn link_up(&self) -> bool {
        let mut link = rte_eth_link::default();
        // SAFETY: the port exists; `link` is writable.
        let answer = unsafe { rte_eth_link_get_nowait(self.id(), &raw mut link) };
        answer == 0 && link.link_status() == SHIM_LINK_UP
    }

    /// What the port has counted.
    pub fn stats(&self) -> Stats {
        let mut stats = rte_eth_stats::default();
        // SAFETY: the port exists; `stats` is writable. On failure it stays zero.
        let _ = unsafe { rte_eth_stats_get(self.id(), &raw mut stats) };
        Stats {
            rx_packets: stats.ipackets,
            rx_bytes: stats.ibytes,
            tx_packets: stats.opackets,
            tx_bytes: stats.obytes,
            rx_missed: stats.imissed,
            rx_errors: stats.ierrors,
            tx_errors: stats.oerrors,
            rx_nombuf: stats.rx_nombuf,
        }
    }
}

/// Names the device, before what DPDK logged about it.
fn explain(error: Error, device: &str) -> Error {
    let detail = error
        .detail
        .as_deref()
        .map_or_else(|| device.to_owned(), |logged| format!("{device}: {logged}"));
    error.with_detail(detail)
}

/// Another unicast address of local significance, the same one at every start.
fn twin(mac: [u8; 6]) -> [u8; 6] {
    let [first, second, rest @ ..] = mac;
    let [third, fourth, fifth, sixth] = rest;
    [first & !1 | 2, second ^ 0x80, third, fourth, fifth, sixth]
}
