//! `vnf run`: the life of an instance, from its configuration to its last signal.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use log::{error, info, warn};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::WrongConfig;
use crate::config::{self, Settings};
use crate::mgmt::api::{Api, read_config};
use crate::mgmt::event_loop::{self, Control, Order};
use crate::mgmt::notify::{READY, STOPPING, notify};
use crate::mgmt::request;
use crate::mgmt::socket::{self, Claim};
use crate::mgmt::view::RunningConfig;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs an instance until SIGTERM or SIGINT.
///
/// `start` opens the ports and returns once every worker polls. Signals are heard before it is called; the
/// socket is claimed before it too, so that a second instance leaves the ports alone.
pub(super) fn run<C: Control>(
    arguments: &Arguments,
    start: impl FnOnce(Settings, RunningConfig) -> anyhow::Result<C>,
) -> anyhow::Result<()> {
    let life = Life::default();
    let (orders, mut ordered) = mpsc::channel(ORDERS);
    listen_to_signals(&life, orders)?;
    log_to_stderr();
    let file = std::path::absolute(&arguments.config)?;
    let (settings, running) = read(&file)?;
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    let outcome = live(&life, &file, settings, running, &mut ordered, start);
    life.leave();
    outcome
}

fn live<C: Control>(
    life: &Life,
    file: &Path,
    settings: Settings,
    running: RunningConfig,
    orders: &mut mpsc::Receiver<Order>,
    start: impl FnOnce(Settings, RunningConfig) -> anyhow::Result<C>,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let management = settings.management.clone();
    let (claim, listener) = runtime.block_on(socket::claim(&management.socket))?;
    *life.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
    let http = management.http.map(|address| bind(&runtime, address)).transpose()?;

    let mut control = start(settings, running)?;
    life.started.store(true, Ordering::Release);

    let (asker, mut requests) = request::channel();
    let api = Api::new(asker, file.to_owned());
    runtime.block_on(async {
        tokio::spawn(socket::serve(listener, api.clone().private()));
        if let Some((http, address)) = http {
            info!("figures on http://{address}");
            tokio::spawn(socket::serve(http, api.public()));
        }
        tell_manager(READY);
        info!("ready; `vnf status` asks on {}", management.socket.display());
        let reread = || read_config(file, false);
        event_loop::run(&mut control, &mut requests, orders, reread).await;
    });
    info!("stopping");
    tell_manager(STOPPING);
    control.stop();
    Ok(())
}

/// What the signal thread shares with the main thread.
#[derive(Clone, Default)]
struct Life {
    claim: Arc<Mutex<Option<Claim>>>,
    started: Arc<AtomicBool>, // main thread: write, signal thread: read
}

impl Life {
    /// Removes the socket.
    fn leave(&self) {
        drop(self.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn read(file: &Path) -> anyhow::Result<(Settings, RunningConfig)> {
    let source = read_config(file, false).map_err(|why| WrongConfig(why.to_string()))?;
    let settings = config::parse(&source.file, &source.text)
        .map_err(|errors| WrongConfig(errors.to_string()))?;
    let effective = settings.to_json();
    Ok((settings, RunningConfig { file: source.file, text: source.text, effective }))
}

fn log_to_stderr() {
    // DPDK logs as errors what it gets around; what makes it fail is part of the error anyway.
    let level = env_logger::Env::new().filter_or("VNF_LOG", "info,dpdk=off");
    env_logger::Builder::from_env(level).format_target(false).init();
}

/// Listens, and says where: port 0 in the configuration leaves the choice to the kernel.
fn bind(runtime: &Runtime, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let advice = "choose another management.http";
    let listener = StdListener::bind(address)
        .with_context(|| format!("cannot listen on {address}, {advice}"))?;
    listener.set_nonblocking(true)?;
    let _inside = runtime.enter();
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

fn tell_manager(message: &str) {
    if let Err(why) = notify(message) {
        warn!("the service manager was not told {message}: {why}");
    }
}

/// Hears signals on a thread of its own from now on, whatever the main thread does meanwhile.
fn listen_to_signals(life: &Life, orders: mpsc::Sender<Order>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let hangup = signal(SignalKind::hangup())?;
    let ends = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    drop(inside);
    let life = life.clone();
    let hear = move || runtime.block_on(pass_on(hangup, ends, orders, life));
    std::thread::Builder::new().name("vnf-signals".to_owned()).spawn(hear)?;
    Ok(())
}

async fn pass_on(
    mut hangup: Signal,
    [mut interrupt, mut terminate]: [Signal; 2],
    orders: mpsc::Sender<Order>,
    life: Life,
) {
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                // A full queue holds a reload that will see the same file.
                let _ = orders.try_send(Order::Reload);
                continue;
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        break;
    }
    tokio::spawn(async move { orders.send(Order::Stop).await });
    tokio::time::sleep(LAST_SECONDS).await;
    // Still here. DPDK maps and clears memory at start, which takes as long as it takes and is safe to leave.
    life.leave();
    if life.started.load(Ordering::Acquire) {
        error!("the workers did not stop in time");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// Signals that wait to be obeyed.
const ORDERS: usize = 4;

/// How long an end may take: less than the two seconds that a service manager was promised.
const LAST_SECONDS: Duration = Duration::from_millis(1700);
