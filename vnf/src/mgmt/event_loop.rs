//! The management core's one thread: it alternates between requests, what the workers sent, and signals.

use std::time::Duration;

use log::{error, info, warn};
use tokio::sync::{mpsc, oneshot};

use super::request::{Failure, Reload, Reply, Request};
use super::view::ReloadReport;

/// The synchronous side of the management core, called from one thread only.
///
/// `vnf run` makes it with `vnf::start(settings, running_config)`, which returns once every worker polls.
pub trait Control {
    /// Takes a request. Its reply is settled now, or by a later [`Control::turn`] when workers must tell first.
    fn answer(&mut self, request: Request);

    /// Takes what the workers sent and does what is due. Says how long it wants to be left alone at most.
    fn turn(&mut self) -> Duration;

    /// Opens log files anew: SIGHUP says that they may have been moved away.
    fn reopen_logs(&mut self);

    /// Stops the workers and closes the ports.
    fn stop(self);
}

/// What a signal asks of the event loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Open log files anew and read the configuration file again: SIGHUP.
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
    loop {
        let pause = control.turn();
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Reload) => {
                    control.reopen_logs();
                    match reread() {
                        Ok(text) => {
                            let (reply, outcome) = Reply::pair();
                            control.answer(Request::Reload(text, reply));
                            tokio::spawn(async move { tell(outcome.await) });
                        }
                        Err(why) => refused(&why),
                    }
                }
                Some(Order::Stop) | None => return,
            },
            Some(request) = requests.recv() => control.answer(request),
            () = rest(pause) => {}
        }
    }
}

/// Leaves the thread to clients for a while, or, without a pause, for as long as they have something to do.
async fn rest(pause: Duration) {
    if pause.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(pause).await;
    }
}

/// Logs how a reload ended that nobody but a signal asked for.
fn tell(outcome: Result<Result<ReloadReport, Failure>, oneshot::error::RecvError>) {
    match outcome {
        Ok(Ok(report)) => applied(&report),
        Ok(Err(why)) => refused(&why),
        Err(_) => refused(&Failure::Unavailable("the VNF is stopping".to_owned())),
    }
}

fn applied(report: &ReloadReport) {
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

#[cfg(test)]
mod tests;
