//! RFC 8219 section 7.3: packet delay variation and inter-packet delay variation (RFC 5481).

use super::{Stand, rfc2544};
use crate::plot::Unit;
use crate::trials::TrialError;

impl Stand<'_, '_> {
    /// Section 7.3.1: how far the 99.9th percentile of the delay lies above its minimum.
    pub fn pdv(&mut self, plan: &rfc2544::Plan) -> Result<(), TrialError> {
        let Some(rate) = self.rate_for(plan)? else { return Ok(()) };
        self.enter("latency for PDV");
        let trial = self.trials.measure_at(rate, plan.trial)?;
        let found = trial.latency.quantiles();
        self.time("PDV", found.p999.saturating_sub(found.min) as f64);
        Ok(())
    }

    /// Section 7.3.2: how much the delay changes from one frame of a flow to its next.
    pub fn ipdv(&mut self, plan: &rfc2544::Plan) -> Result<(), TrialError> {
        let Some(rate) = self.rate_for(plan)? else { return Ok(()) };
        self.enter("latency for IPDV");
        let [longer, shorter] = self.trials.measure_variation(rate, plan.trial)?;
        let (count, falls) = (longer.count() + shorter.count(), shorter.count());
        if count == 0 {
            self.warn("No flow had two frames in a trial: IPDV needs that.");
            return Ok(());
        }
        // Of all changes in ascending order the falls come first, the deepest before the others.
        let middle = count.div_ceil(2);
        let median = if middle <= falls {
            -(shorter.at_rank(falls - middle + 1) as f64)
        } else {
            longer.at_rank(middle - falls) as f64
        };
        let sum = longer.mean() * longer.count() as f64 + shorter.mean() * falls as f64;
        let (least, most) = (-(shorter.quantiles().max as f64), longer.quantiles().max as f64);
        self.time("IPDV, minimum", least);
        self.time("IPDV, median", median);
        self.time("IPDV, maximum", most);
        let found = self.case.add("IPDV, mean size", Unit::Ns, sum / count as f64);
        "what the jitter of RFC 3550 tends to".clone_into(&mut found.note);
        Ok(())
    }

    /// The throughput, if there is one.
    fn rate_for(&mut self, plan: &rfc2544::Plan) -> Result<Option<f64>, TrialError> {
        let rate = self.throughput(plan)?;
        if rate < super::LEAST_LOAD {
            self.warn("No load was without loss: delay variation was not measured.");
            return Ok(None);
        }
        Ok(Some(rate))
    }
}
