//! DPDK's environment: initialised once per process, proven by a token, cleaned up when the last token goes.
//!
//! It makes no files and no sockets: nothing for a second process to collide with or a crash to leave.

use std::{
    ffi::{CStr, CString, c_char},
    fmt, fs,
    path::Path,
    process, slice,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::{self, Error, Result};

/// What to do about hugepages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hugepages {
    /// Ordinary pages where there are not enough free hugepages.
    #[default]
    Auto,
    /// Ordinary pages, always.
    Never,
    /// An error where there are not enough free hugepages.
    Required,
}

/// How to initialise DPDK.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name in DPDK's messages and in its file prefix.
    pub program: String,
    /// The core of the calling thread; `None` leaves the thread where it is.
    pub main_core: Option<usize>,
    /// Memory for packets and tables, in MiB.
    pub memory_mib: u32,
    /// Whether that memory is hugepages.
    pub hugepages: Hugepages,
    /// PCI addresses to use; without any, the PCI bus is not looked at.
    pub pci: Vec<String>,
    /// Further arguments, passed to `rte_eal_init` as they are.
    pub extra: Vec<String>,
}

/// What was asked of the hugepages of this machine and what was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HugepageReport {
    /// The memory asked for, in MiB.
    pub asked_mib: u32,
    /// Free hugepages before initialisation, in MiB.
    pub found_mib: u32,
    /// The machine's default hugepage size, in octets; 0 where the kernel has none.
    pub page_size: u64,
    /// Whether DPDK's memory is hugepages.
    pub in_use: bool,
}

/// Proof that DPDK is initialised; whatever needs DPDK holds one.
#[derive(Clone)]
pub struct Eal(Arc<Inner>);

struct Inner {
    hugepages: HugepageReport,
}

impl Eal {
    /// Initialises DPDK on the calling thread, which becomes its main thread.
    ///
    /// # Errors
    ///
    /// `EALREADY` on a second call: DPDK can be initialised once in the life of a process. `ENOMEM`
    /// where hugepages are required and missing, with the remedy.
    pub fn init(options: &Options) -> Result<Self> {
        let hugepages = decide_hugepages(options, &Machine::read(Path::new("/")))?;
        let arguments = arguments(options, hugepages.in_use)?;
        if INITIALISED.swap(true, Ordering::SeqCst) {
            let why = "DPDK can be initialised once per process";
            return Err(Error::new("rte_eal_init", libc::EALREADY, why));
        }
        // SAFETY: `log_line` is safe to call from any thread, and lives as long as the process.
        if unsafe { dpdk_sys::shim_log_to(Some(log_line)) } < 0 {
            return Err(Error::last("rte_openlog_stream"));
        }
        // rte_eal_init reorders and keeps the pointers: strings and vector live as long as the process.
        let argv: &mut [*mut c_char] =
            arguments.into_iter().map(CString::into_raw).collect::<Vec<_>>().leak();
        // SAFETY: `argv` holds `argv.len()` valid strings that are never freed; the flag above makes this the only call.
        let answer = unsafe { dpdk_sys::rte_eal_init(argv.len() as i32, argv.as_mut_ptr()) };
        forget_runtime_directory();
        if answer < 0 {
            return Err(Error::last("rte_eal_init"));
        }
        Ok(Self(Arc::new(Inner { hugepages })))
    }

    /// What was asked of the hugepages, what was found, and whether they are used.
    pub fn hugepages(&self) -> HugepageReport {
        self.0.hugepages
    }

    /// Lets DPDK live until the process ends, for the sake of something that still uses its memory.
    pub(crate) fn keep_for_ever(&self) {
        std::mem::forget(self.clone());
    }
}

impl fmt::Debug for Eal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Eal").field(&self.0.hugepages).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: initialised (the token exists) and unused: all that uses DPDK holds a token, this was the last.
        let answer = unsafe { dpdk_sys::rte_eal_cleanup() };
        if let Err(error) = error::check("rte_eal_cleanup", answer) {
            log::warn!("{error}");
        }
    }
}

impl fmt::Display for HugepageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked_mib, found_mib, .. } = self;
        let pages =
            if self.in_use { "using hugepages" } else { "using ordinary pages, which is slower" };
        write!(f, "{asked_mib} MiB asked, {found_mib} MiB of hugepages found: {pages}")
    }
}

/// The version of the DPDK in use, e.g. `"DPDK 22.11.11"`.
pub fn version() -> &'static str {
    // SAFETY: answers a static string, initialised or not.
    unsafe { CStr::from_ptr(dpdk_sys::rte_version()) }.to_str().unwrap_or("DPDK")
}

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// Decides before initialisation, because DPDK cannot be initialised a second time.
fn decide_hugepages(options: &Options, machine: &Machine) -> Result<HugepageReport> {
    let asked_mib = options.memory_mib;
    let found_mib = u32::try_from(machine.free_octets >> 20).unwrap_or(u32::MAX);
    let enough = found_mib > 0 && found_mib >= asked_mib;
    let forbidden = options.extra.iter().any(|argument| argument == "--no-huge");
    let in_use = match options.hugepages {
        Hugepages::Auto => enough && !forbidden,
        Hugepages::Never => false,
        Hugepages::Required if enough => true,
        Hugepages::Required => return Err(machine.too_few(asked_mib, found_mib)),
    };
    Ok(HugepageReport { asked_mib, found_mib, page_size: machine.page_size, in_use })
}

/// The hugepages of a machine, as the kernel tells them.
struct Machine {
    free_octets: u64,
    page_size: u64,
    reserved_pages: u64,
}

impl Machine {
    fn read(root: &Path) -> Self {
        let number = |path: &Path| -> u64 {
            fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
        };
        let mut free_octets = 0;
        for size in
            fs::read_dir(root.join("sys/kernel/mm/hugepages")).into_iter().flatten().flatten()
        {
            let name = size.file_name().into_string().unwrap_or_default();
            let kib = name.strip_prefix("hugepages-").and_then(|name| name.strip_suffix("kB"));
            let kib: u64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0);
            let free = number(&size.path().join("free_hugepages"));
            let promised = number(&size.path().join("resv_hugepages"));
            free_octets += free.saturating_sub(promised) * kib * 1024;
        }
        let meminfo = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let default_kib = meminfo.lines().find_map(|line| {
            line.strip_prefix("Hugepagesize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        let page_size = default_kib.unwrap_or(0) * 1024;
        Self {
            free_octets,
            page_size,
            reserved_pages: number(&root.join("proc/sys/vm/nr_hugepages")),
        }
    }

    fn too_few(&self, asked_mib: u32, found_mib: u32) -> Error {
        let mut why =
            format!("{asked_mib} MiB of hugepages are required and {found_mib} MiB are free");
        if self.page_size > 0 {
            let missing = (u64::from(asked_mib.saturating_sub(found_mib)) << 20)
                .div_ceil(self.page_size)
                .max(1);
            why += &format!(
                ": {missing} pages of {} KiB are missing; reserve them with: sysctl -w vm.nr_hugepages={}",
                self.page_size / 1024,
                self.reserved_pages + missing
            );
        }
        Error::new("rte_eal_init", libc::ENOMEM, why)
    }
}

fn arguments(options: &Options, hugepages: bool) -> Result<Vec<CString>> {
    let Options { program, main_core, memory_mib, pci, extra, .. } = options;
    // Only the main thread is made by the EAL; workers are our own threads, registered.
    let cores = main_core.map_or_else(allowed_cores, |core| core.to_string());
    let mut arguments = vec![
        program.clone(),
        format!("--lcores=0@({cores})"),
        format!("--file-prefix={program}-{}", process::id()),
        "--no-telemetry".to_owned(),
    ];
    if *memory_mib > 0 {
        arguments.extend(["-m".to_owned(), memory_mib.to_string()]);
    }
    // DPDK 22.11 refuses --in-memory without hugepages; what remains of it then is --no-shconf.
    let files: &[&str] = if hugepages { &["--in-memory"] } else { &["--no-huge", "--no-shconf"] };
    arguments.extend(files.iter().map(|&argument| argument.to_owned()));
    if pci.is_empty() {
        arguments.extend(["--no-pci".to_owned(), "--iova-mode=va".to_owned()]);
    }
    for address in pci {
        arguments.extend(["-a".to_owned(), address.clone()]);
    }
    arguments
        .extend(extra.iter().filter(|argument| hugepages || *argument != "--no-huge").cloned());
    arguments.into_iter().map(c_string).collect()
}

/// The cores this thread may run on, as the kernel writes them, e.g. `0-3,8`.
fn allowed_cores() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    cores.map_or_else(|| "0".to_owned(), |cores| cores.trim().to_owned())
}

/// Text for a C function.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Error::new("CString::new", libc::EINVAL, "a zero octet in a text"))
}

/// DPDK makes this directory even where it puts nothing in it; a `kill -9` would leave it behind.
fn forget_runtime_directory() {
    // SAFETY: the string is static, and empty where initialisation did not come so far.
    let path = unsafe { CStr::from_ptr(dpdk_sys::rte_eal_get_runtime_dir()) };
    let path = Path::new(path.to_str().unwrap_or_default());
    // Absent where it could not be made, not empty where an extra argument put something there.
    let _ = fs::remove_dir(path);
    // Without root it lies in a directory of this user's under /tmp, in the way of the next user.
    if let Some(above) = path.parent().filter(|above| *above == Path::new("/tmp/dpdk")) {
        let _ = fs::remove_dir(above);
    }
}

/// Passes DPDK's log on to ours.
extern "C" fn log_line(level: i32, text: *const c_char, length: usize) {
    // SAFETY: the C library passes `length` readable octets at `text`.
    let text = unsafe { slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(text);
    let level = match level {
        ..=4 => log::Level::Error,
        5 => log::Level::Warn,
        6 => log::Level::Info,
        7 => log::Level::Debug,
        _ => log::Level::Trace,
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if level == log::Level::Error {
            error::remember_logged(line.trim());
        }
        log::log!(target: "dpdk", level, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: Machine = Machine { free_octets: 1 << 30, page_size: 2 << 20, reserved_pages: 600 };

    fn asked(memory_mib: u32, hugepages: Hugepages) -> Options {
        Options { memory_mib, hugepages, ..Options::default() }
    }

    #[test]
    fn free_hugepages_are_used_where_they_suffice() {
        for (memory_mib, hugepages, in_use) in [
            (1024, Hugepages::Auto, true),
            (1025, Hugepages::Auto, false),
            (1024, Hugepages::Required, true),
            (1024, Hugepages::Never, false),
        ] {
            let report = decide_hugepages(&asked(memory_mib, hugepages), &GIB).unwrap();
            let expected = HugepageReport {
                asked_mib: memory_mib,
                found_mib: 1024,
                page_size: 2 << 20,
                in_use,
            };
            assert_eq!(report, expected);
        }
    }

    #[test]
    fn a_machine_without_hugepages_falls_back_and_says_so() {
        let none = Machine { free_octets: 0, ..GIB };
        let report = decide_hugepages(&asked(0, Hugepages::Auto), &none).unwrap();
        assert_eq!(
            report.to_string(),
            "0 MiB asked, 0 MiB of hugepages found: using ordinary pages, which is slower"
        );
    }

    #[test]
    fn missing_hugepages_are_counted_and_the_remedy_is_given() {
        let error = decide_hugepages(&asked(1027, Hugepages::Required), &GIB).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rte_eal_init: Cannot allocate memory (12): 1027 MiB of hugepages are required and 1024 MiB are free: \
             2 pages of 2048 KiB are missing; reserve them with: sysctl -w vm.nr_hugepages=602"
        );
    }

    #[test]
    fn asking_for_no_hugepages_in_an_argument_counts() {
        let options = Options { extra: vec!["--no-huge".to_owned()], ..asked(64, Hugepages::Auto) };
        assert!(!decide_hugepages(&options, &GIB).unwrap().in_use);
        let given = arguments(&options, false).unwrap();
        assert_eq!(given.iter().filter(|argument| argument.to_bytes() == b"--no-huge").count(), 1);
    }

    #[test]
    fn the_kernel_says_which_cores_are_allowed() {
        assert!(allowed_cores().starts_with(|first: char| first.is_ascii_digit()));
    }
}
