//! Frame sizes: one, or a repeating sequence of several (IMIX, RFC 6985).

use std::fmt;
use std::str::FromStr;

/// The sizes that the packets of a flow have, in turn; octets of an untagged L2 frame, FCS included.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sizes {
    sequence: Vec<u16>,
    text: String,
}

/// Sizes that are none.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' are no sizes: write e.g. 64, imix or 64,570:7,1518:1; {MIN_SIZE} to {MAX_SIZE} octets, weights up to 1000"
)]
pub struct SizeError(String);

impl Sizes {
    /// Frames of one size; `None` below 64 and above 9216 octets.
    pub fn one(size: usize) -> Option<Self> {
        size.to_string().parse().ok()
    }

    /// The sizes in the order in which they are sent, over and over.
    pub fn sequence(&self) -> &[u16] {
        &self.sequence
    }

    /// The largest.
    pub fn largest(&self) -> usize {
        self.sequence.iter().copied().max().unwrap_or_default().into()
    }
}

impl FromStr for Sizes {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let wrong = || SizeError(text.to_owned());
        let list = if text == "imix" { IMIX } else { text };
        let mut weights = Vec::new();
        for part in list.split(',') {
            let (size, weight) = part.split_once(':').unwrap_or((part, "1"));
            let (size, weight): (u16, u32) =
                (size.parse().map_err(|_| wrong())?, weight.parse().map_err(|_| wrong())?);
            if !(MIN_SIZE..=MAX_SIZE).contains(&size) || !(1..=1000).contains(&weight) {
                return Err(wrong());
            }
            weights.push((size, weight));
        }
        Ok(Self { sequence: interleave(&weights), text: text.to_owned() })
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Each size as often as its weight says, as evenly spread as can be.
fn interleave(weights: &[(u16, u32)]) -> Vec<u16> {
    let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut sequence = Vec::with_capacity(total as usize);
    for _ in 0..total {
        for (credit, (_, weight)) in credit.iter_mut().zip(weights) {
            *credit += i64::from(*weight);
        }
        let next = (0..credit.len()).max_by_key(|index| (credit[*index], usize::MAX - index));
        let next = next.unwrap_or_default();
        credit[next] -= i64::from(total);
        sequence.push(weights[next].0);
    }
    sequence
}

/// The usual simple IMIX: 7, 4 and 1 of 12 frames.
const IMIX: &str = "64:7,570:4,1518:1";
pub(crate) const MIN_SIZE: u16 = 64;
pub(crate) const MAX_SIZE: u16 = 9216;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_and_spread() {
        let imix: Sizes = "imix".parse().unwrap();
        let count = |size| imix.sequence().iter().filter(|found| **found == size).count();
        assert_eq!((count(64), count(570), count(1518)), (7, 4, 1));
        assert_eq!((imix.to_string(), imix.largest()), ("imix".to_owned(), 1518));
        let two: Sizes = "64,128:2".parse().unwrap();
        assert_eq!(two.sequence(), [128, 64, 128]);
        assert_eq!(Sizes::one(570).unwrap().sequence(), [570]);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "63", "9217", "64:0", "64:1001", "64,", "64:1:1", "IMIX", "-64"] {
            assert!(text.parse::<Sizes>().is_err(), "{text}");
        }
    }
}
