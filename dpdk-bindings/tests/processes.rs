//! What holds between processes: no privilege needed, room for two, nothing left by a dead one.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dpdk_bindings::{
    Eal, Mempool,
    eal::{Hugepages, Options},
    memory::{HugeArray, Source},
};

/// What the other tests start: initialises DPDK, uses it, and lives until its input ends.
#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let options = Options {
        program: "child".to_owned(),
        memory_mib: 64,
        hugepages: if env::var_os("HUGEPAGES").is_some() {
            Hugepages::Auto
        } else {
            Hugepages::Never
        },
        ..Options::default()
    };
    let eal = Eal::init(&options).unwrap();
    let pool = Mempool::new(&eal, "pool", 1000, 32, 2048).unwrap();
    let packet = pool.frame(b"works").unwrap();
    let mut table = HugeArray::<u64>::zeroed("table", 1 << 17, Source::Dpdk(&eal)).unwrap();
    assert!(
        table.iter().all(|element| *element == 0) && (table.as_ptr() as usize).is_multiple_of(64)
    );
    table.fill(1);
    println!("ready: {}", eal.hugepages());
    std::io::stdin().lines().for_each(drop);
    assert_eq!(packet.data(), b"works");
    drop(packet);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn two_processes_run_side_by_side() {
    let mut children = [start(|_| {}), start(with_hugepages)];
    for child in &mut children {
        await_ready(child);
    }
    children.into_iter().for_each(finish);
}

#[test]
fn nobody_in_particular_may_run_it() {
    let copy = env::temp_dir().join(format!("dpdk-bindings-{}", std::process::id()));
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    let mut child = start_program(&copy, |command| {
        if is_root() {
            command.uid(65534).gid(65534);
        }
        command.env_remove("XDG_RUNTIME_DIR").env("HUGEPAGES", "auto").current_dir("/");
    });
    fs::remove_file(&copy).unwrap();
    await_ready(&mut child);
    finish(child);
}

#[test]
fn a_killed_process_leaves_nothing_and_the_next_one_starts() {
    for prepare in [|_: &mut Command| {}, with_hugepages] {
        let mut child = start(prepare);
        await_ready(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(left_by(child.id()), Vec::<PathBuf>::new());
        let mut next = start(|_| {});
        await_ready(&mut next);
        finish(next);
    }
}

/// Hugepages where the machine has some to spare.
fn with_hugepages(command: &mut Command) {
    command.env("HUGEPAGES", "auto");
}

fn start(prepare: impl FnOnce(&mut Command)) -> Child {
    start_program(&env::current_exe().unwrap(), prepare)
}

fn start_program(program: &Path, prepare: impl FnOnce(&mut Command)) -> Child {
    let mut command = Command::new(program);
    command.args(["--ignored", "--exact", "child", "--nocapture"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    prepare(&mut command);
    command.spawn().unwrap()
}

fn await_ready(child: &mut Child) {
    let output = BufReader::new(child.stdout.as_mut().unwrap());
    assert!(
        output.lines().map_while(Result::ok).any(|line| line.contains("ready: ")),
        "the child did not start"
    );
}

fn finish(mut child: Child) {
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn left_by(process: u32) -> Vec<PathBuf> {
    ["/var/run/dpdk", "/tmp/dpdk", "/dev/hugepages"]
        .iter()
        .flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(&process.to_string()))
        .collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0)
}
