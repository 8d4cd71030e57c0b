//! What commands share that look at a constant load.

use std::time::Duration;

use clap::Args;

use super::traffic::{Traffic, Way};
use super::{Failure, Global};
use crate::engine::Stage;
use crate::measure::{Request, Trial};
use crate::rate::{Load, Rate};
use crate::receive::Arrivals;
use crate::record::Second;
use crate::screen::{Mode, Screen};
use crate::session::Session;
use crate::soak::{Disturbances, Event, Every};
use crate::storm::Storm;
use crate::transmit::Spacing;

/// A constant load.
#[derive(Args, Debug)]
pub(super) struct Steady {
    #[command(flatten)]
    pub(super) traffic: Traffic,
    /// Rate of each direction: 100kpps, 1Gbps, or a part of --ndr such as 80%
    #[arg(long, default_value = "10kpps", value_parser = load)]
    load: Load,
    /// The rate without loss, as `mlr` found it: what percents are of
    #[arg(long, value_name = "RATE")]
    ndr: Option<Load>,
    /// Which way to send
    #[arg(long, value_enum, default_value_t = Way::Both)]
    dir: Way,
}

/// A session whose flows are open and warm.
pub(super) struct Warm {
    pub(super) session: Session,
    pub(super) rate: Rate,
    screen: Screen,
    dir: Way,
}

/// One trial, with all that is known of single frames.
pub(super) struct Watched {
    pub(super) trial: Trial,
    pub(super) arrivals: Arrivals,
    pub(super) seconds: Vec<Second>,
    pub(super) events: Vec<Event>,
    /// Hostile frames sent.
    pub(super) hostile: u64,
}

impl Steady {
    /// Opens the ports, learns every flow, and sends for a second.
    pub(super) fn warm_up(&self, global: &Global) -> Result<Warm, Failure> {
        let layout = self.traffic.layout(global)?;
        let size = layout.mean_size();
        let maximum = self.ndr.and_then(|ndr| ndr.rate(size, None));
        let rate = self.load.rate(size, maximum).ok_or_else(|| {
            let why = "--load must be a rate, or a percentage with --ndr RATE to take it of";
            Failure::Usage(why.to_owned())
        })?;
        let mut session = global.open(layout)?;
        let mode = if global.quiet { Mode::Quiet } else { Mode::Lines };
        let mut screen = Screen::new(mode, "");
        let request = self.dir.request(rate, WARM_UP, Stage::WarmUp);
        let learning = session.run(
            |tick| screen.tick(tick),
            |bench| {
                bench.resolve()?;
                let learning = bench.learn(Some(rate));
                if bench.engine.flows.learned() > 0 {
                    bench.trial(&request);
                }
                Ok::<_, crate::measure::Unresolved>(learning)
            },
        )??;
        if learning.missing > 0 {
            let (missing, flows) = (learning.missing, session.layout.flows());
            let why = format!("{missing} of {flows} flows did not come through to begin with");
            return Err(super::environment(&why));
        }
        Ok(Warm { session, rate, screen, dir: self.dir })
    }
}

impl Warm {
    /// Sends for a while, and meanwhile does what shall be done.
    pub(super) fn watch(
        &mut self,
        duration: Duration,
        disturbances: Vec<Every>,
        storm: Option<Storm>,
    ) -> Result<Watched, Failure> {
        let Self { session, rate, screen, dir } = self;
        session.engine.verifier.arrivals = Some(Arrivals::default());
        let request = dir.request(*rate, duration, Stage::Measuring);
        let running = Disturbances::start(disturbances);
        let trial = session.run(
            |tick| screen.tick(tick),
            |bench| {
                bench.engine.storm = storm;
                let now = crate::engine::Clock::now(bench.clock);
                if let Some(storm) = &mut bench.engine.storm {
                    storm.begin(now, request.duration);
                }
                bench.trial(&request)
            },
        );
        let events = running.finish();
        let trial = trial?;
        let hostile = session.engine.storm.take().map_or(0, |storm| storm.sent());
        let arrivals = session.engine.verifier.arrivals.take().unwrap_or_default();
        let seconds = session.engine.seconds().to_vec();
        Ok(Watched { trial, arrivals, seconds, events, hostile })
    }
}

impl Way {
    fn request(self, rate: Rate, duration: Duration, stage: Stage) -> Request {
        Request {
            rate: Some(rate),
            spacing: Spacing::Even,
            duration: duration.as_nanos() as u64,
            directions: self.directions(),
            stage,
        }
    }
}

/// A load; `80%ndr` is `80%`.
fn load(text: &str) -> Result<Load, String> {
    let text = text.strip_suffix("ndr").unwrap_or(text);
    text.parse().map_err(|error: crate::rate::LoadError| error.to_string())
}

const WARM_UP: Duration = Duration::from_secs(1);
