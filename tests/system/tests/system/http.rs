//! HTTP over IPv4 through NAT and over IPv6 without it, at the same time.

use anyhow::{Context, Result, ensure};
use system_tests::{Config, SERVER, World, eventually};

const SIZE: usize = 5 << 20;

#[test]
fn curl_downloads_over_both_families_at_once() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.enable_ipv6()?;
    let content: Vec<u8> = (0..SIZE).map(|at| (at * 7 / 5) as u8).collect();
    std::fs::write(world.path("file"), &content)?;
    let mut server = world.wan.command("python3");
    server.args(["-m", "http.server", "80", "--bind", "::", "--directory"]).arg(world.path(""));
    let mut server = server.spawn().context("python3")?;
    eventually("the server answers", || {
        world
            .lan
            .run("curl", &["-s", &format!("http://{SERVER}/file"), "-o", "/dev/null"])
            .is_ok_and(|output| output.status.success())
    });
    let download = |url: String, to: &str| -> Result<()> {
        let to = world.path(to);
        let output =
            world.lan.command("curl").args(["-sS", "-m", "30", &url, "-o"]).arg(&to).output()?;
        ensure!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        ensure!(std::fs::read(to)? == content, "{url}: other content");
        Ok(())
    };
    std::thread::scope(|scope| {
        let v4 = scope.spawn(|| download(format!("http://{SERVER}/file"), "v4"));
        let v6 = scope.spawn(|| download("http://[fd00:b::2]/file".to_owned(), "v6"));
        [v4, v6].into_iter().try_for_each(|task| task.join().expect("no panic"))
    })?;
    server.kill()?;
    server.wait()?;
    let sessions = world.vnf.list(&["show", "sessions", "--protocol", "tcp"])?;
    ensure!(sessions.iter().any(|session| !session["external"].is_null()), "{sessions:?}");
    Ok(())
}
