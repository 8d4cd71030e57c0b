//! Ethernet ports: any DPDK virtual device, or a PCI device.

use std::{
    any::Any,
    ffi::CStr,
    fmt, fs, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dpdk_sys::*;

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
        let id = match port_of(&name) {
            Some(id) => claim(id, device)?,
            None => {
                // SAFETY: the EAL is initialised (token); the text lives for the call.
                let answer = unsafe { rte_dev_probe(arguments.as_ptr()) };
                check("rte_dev_probe", answer).map_err(|error| explain(error, device))?;
                let id = port_of(&name);
                let id = id.ok_or_else(|| {
                    Error::new("rte_dev_probe", libc::ENODEV, format!("{device}: no port appeared"))
                })?;
                claim(id, device)?
            }
        };
        Self::adopt(eal, id, device, None)
    }

    /// Takes over a port that exists and is claimed; `backing` is dropped after it is closed.
    pub(crate) fn adopt(
        eal: &Eal,
        id: u16,
        device: &str,
        backing: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Self> {
        let device = Device {
            id,
            name: device.to_owned(),
            omits_port: backing.is_some() || device.starts_with("net_ring"),
            started: AtomicBool::new(false),
            pool: Mutex::new(None),
            backing,
            eal: eal.clone(),
        };
        let mut mac = rte_ether_addr::default();
        // SAFETY: the port exists; `mac` is writable.
        check("rte_eth_macaddr_get", unsafe { rte_eth_macaddr_get(id, &raw mut mac) })?;
        let port = Self { device: Arc::new(device), mac: mac.addr_bytes };
        let mac = if port.shares_its_mac() { twin(port.mac) } else { port.mac };
        Ok(Self { mac, ..port })
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
        let id = self.id();
        if self.device.pool().is_some() {
            return Err(Error::new(
                "Port::configure",
                libc::EALREADY,
                format!("{}: is configured", self.device()),
            ));
        }
        let info = self.device.info()?;
        self.refuse_what_no_buffer_holds(pool)?;
        let mtu = config.mtu.unwrap_or_else(|| self.mtu());
        let offloads = self.offloads(&config, &info, mtu, pool)?;
        // SAFETY: the port exists and is stopped; `offloads` lives for the call.
        let answer = unsafe {
            rte_eth_dev_configure(id, config.rx_queues, config.tx_queues, &raw const offloads)
        };
        check("rte_eth_dev_configure", answer).map_err(|error| explain(error, self.device()))?;
        *self.device.pool() = Some(pool.clone());
        self.set_up_queues(&config, &offloads, &info, pool)?;
        if config.mtu.is_some() {
            self.set_mtu(mtu)?;
        }
        self.set_addresses(&config)?;
        let rx =
            (0..config.rx_queues).map(|queue| RxQueue::new(self.device.clone(), queue)).collect();
        let tx =
            (0..config.tx_queues).map(|queue| TxQueue::new(self.device.clone(), queue)).collect();
        Ok((rx, tx))
    }

    /// Starts receiving and transmitting.
    pub fn start(&mut self) -> Result<()> {
        // SAFETY: the port exists; its queues are idle: they look at `started`.
        check("rte_eth_dev_start", unsafe { rte_eth_dev_start(self.id()) })
            .map_err(|error| explain(error, self.device()))?;
        // Release: pairs with the queues, which may now call the driver.
        self.device.started.store(true, Ordering::Release);
        Ok(())
    }

    /// Stops the port.
    ///
    /// # Errors
    ///
    /// `EBUSY` while one of its queues lives: another thread may be in it.
    pub fn stop(&mut self) -> Result<()> {
        let Some(device) = Arc::get_mut(&mut self.device) else {
            return Err(Error::new(
                "rte_eth_dev_stop",
                libc::EBUSY,
                format!("{}: its queues are in use", self.device()),
            ));
        };
        device.stop()
    }

    /// DPDK's number of the port.
    pub fn id(&self) -> u16 {
        self.device.id
    }

    /// The driver's name, e.g. `"net_tap"`.
    pub fn driver(&self) -> String {
        let name = self.device.info().map(|info| info.driver_name).unwrap_or(std::ptr::null());
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
        let mut mtu = 0;
        // SAFETY: the port exists; `mtu` is writable.
        let answer = unsafe { rte_eth_dev_get_mtu(self.id(), &raw mut mtu) };
        if answer < 0 || mtu == 0 { ETHERNET_MTU } else { mtu }
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

    /// Whether the device is the far end of a kernel interface that has the very same address.
    fn shares_its_mac(&self) -> bool {
        let device = self.device();
        device.starts_with("net_tap")
            || (device.starts_with("net_virtio_user") && device.contains("/dev/vhost-net"))
    }

    /// The af_packet driver copies frames as long as the kernel's MTU into buffers without looking (22.11).
    fn refuse_what_no_buffer_holds(&self, pool: &Mempool) -> Result<()> {
        let device = self.device();
        let interface =
            device.split(',').find_map(|argument| argument.trim().strip_prefix("iface="));
        let (true, Some(interface)) = (device.starts_with("net_af_packet"), interface) else {
            return Ok(());
        };
        let mtu = fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).unwrap_or_default();
        let frame = mtu.trim().parse::<u32>().unwrap_or(0).saturating_add(ETHERNET_OVERHEAD);
        if frame > u32::from(pool.data_room()) {
            let room = pool.data_room();
            let why = format!(
                "{interface}: MTU {} and {ETHERNET_OVERHEAD} octets exceed the {room} octets of a buffer",
                mtu.trim()
            );
            return Err(Error::new("Port::configure", libc::EMSGSIZE, why));
        }
        Ok(())
    }

    fn offloads(
        &self,
        config: &Config,
        info: &rte_eth_dev_info,
        mtu: u16,
        pool: &Mempool,
    ) -> Result<rte_eth_conf> {
        let mut conf = rte_eth_conf::default();
        conf.rxmode.mtu = u32::from(mtu);
        conf.rxmode.offloads = SHIM_RX_OFFLOAD_IPV4_CKSUM & info.rx_offload_capa;
        if u32::from(mtu) + ETHERNET_OVERHEAD > u32::from(pool.data_room()) {
            if info.rx_offload_capa & SHIM_RX_OFFLOAD_SCATTER == 0 {
                let room = pool.data_room();
                let why = format!(
                    "{}: MTU {mtu} and {ETHERNET_OVERHEAD} octets exceed the {room} octets of a buffer",
                    self.device()
                );
                return Err(Error::new("Port::configure", libc::EMSGSIZE, why));
            }
            conf.rxmode.offloads |= SHIM_RX_OFFLOAD_SCATTER;
        }
        conf.txmode.offloads = SHIM_TX_OFFLOAD_MULTI_SEGS & info.tx_offload_capa;
        if config.fast_free {
            conf.txmode.offloads |= SHIM_TX_OFFLOAD_MBUF_FAST_FREE & info.tx_offload_capa;
        }
        let hash = SHIM_RSS_IP & info.flow_type_rss_offloads;
        if config.rx_queues > 1 && hash != 0 {
            conf.rxmode.mq_mode = SHIM_RX_MQ_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = hash;
        }
        Ok(conf)
    }

    fn set_up_queues(
        &self,
        config: &Config,
        conf: &rte_eth_conf,
        info: &rte_eth_dev_info,
        pool: &Mempool,
    ) -> Result<()> {
        let id = self.id();
        let (mut rx_descriptors, mut tx_descriptors) =
            (config.rx_descriptors, config.tx_descriptors);
        // SAFETY: the port exists; both numbers are writable.
        let answer = unsafe {
            rte_eth_dev_adjust_nb_rx_tx_desc(id, &raw mut rx_descriptors, &raw mut tx_descriptors)
        };
        check("rte_eth_dev_adjust_nb_rx_tx_desc", answer)?;
        let rx_conf = rte_eth_rxconf { offloads: conf.rxmode.offloads, ..info.default_rxconf };
        let tx_conf = rte_eth_txconf { offloads: conf.txmode.offloads, ..info.default_txconf };
        let socket = SHIM_SOCKET_ANY as u32;
        for queue in 0..config.rx_queues {
            // SAFETY: the port is configured with this queue; the pool lives as long as the device, which keeps a clone.
            let answer = unsafe {
                rte_eth_rx_queue_setup(
                    id,
                    queue,
                    rx_descriptors,
                    socket,
                    &raw const rx_conf,
                    pool.as_ptr(),
                )
            };
            check("rte_eth_rx_queue_setup", answer)
                .map_err(|error| explain(error, self.device()))?;
        }
        for queue in 0..config.tx_queues {
            // SAFETY: the port is configured with this queue.
            let answer = unsafe {
                rte_eth_tx_queue_setup(id, queue, tx_descriptors, socket, &raw const tx_conf)
            };
            check("rte_eth_tx_queue_setup", answer)
                .map_err(|error| explain(error, self.device()))?;
        }
        Ok(())
    }

    fn set_mtu(&self, mtu: u16) -> Result<()> {
        // SAFETY: the port exists and is stopped.
        match check("rte_eth_dev_set_mtu", unsafe { rte_eth_dev_set_mtu(self.id(), mtu) }) {
            Err(error) if error.errno.0 != libc::ENOTSUP => Err(explain(error, self.device())),
            _ => Ok(()),
        }
    }

    /// Makes the port receive what is sent to our address, by its filter or, where it has none to set, without.
    fn set_addresses(&mut self, config: &Config) -> Result<()> {
        let id = self.id();
        let mut promiscuous = config.promiscuous;
        if let Some(mac) = config.mac {
            self.mac = mac;
            if self.device.is_virtual() {
                // Changing it would change the kernel interface behind it, which is not ours.
                promiscuous = true;
            } else {
                let mut address = rte_ether_addr { addr_bytes: mac };
                // SAFETY: the port exists; `address` lives for the call.
                let answer = unsafe { rte_eth_dev_default_mac_addr_set(id, &raw mut address) };
                promiscuous |= answer < 0;
            }
        }
        if promiscuous && !self.shares_its_mac() {
            // SAFETY: the port exists.
            match check("rte_eth_promiscuous_enable", unsafe { rte_eth_promiscuous_enable(id) }) {
                // A device without such a filter receives everything as it is.
                Err(error) if error.errno.0 != libc::ENOTSUP => {
                    return Err(explain(error, self.device()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An open device; closed with the last of its port and queues.
pub(crate) struct Device {
    pub(crate) id: u16,
    pub(crate) started: AtomicBool,
    /// Whether the driver leaves the port number of received packets as it was.
    pub(crate) omits_port: bool,
    name: String,
    backing: Option<Box<dyn Any + Send + Sync>>,
    /// The pool it receives into; dropped after what may hold packets of it.
    pool: Mutex<Option<Mempool>>,
    eal: Eal,
}

impl Device {
    fn pool(&self) -> std::sync::MutexGuard<'_, Option<Mempool>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self) -> Result<rte_eth_dev_info> {
        let mut info = rte_eth_dev_info::default();
        // SAFETY: the port exists; `info` is writable.
        check("rte_eth_dev_info_get", unsafe { rte_eth_dev_info_get(self.id, &raw mut info) })?;
        Ok(info)
    }

    fn is_virtual(&self) -> bool {
        self.name.starts_with("net_") || self.backing.is_some()
    }

    fn stop(&mut self) -> Result<()> {
        if !mem::take(self.started.get_mut()) {
            return Ok(());
        }
        // SAFETY: the port exists; `&mut self`: no queue is left to be in it.
        check("rte_eth_dev_stop", unsafe { rte_eth_dev_stop(self.id) }).map(drop)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let stopped = self.stop();
        let device = self.info().map(|info| info.device);
        // SAFETY: the port exists until here and has no queue left; its pool is dropped after this.
        let closed = check("rte_eth_dev_close", unsafe { rte_eth_dev_close(self.id) });
        let removed = device.and_then(|device| {
            // SAFETY: the device under the port just closed: it is removed once, by the only owner of the port.
            check("rte_dev_remove", unsafe { rte_dev_remove(device) })
        });
        release(self.id);
        for error in [stopped.err(), closed.err(), removed.err()].into_iter().flatten() {
            log::warn!("{}: {error}", self.name);
        }
        log::trace!("{}: closed under {:?}", self.name, self.eal);
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({}, {:?})", self.id, self.name)
    }
}

/// The ports that have an owner.
static CLAIMED: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// Makes the caller the only owner of a port.
pub(crate) fn claim(id: u16, device: &str) -> Result<u16> {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    if claimed.contains(&id) {
        return Err(Error::new("Port::open", libc::EBUSY, format!("{device}: is open already")));
    }
    claimed.push(id);
    Ok(id)
}

fn release(id: u16) {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).retain(|claimed| *claimed != id);
}

fn port_of(name: &CStr) -> Option<u16> {
    let mut id = 0;
    // SAFETY: the name lives for the call; `id` is writable.
    let answer = unsafe { rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (answer == 0).then_some(id)
}

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

const ETHERNET_MTU: u16 = 1500;
const ETHERNET_OVERHEAD: u32 = 18; // header and one VLAN tag
