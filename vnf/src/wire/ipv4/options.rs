//! Walks IPv4 options (RFC 791 3.1) to decide whether a packet may pass, and what its fragments carry.

/// What the options of a packet mean to a router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Options {
    /// Well-formed, and none that needs attention.
    Fine,
    /// A length or pointer is wrong: where the option starts, in octets from the first one.
    Malformed(u8),
    /// A loose or strict source route, which routers drop (RFC 7126).
    SourceRoute,
}

/// Walks the options that follow the first 20 octets of a header.
pub fn walk(all: &[u8]) -> Options {
    let mut options = all;
    let mut verdict = Options::Fine;
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            END => break,
            NO_OPERATION => {
                options = rest;
                continue;
            }
            _ => {}
        }
        let malformed = Options::Malformed((all.len() - options.len()) as u8);
        let Some(length) = rest.first().map(|length| usize::from(*length)) else {
            return malformed;
        };
        let Some((option, rest)) = options.split_at_checked(length) else {
            return malformed;
        };
        if !is_well_formed(kind, option) {
            return malformed;
        }
        if matches!(kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE) {
            verdict = Options::SourceRoute;
        }
        options = rest;
    }
    verdict
}

/// Leaves the options that are copied into every fragment (RFC 791 3.1, "copied flag"), moved together
/// and padded to whole words; returns their length.
pub fn keep_copied(options: &mut [u8]) -> usize {
    let (mut kept, mut at) = (0, 0);
    while let Some(&kind) = options.get(at).filter(|kind| **kind != END) {
        let length = match kind {
            NO_OPERATION => 1,
            _ => options.get(at + 1).map_or(0, |length| usize::from(*length)),
        };
        if length == 0 || at + length > options.len() {
            break;
        }
        if kind & COPIED != 0 {
            options.copy_within(at..at + length, kept);
            kept += length;
        }
        at += length;
    }
    // What was fine is whole words, so the padding lies within.
    let padded = kept.next_multiple_of(4).min(options.len());
    options[kept..padded].fill(END);
    padded
}

/// Whether an option with its kind and length octets has a possible length and pointer.
fn is_well_formed(kind: u8, option: &[u8]) -> bool {
    let pointer = option.get(2).copied();
    match kind {
        LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE | RECORD_ROUTE => pointer >= Some(4),
        TIMESTAMP => option.len() >= 4 && pointer >= Some(5),
        ROUTER_ALERT => option.len() == 4,
        _ => option.len() >= 2,
    }
}

/// The option of one octet that means nothing.
pub const NO_OPERATION: u8 = 1;

const COPIED: u8 = 0x80;
const END: u8 = 0;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fine_options_pass() {
        for options in [
            &[][..],
            &[1, 1, 1, 0],
            &[0, 255, 255, 255], // what follows the end does not matter
            &[148, 4, 0, 0],
            &[7, 7, 4, 0, 0, 0, 0, 0],
            &[68, 8, 5, 0, 0, 0, 0, 0],
            &[1, 130, 3, 9], // an unknown one
        ] {
            assert_eq!(walk(options), Options::Fine, "{options:?}");
        }
    }

    #[test]
    fn malformed_options_are_told() {
        for options in [
            &[7][..],
            &[7, 0, 0, 0],
            &[7, 1, 4, 0],
            &[7, 2, 1, 1],
            &[7, 7, 3, 0, 0, 0, 0, 0], // the pointer points into the option's own header
            &[7, 9, 4, 0, 0, 0, 0, 0],
            &[68, 3, 5, 0],
            &[68, 4, 4, 0],
            &[148, 3, 0, 0],
            &[1, 1, 1, 131],
            &[131, 2, 1, 1],
            &[131, 3, 4, 200], // a source route, then garbage
            &[200, 255, 0, 0],
        ] {
            assert!(matches!(walk(options), Options::Malformed(_)), "{options:?}");
        }
    }

    #[test]
    fn source_routes_are_told() {
        for kind in [131, 137] {
            assert_eq!(walk(&[1, kind, 7, 4, 10, 0, 0, 1]), Options::SourceRoute);
            assert_eq!(walk(&[148, 4, 0, 0, kind, 3, 4, 0]), Options::SourceRoute);
        }
    }

    #[test]
    fn fragments_keep_the_options_with_the_copied_flag() {
        for (options, kept) in [
            (&[][..], &[][..]),
            (&[7, 7, 4, 0, 0, 0, 0, 0], &[]),
            (&[148, 4, 0, 0], &[148, 4, 0, 0]),
            (&[1, 130, 3, 9], &[130, 3, 9, 0]),
            (&[1, 1, 7, 3, 4, 130, 3, 9, 148, 4, 0, 0], &[130, 3, 9, 148, 4, 0, 0, 0]),
            (&[0, 148, 4, 0], &[]), // behind the end
        ] {
            let mut left = options.to_vec();
            let length = keep_copied(&mut left);
            assert_eq!(&left[..length], kept, "{options:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_shortened_to_whole_words(words in 0usize..11, seed: [u8; 40]) {
            let mut options = seed[..4 * words].to_vec();
            let length = keep_copied(&mut options);
            prop_assert!(length.is_multiple_of(4) && length <= 4 * words);
        }

        #[test]
        fn any_bytes_have_a_verdict(options in prop::collection::vec(any::<u8>(), 0..41)) {
            // A source route hidden behind other options is found whenever the whole is
            // well-formed.
            if walk(&options) == Options::Fine {
                let mut with_route = vec![131, 3, 4];
                with_route.extend(&options);
                prop_assert_eq!(walk(&with_route), Options::SourceRoute);
            }
        }
    }
}
