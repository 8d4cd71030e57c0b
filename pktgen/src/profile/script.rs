//! TCP scripts: `syn, <syn-ack, ack, data*4, <data*6, fin, <fin-ack, ack`; `<` marks the answering side.

use std::str::FromStr;

/// What a script says: how the data is divided, and whether connections are closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Script {
    /// The part of the data that the answering side sends.
    pub(super) reverse: f64,
    /// Whether it ends with the exchange of FINs.
    pub(super) closes: bool,
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let steps: Vec<&str> = text.split(',').map(str::trim).collect();
        let rest = steps
            .strip_prefix(&["syn", "<syn-ack", "ack"])
            .ok_or("a script begins with syn, <syn-ack, ack")?;
        let (data, closes) = match rest.strip_suffix(&["fin", "<fin-ack", "ack"]) {
            Some(data) => (data, true),
            None => (rest, false),
        };
        let mut counts = [0_u32; 2];
        for step in data {
            let (step, backward) =
                step.strip_prefix('<').map_or((*step, false), |step| (step, true));
            let (word, count) = step.split_once('*').unwrap_or((step, "1"));
            let count = count.parse::<u32>().ok().filter(|count| (1..=1_000_000).contains(count));
            let (true, Some(count)) = (word == "data", count) else {
                return Err(format!(
                    "'{step}': between handshake and end there are data, data*N, <data and <data*N; the end, if any, is \
                     fin, <fin-ack, ack"
                ));
            };
            counts[usize::from(backward)] += count;
        }
        match counts {
            [0, 0] => Err("a script without data has nothing to measure".to_owned()),
            [forward, backward] => {
                let reverse = f64::from(backward) / (f64::from(forward) + f64::from(backward));
                Ok(Self { reverse, closes })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_contract_is_understood() {
        let script = "syn, <syn-ack, ack, data*4, <data*6, fin, <fin-ack, ack".parse();
        assert_eq!(script, Ok(Script { reverse: 0.6, closes: true }));
        let open = "syn,<syn-ack,ack,data".parse();
        assert_eq!(open, Ok(Script { reverse: 0.0, closes: false }));
    }

    #[test]
    fn what_no_script_can_mean_is_refused() {
        for text in [
            "",
            "syn",
            "data*4",
            "syn, <syn-ack, ack",
            "syn, <syn-ack, ack, data*0",
            "syn, <syn-ack, ack, urgent",
            "syn, <syn-ack, ack, data, fin",
        ] {
            assert!(text.parse::<Script>().is_err(), "{text}");
        }
    }
}
