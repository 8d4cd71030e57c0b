//! What is wrong with a configuration is said at once: line, key, what was found, what is accepted.
#![forbid(unsafe_code)]

use proptest::prelude::*;
use vnf::config;

#[test]
fn every_kind_of_error_has_its_message_line_and_key() {
    let errors = config::parse("errors.toml", include_str!("config/errors.toml")).unwrap_err();
    let expected = include_str!("config/errors.txt").lines().collect::<Vec<_>>();
    for (error, expected) in errors.0.iter().zip(&expected) {
        assert_eq!(error.to_string(), *expected);
    }
    assert_eq!(errors.0.len(), expected.len());
}

#[test]
fn lines_that_are_no_toml_do_not_hide_what_else_is_wrong() {
    let text = "[[port]]\n\
                name = lan\n\
                device = \"net_null0\"\n\
                nat = \"internal\"\n\
                addresses = [\"10.0.0.1/24\"\n\
                ]\n\
                mtu = 1\n\
                mtu = 1500\n\
                [workers]\n\
                idle =\n\
                [[neighbor]]\n\
                port = \"lan\"\n\
                adress = \"10.0.0.2\"\n";
    assert_eq!(
        messages(text),
        [
            "2 port[1].name: found lan: string values must be quoted, expected literal string",
            "7 port[1].mtu: found 1, expected a whole number from 68 to 9216",
            "8 port[1].mtu: found 1500: duplicate key",
            "10 workers.idle: found nothing: string values must be quoted, expected literal string",
            "13 neighbor[1].adress: unknown key, did you mean \"address\"?",
        ]
    );
}

#[test]
fn a_header_that_is_no_toml_ends_the_search() {
    assert_eq!(
        messages("[dpdk]\nmemory = \"1MB\"\n[dpdk]\nmain_core = \"a\"\n"),
        ["3 found [dpdk]: duplicate key"]
    );
    assert_eq!(
        messages("[dpdk\nmain_core = \"a\"\n"),
        ["1 found [dpdk: unclosed table, expected `]`"]
    );
}

#[test]
fn an_open_list_or_string_ends_the_search() {
    for text in ["a = [1 2,\n3]\nb = 4\n", "a = \"\"\"x\nb = 1\n", "a = {\n", "a = [\n"] {
        assert_eq!(messages(text).len(), 1, "{text:?}: {:#?}", messages(text));
    }
}

#[test]
fn an_empty_file_lacks_a_port() {
    assert_eq!(messages(""), ["1 port: found nothing, expected at least one [[port]]"]);
}

#[test]
fn a_misspelt_section_is_one_error() {
    let text = "[[port]]\nname = \"lan\"\ndevice = \"net_null0\"\nnat = \"internal\"\n[nat4]\n";
    assert_eq!(messages(text), ["5 nat4: unknown key, did you mean \"nat44\"?"]);
}

#[test]
fn a_value_in_place_of_a_table_is_an_error() {
    assert_eq!(
        messages("port = 1\nacl = [1]\ndpdk = []\n[[workers]]\n[vlan]\n"),
        [
            "1 port: found 1, expected a list of tables, each under [[port]]",
            "2 acl[1]: found 1, expected a table",
            "3 dpdk: found [], expected a table",
            "4 workers: found a list of tables, expected a table",
            "5 vlan: found a table, expected a list of tables, each under [[vlan]]",
        ]
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = config::parse("random", &text);
    }

    #[test]
    fn no_toml_like_text_makes_the_parser_panic(
        text in "([a-z0-9_.]{1,6}|nat44|port|acl|rule|pool|name| |=|\\[|\\]|\\{|\\}|,|\"|'|#|\n|-|@|/){0,80}"
    ) {
        let _ = config::parse("random", &text);
    }

    /// A good file with a part cut out, doubled or overwritten: an answer, and never an empty one.
    #[test]
    fn no_mutation_makes_the_parser_panic(
        example in 0..EXAMPLES.len(),
        at in any::<prop::sample::Index>(),
        length in 0..40usize,
        with in "\\PC{0,12}|[0-9]{1,12}|\"|\\[|\\]|\n|=|any|4294967296|-1|::/0|0.0.0.0/0"
    ) {
        let text = EXAMPLES[example];
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) { at -= 1; }
            at
        };
        let start = boundary(at.index(text.len()));
        let end = boundary((start + length).min(text.len()));
        let text = format!("{}{with}{}", &text[..start], &text[end..]);
        match config::parse("mutated", &text) {
            Ok(settings) => drop((settings.to_json(), settings.to_toml())),
            Err(errors) => {
                prop_assert!(!errors.0.is_empty());
                for error in errors.0 {
                    prop_assert!((1..=text.lines().count() + 1).contains(&error.line), "{}", error);
                }
            }
        }
    }
}

/// Line, key and message of every error.
fn messages(text: &str) -> Vec<String> {
    let errors = config::parse("", text).unwrap_err();
    let message = |error: &config::Problem| error.to_string()[1..].replacen(": ", " ", 1);
    errors.0.iter().map(message).collect()
}

const EXAMPLES: [&str; 5] = [
    include_str!("../../deploy/examples/cgn.toml"),
    include_str!("../../deploy/examples/nat44.toml"),
    include_str!("../../deploy/examples/router.toml"),
    include_str!("config/contract.toml"),
    include_str!("config/errors.toml"),
];

#[test]
fn taps_have_names_of_their_own_that_interfaces_can_have() {
    let errors = |first: &str, second: &str, device: &str| {
        let text = format!(
            "[[port]]\nname = \"a\"\ndevice = \"{device}\"\nlinux = \"{first}\"\n\
             [[port]]\nname = \"b\"\ndevice = \"net_null1\"\nlinux = \"{second}\"\n"
        );
        match config::parse("vnf.toml", &text) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
        }
    };
    assert!(errors("t0", "t1", "net_null0").is_empty());
    assert_eq!(
        errors("t0", "t0", "net_null0"),
        ["vnf.toml:8: port[b].linux: found \"t0\", expected a tap of its own: line 4 has this one"]
    );
    for name in ["", "lo", "a/b", "a b", "sixteen-letters-"] {
        let expected = "expected the name of a network interface, at most 15 characters";
        let message = format!("vnf.toml:8: port[b].linux: found \"{name}\", {expected}");
        assert_eq!(errors("t0", name, "net_null0"), [message]);
    }
    let expected = "expected another name than that of a port's own tap";
    assert_eq!(
        errors("t0", "t1", "net_tap0,iface=t0"),
        [format!("vnf.toml:4: port[a].linux: found \"t0\", {expected}")]
    );
}
