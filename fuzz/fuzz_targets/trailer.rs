//! A trailer in any bytes: never a panic, and what nobody wrote is nobody's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pktgen::trailer::{Key, LEN, Owner, Trailer, age_ns, sum_is};

fuzz_target!(|bytes: &[u8]| {
    let key = Key::new(1, 1);
    if let Some(found) = bytes.last_chunk::<LEN>() {
        let (owner, trailer) = key.read(found);
        if owner != Owner::Nobody {
            // A fuzzer may find the tag; then all that is under the tag is what we would have written.
            let mut written = [0; LEN];
            key.write(trailer, 0, &mut written);
            assert_eq!(written[..2], found[..2]);
            assert_eq!(owner == Owner::Ours, written[..16] == found[..16]);
        }
    }
    let Some((words, rest)) = bytes.split_first_chunk::<14>() else { return };
    let word =
        |at: usize| u32::from_be_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
    let constant = u16::from_be_bytes([words[12], words[13]]);
    let trailer = Trailer { flow: word(0), seq: word(4), ts: word(8) };
    let mut written = [0; LEN];
    key.write(trailer, constant, &mut written);
    assert_eq!(key.read(&written), (Owner::Ours, trailer));
    assert!(sum_is(&written, constant));
    let _ = age_ns(trailer.ts, rest.len() as u64);
});
