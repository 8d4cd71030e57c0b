//! Frame loss rate over the load (RFC 2544 section 26.3).

use super::{Sample, Subject};

/// Trials from the maximal load down in steps of a tenth of it, until two in a row lose nothing.
pub fn loss_rates<S: Subject>(
    subject: &mut S,
    max_load: f64,
    duration_s: f64,
) -> Result<Vec<Sample>, S::Error> {
    let mut samples: Vec<Sample> = Vec::new();
    for tenth in (1..=10).rev() {
        samples.push(subject.trial(max_load * f64::from(tenth) / 10.0, duration_s)?);
        if let [.., before, last] = &samples[..]
            && before.is_lossless()
            && last.is_lossless()
        {
            break;
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::simulated::Simulated;

    #[test]
    fn it_ends_after_two_trials_without_loss() {
        let mut path = Simulated::sharp(650.0);
        let samples = loss_rates(&mut path, 1000.0, 10.0).unwrap();
        let loads: Vec<f64> = samples.iter().map(|sample| sample.load).collect();
        assert_eq!(loads, [1000.0, 900.0, 800.0, 700.0, 600.0, 500.0]);
        assert!((samples[0].loss_ratio() - 0.35).abs() < 0.001);
        let lossy = loss_rates(&mut Simulated::sharp(0.0), 1000.0, 1.0).unwrap();
        assert_eq!(lossy.len(), 10);
    }
}
