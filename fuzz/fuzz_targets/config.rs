//! Any text as a configuration: errors or settings, never a panic; settings written out are the same settings.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use vnf::config;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(bytes) else { return Corpus::Reject };
    match config::parse("fuzz.toml", text) {
        Ok(settings) => {
            let toml = settings.to_toml();
            let again = config::parse("effective", &toml);
            let again = again.unwrap_or_else(|errors| panic!("{errors}\n{toml}"));
            assert_eq!(again.to_json(), settings.to_json());
            let _ = config::diff(&settings, &again);
        }
        Err(errors) => assert!(!errors.0.is_empty() && !errors.to_string().is_empty()),
    }
    Corpus::Keep
});
