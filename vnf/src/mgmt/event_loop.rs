//! The management core's one thread: it alternates between requests, what the workers sent, and signals.

use std::time::Duration;

use log::{error, info, warn};
use tokio::sync::{mpsc, oneshot};

use super::request::{Failure, Reload, Reply, Request};
use super::view::ReloadReport;

/// The synchronous side of the management core, called from one thread only.
pub trait Control {
    /// Takes a request. Its reply is settled now, or by a later [`Control::turn`] when workers must tell first.
    fn answer(&mut self, request: Request);

    /// Takes what the workers sent and does what is due. Says how long it wants to be left alone at most.
    fn turn(&mut self) -> Duration;
}

/// What a signal asks of the event loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Read the configuration file again: SIGHUP.
    Reload,
    /// End: SIGTERM or SIGINT.
    Stop,
}

/// Drives the management core until it is told to stop.
///
/// `reread` gives the configuration file's name and present text.
pub async fn run(
    control: &mut impl Control,
    requests: &mut mpsc::Receiver<Request>,
    orders: &mut mpsc::Receiver<Order>,
    reread: impl Fn() -> Result<Reload, Failure>,
) {
    let mut reload: Option<oneshot::Receiver<Result<ReloadReport, Failure>>> = None;
    loop {
        let pause = control.turn();
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Reload) => match reread() {
                    Ok(text) => {
                        let (reply, outcome) = Reply::pair();
                        control.answer(Request::Reload(text, reply));
                        reload = Some(outcome);
                    }
                    Err(why) => refused(&why),
                },
                Some(Order::Stop) | None => return,
            },
            Some(request) = requests.recv() => control.answer(request),
            Ok(outcome) = async { reload.as_mut().expect("guarded").await }, if reload.is_some() => {
                reload = None;
                match outcome {
                    Ok(report) => told(&report),
                    Err(why) => refused(&why),
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn told(report: &ReloadReport) {
    if report.changes.is_empty() {
        info!("reload: nothing changed");
    }
    for change in &report.changes {
        info!("reload: {change}");
    }
    if report.sessions_ended > 0 {
        warn!("reload: {} sessions ended", report.sessions_ended);
    }
}

fn refused(why: &Failure) {
    for line in why.to_string().lines() {
        error!("reload: {line}");
    }
    error!("reload: refused; the old configuration goes on");
}
