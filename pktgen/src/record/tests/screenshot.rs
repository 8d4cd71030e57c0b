//! A page as a browser shows it.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{page, record};

/// Renders a page to a PNG of this many pixels; or says why there is none.
fn render(html: &str, width: u32, height: u32) -> Result<Vec<u8>, &'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let browser = names.into_iter().find(|name| {
        let status = Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    });
    let browser = browser.ok_or("no chromium here (apt-get install chromium)")?;
    let dir = tempfile::tempdir().unwrap();
    let (source, picture) = (dir.path().join("page.html"), dir.path().join("page.png"));
    fs::write(&source, html).unwrap();
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ];
    let mut child = Command::new(browser)
        .args(flags)
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", source.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err("the browser was not ready in time: is this machine busy?");
            }
            None => thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(status.success(), "{browser} failed");
    Ok(fs::read(picture).unwrap())
}

#[test]
fn a_browser_draws_the_page() {
    let html = page(&record(2e6, 3)).html();
    let drawn = match render(&html, 1280, 1600) {
        Ok(drawn) => drawn,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    assert_eq!(drawn[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(drawn[16..24], [1280_u32.to_be_bytes(), 1600_u32.to_be_bytes()].concat());
    assert!(drawn.len() > BLANK, "{} octets: is the page empty?", drawn.len());
}

/// A page of this size without anything on it has less than half of so many octets.
const BLANK: usize = 40_000;
const PATIENCE: Duration = Duration::from_secs(60);
