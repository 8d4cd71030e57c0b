//! DPDK without hardware, hugepages or root, so that `cargo test` runs the real thing.

use std::{
    ptr::NonNull,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use dpdk_sys::*;

use crate::{
    Eal, Mbuf, Mempool, Port, RxQueue, TxQueue,
    eal::{Hugepages, Options, c_string},
    error::{Error, Result, check},
    port::{Config, registry},
};

/// DPDK of this process, on ordinary pages; every test shares it.
///
/// # Panics
///
/// Where DPDK cannot be initialised: no test can go on then.
pub fn eal() -> Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    let options = Options {
        program: "test".to_owned(),
        memory_mib: 1024, // of address space; pages come as they are touched
        hugepages: Hugepages::Never,
        ..Options::default()
    };
    EAL.get_or_init(|| Eal::init(&options).unwrap_or_else(|error| panic!("{error}"))).clone()
}

/// A pool of its own with `buffers` buffers of the usual size.
///
/// # Panics
///
/// Where there is no memory left.
pub fn pool(buffers: u32) -> Mempool {
    let name = unique("pool");
    Mempool::new(&eal(), &name, buffers, 0, 2048).unwrap_or_else(|error| panic!("{error}"))
}

/// A packet of these octets with one segment for each length in `segments` and one for the rest.
pub fn segmented(pool: &Mempool, octets: &[u8], segments: &[usize]) -> Option<Mbuf> {
    let (&first, rest) = segments.split_first().unwrap_or((&octets.len(), &[]));
    let (head, mut octets) = octets.split_at_checked(first)?;
    let mut packet = pool.frame(head)?;
    for &length in rest {
        let (part, later) = octets.split_at_checked(length)?;
        packet.append(pool.frame(part)?).ok()?;
        octets = later;
    }
    if !octets.is_empty() {
        packet.append(pool.frame(octets)?).ok()?;
    }
    Some(packet)
}

/// A port made of rings: the near side is a port like any other, the far side is the test's.
#[derive(Debug)]
pub struct RingPort {
    /// The port, configured and started.
    pub port: Port,
    /// Its receive queues.
    pub receive: Vec<RxQueue>,
    /// Its transmit queues.
    pub transmit: Vec<TxQueue>,
    /// Where its packets come from and go to.
    pub far: FarEnd,
}

/// The far side of a [`RingPort`]; clones share it.
#[derive(Clone, Debug)]
pub struct FarEnd(Arc<Rings>);

#[derive(Debug)]
struct Rings {
    inward: Vec<Ring>,
    outward: Vec<Ring>,
}

impl RingPort {
    /// Makes and starts a port with so many queues in each direction.
    pub fn open(pool: &Mempool, queues: u16) -> Result<Self> {
        let eal = pool.eal();
        let rings = || (0..queues).map(|_| Ring::new(eal)).collect::<Result<Vec<_>>>();
        let rings = Arc::new(Rings { inward: rings()?, outward: rings()? });
        let raw = |rings: &[Ring]| rings.iter().map(|ring| ring.ring.as_ptr()).collect::<Vec<_>>();
        let (inward, outward) = (raw(&rings.inward), raw(&rings.outward));
        let name = unique("ring");
        let c_name = c_string(name.as_str())?;
        let count = u32::from(queues);
        let mut registry = registry();
        // SAFETY: the EAL is initialised (the pool holds a token); arrays and name live for the call, the rings as long
        // as the port, which keeps them.
        let id = unsafe {
            rte_eth_from_rings(c_name.as_ptr(), inward.as_ptr(), count, outward.as_ptr(), count, 0)
        };
        if id < 0 {
            return Err(Error::last("rte_eth_from_rings"));
        }
        let mut port =
            Port::adopt(&mut registry, eal, id as u16, &name, Some(Box::new(rings.clone())))?;
        drop(registry);
        let config = Config { rx_queues: queues, tx_queues: queues, ..Config::default() };
        let (receive, transmit) = port.configure(config, pool)?;
        port.start()?;
        Ok(Self { port, receive, transmit, far: FarEnd(rings) })
    }

    /// Lets a packet arrive at the first receive queue; gives it back where that is full.
    pub fn inject(&self, packet: Mbuf) -> std::result::Result<(), Mbuf> {
        self.far.inject(packet)
    }

    /// Takes a packet that the port has transmitted, from any of its queues.
    pub fn collect(&self) -> Option<Mbuf> {
        self.far.collect()
    }
}

impl FarEnd {
    /// Lets a packet arrive at the first receive queue; gives it back where that is full.
    pub fn inject(&self, packet: Mbuf) -> std::result::Result<(), Mbuf> {
        self.inject_into(0, packet)
    }

    /// Lets a packet arrive at this receive queue; gives it back where that is full, or there is no such queue.
    pub fn inject_into(&self, queue: usize, packet: Mbuf) -> std::result::Result<(), Mbuf> {
        match self.0.inward.get(queue) {
            Some(ring) => ring.push(packet),
            None => Err(packet),
        }
    }

    /// Takes a packet that the port has transmitted, from any of its queues.
    pub fn collect(&self) -> Option<Mbuf> {
        self.0.outward.iter().find_map(Ring::pop)
    }
}

/// A ring of packets that any thread may fill and empty.
#[derive(Debug)]
struct Ring {
    ring: NonNull<rte_ring>,
    _eal: Eal,
}

// SAFETY: made for several producers and consumers (flags 0); what it carries is `Send`.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    fn new(eal: &Eal) -> Result<Self> {
        let name = c_string(unique("r"))?;
        // SAFETY: the EAL is initialised (token); the name lives for the call.
        let ring = unsafe { rte_ring_create(name.as_ptr(), RING, SHIM_SOCKET_ANY, 0) };
        let ring = NonNull::new(ring).ok_or_else(|| Error::last("rte_ring_create"))?;
        Ok(Self { ring, _eal: eal.clone() })
    }

    fn push(&self, packet: Mbuf) -> std::result::Result<(), Mbuf> {
        let raw = packet.into_raw();
        // SAFETY: the ring is alive; it owns the packet from here.
        let answer = unsafe { shim_ring_enqueue(self.ring.as_ptr(), raw.cast()) };
        if check("rte_ring_enqueue", answer).is_ok() {
            return Ok(());
        }
        // SAFETY: the ring was full and has not taken it.
        Err(unsafe { Mbuf::from_raw(raw) }.expect("a packet went in"))
    }

    fn pop(&self) -> Option<Mbuf> {
        let mut object = std::ptr::null_mut();
        // SAFETY: the ring is alive; `object` is writable, and stays null where the ring is empty.
        unsafe { shim_ring_dequeue(self.ring.as_ptr(), &raw mut object) };
        // SAFETY: only packets go in (here and in the ring driver), and each comes out once.
        unsafe { Mbuf::from_raw(object.cast()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while self.pop().is_some() {}
        // SAFETY: nobody else holds the ring: the port that used it is closed.
        unsafe { rte_ring_free(self.ring.as_ptr()) };
    }
}

fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

const RING: u32 = 1024;
