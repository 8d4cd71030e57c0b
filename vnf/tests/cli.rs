//! The `vnf` binary from outside: what it prints where, and its exit status.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Enough to be right.
const GOOD: &str = r#"
[[port]]
name = "lan"
device = "net_null0"
addresses = ["10.0.0.1/24"]
"#;

/// Right, but the timeout is below what RFC 4787 REQ-5 wants.
const HASTY: &str = r#"
[[port]]
name = "lan"
device = "net_null0"
addresses = ["10.0.0.1/24"]
nat = "internal"

[[port]]
name = "wan"
device = "net_null1"
addresses = ["198.51.100.1/24"]
nat = "external"

[nat44]
pool = ["198.51.100.10"]

[nat44.timeouts]
udp = "5s"
"#;

fn vnf(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vnf"));
    command.args(words).env_remove("VNF_SOCKET").output().expect("the binary runs")
}

fn check(text: &str) -> (Output, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("vnf.toml");
    std::fs::write(&path, text).expect("a file");
    (vnf(&["check", "-c", &path.display().to_string()]), directory)
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

#[test]
fn a_right_configuration_is_ok() {
    let (output, directory) = check(GOOD);
    let path = directory.path().join("vnf.toml");
    assert_eq!(stderr(&output), "");
    assert_eq!(stdout(&output), format!("{}: ok\n", path.display()));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_error_of_a_wrong_configuration_is_a_line_and_the_status_is_2() {
    let (output, directory) =
        check(&format!("{GOOD}mtu = \"big\"\nfrogs = 3\n[workers]\nidle = \"never\"\n"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let lines: Vec<&str> = stderr(&output).lines().collect();
    let path = directory.path().join("vnf.toml").display().to_string();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, place) in lines.iter().zip(["6: ", "7: ", "9: "]) {
        assert!(line.starts_with(&format!("{path}:{place}")), "{line}");
    }
}

#[test]
fn an_accepted_doubt_is_a_warning() {
    let (output, _directory) = check(HASTY);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("warning: "), "{}", stderr(&output));
    assert!(stdout(&output).ends_with(": ok\n"));
}

#[test]
fn wrong_command_lines_end_with_2() {
    for words in [
        &[][..],
        &["frob"],
        &["check"],
        &["show"],
        &["show", "frogs"],
        &["show", "sessions", "--port", "65536"],
        &["show", "sessions", "--protocol", "frog"],
        &["clear", "sessions", "--host", "nobody"],
        &["status", "--wait", "soon"],
        &["check", "-c", "/nonexistent/vnf.toml"],
    ] {
        let output = vnf(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(stdout(&output), "", "{words:?}");
        assert!(!stderr(&output).is_empty(), "{words:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for words in [&["--help"][..], &["show", "--help"], &["--version"]] {
        let output = vnf(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(stderr(&output), "", "{words:?}");
        assert!(stdout(&output).contains("vnf"), "{words:?}");
    }
}

#[test]
fn a_client_command_without_an_instance_fails_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("vnf.sock");
    let words = ["show", "ports", "--socket", &socket.display().to_string()];
    expect_unreachable(&vnf(&words), &socket);
    let output = Command::new(env!("CARGO_BIN_EXE_vnf"))
        .args(["status"])
        .env("VNF_SOCKET", &socket)
        .output()
        .expect("the binary runs");
    expect_unreachable(&output, &socket);
}

fn expect_unreachable(output: &Output, socket: &Path) {
    assert_eq!(output.status.code(), Some(1));
    let start = format!("vnf: cannot reach vnf at {}: ", socket.display());
    assert!(stderr(output).starts_with(&start), "{}", stderr(output));
    assert_eq!(stderr(output).lines().count(), 1);
}
