//! The exception path: a Linux tap beside a port (`linux = "..."`), through which the kernel gets what is for services on the
//! box, and sends. A thread of its own moves the packets, so that nothing that management does delays a routing protocol.

mod device;
pub mod ports;
mod pump;
mod routes;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use dpdk_bindings::Mempool;
use ipnet::IpNet;
use log::warn;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::engine::ids::{InterfaceId, PortId};
use crate::engine::interfaces::InterfaceTable;
use crate::engine::message::Rings;
use crate::wire::ethernet::MacAddr;
pub use routes::{KernelRoute, RouteChange};

/// What the kernel's side of an interface shall be.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Wish {
    interface: InterfaceId,
    /// The name of the interface in the configuration.
    port_name: String,
    /// The name of the tap.
    tap: String,
    port: PortId,
    vlan: u16,
    mac: MacAddr,
    mtu: u16,
    addresses: Vec<IpNet>,
}

/// What is counted of one tap: the thread writes, management reads.
#[derive(Debug, Default)]
pub struct Figures {
    /// The name of the interface in the configuration.
    pub port: String,
    /// Packets that the kernel received.
    pub to_kernel: AtomicU64,
    /// Packets that the kernel sent.
    pub from_kernel: AtomicU64,
    /// Packets that the kernel did not take, or that found no buffer.
    pub lost: AtomicU64,
}

/// The exception path as the management core has it.
pub struct Linux {
    orders: UnboundedSender<Order>,
    ended: mpsc::Receiver<()>,
    changes: mpsc::Receiver<RouteChange>,
    figures: Vec<Arc<Figures>>,
}

enum Order {
    Adopt(Vec<Wish>),
    Stop,
}

impl Linux {
    /// Makes the taps, and begins to move packets and to follow the kernel's routes; `None` where no interface has a tap.
    ///
    /// # Errors
    /// With what could not be made, and what to do about it.
    pub fn start(
        interfaces: &InterfaceTable,
        workers: Vec<Arc<Rings>>,
        pool: Mempool,
    ) -> anyhow::Result<Option<Self>> {
        let wishes = wishes(interfaces);
        if wishes.is_empty() {
            return Ok(None);
        }
        let figures: Vec<Arc<Figures>> = wishes
            .iter()
            .map(|wish| Arc::new(Figures { port: wish.port_name.clone(), ..Figures::default() }))
            .collect();
        let (orders, inbox) = unbounded_channel();
        let (end, ended) = mpsc::channel();
        let (change, changes) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let counted = figures.clone();
        let thread = std::thread::Builder::new().name("linux".to_owned());
        thread
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => {
                        runtime
                            .block_on(live(wishes, counted, workers, pool, inbox, change, &ready));
                    }
                    Err(error) => drop(ready.send(Err(error.into()))),
                }
                // Nobody may wait for this any more.
                let _ = end.send(());
            })
            .context("cannot start a thread")?;
        match started.recv() {
            Ok(Ok(())) => Ok(Some(Self { orders, ended, changes, figures })),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("the thread of the exception path ended"),
        }
    }

    /// Gives the taps the addresses of new tables. Which taps there are is decided at start.
    pub fn adopt(&self, interfaces: &InterfaceTable) {
        self.order(Order::Adopt(wishes(interfaces)));
    }

    /// The next change of the kernel's routes through the taps.
    pub fn next_change(&self) -> Option<RouteChange> {
        self.changes.try_recv().ok()
    }

    /// What is counted, by tap.
    pub fn figures(&self) -> &[Arc<Figures>] {
        &self.figures
    }

    /// Takes the taps away.
    pub fn stop(self) {
        self.order(Order::Stop);
        if self.ended.recv_timeout(LAST_WORDS).is_err() {
            warn!("the exception path does not end in time");
        }
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            warn!("the exception path has ended");
        }
    }
}

fn wishes(interfaces: &InterfaceTable) -> Vec<Wish> {
    let wish = |interface: &crate::engine::interfaces::Interface| {
        Some(Wish {
            interface: interface.id,
            port_name: interface.name.clone(),
            tap: interface.linux.clone()?,
            port: interface.port,
            vlan: interface.vlan,
            mac: interface.mac,
            mtu: interface.mtu,
            addresses: interface.addresses.clone(),
        })
    };
    interfaces.iter().filter_map(wish).collect()
}

/// The life of the thread.
async fn live(
    wishes: Vec<Wish>,
    figures: Vec<Arc<Figures>>,
    workers: Vec<Arc<Rings>>,
    pool: Mempool,
    mut orders: UnboundedReceiver<Order>,
    changes: mpsc::Sender<RouteChange>,
    ready: &mpsc::Sender<anyhow::Result<()>>,
) {
    let made = async {
        let kernel = device::Kernel::connect()?;
        let taps = kernel.make(&wishes).await?;
        let routes = routes::Follower::begin(&kernel, &taps, changes).await?;
        anyhow::Ok((kernel, taps, routes))
    };
    let (kernel, taps, mut routes) = match made.await {
        Ok(made) => made,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut pump = pump::Pump::new(&taps, figures, workers, pool);
    if ready.send(Ok(())).is_err() {
        return;
    }
    loop {
        let pause = if pump.turn(&taps) { Duration::ZERO } else { PAUSE };
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Adopt(wishes)) => kernel.change(&taps, &wishes).await,
                Some(Order::Stop) | None => break,
            },
            message = routes.next() => routes.hear(message).await,
            () = rest(pause) => {}
        }
    }
    pump.finish();
}

/// Waits, or without a pause lets others have a turn: the conversations with the kernel.
async fn rest(pause: Duration) {
    if pause.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(pause).await;
    }
}

/// Whether an address is on the local link only, so that the kernel has one of its own there.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Between two looks at the rings and taps.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the end of the process waits for the taps to go.
const LAST_WORDS: Duration = Duration::from_millis(500);
