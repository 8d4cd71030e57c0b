"""What the figures were measured on, and whether it held still."""

import atexit
import os
import platform
import subprocess


def read(path: str, default: str = "") -> str:
    """A file's text without the space around it."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return default


def output(*command: str) -> str:
    """What a command prints; nothing when there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def facts(root: str) -> dict:
    """The machine and the versions, for the report."""
    model = [line.split(":")[1].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "hugepages": int(read("/proc/sys/vm/nr_hugepages", "0")),
        "dpdk": output("pkg-config", "--modversion", "libdpdk"),
        "open_vswitch": output("ovs-vsctl", "--version").partition("\n")[0],
        "commit": output("git", "-C", root, "describe", "--always", "--dirty"),
        "virtual": "hypervisor" in read("/proc/cpuinfo"),
    }


def come_first() -> None:
    """Gives this session the processor before others, until the end: `nice` does nothing between sessions, their groups'
    weight does."""
    group = "/proc/self/autogroup"
    before = read(group).rpartition(" ")[2]
    try:
        with open(group, "w", encoding="utf-8") as file:
            file.write("-18")
    except OSError:
        return  # no autogroups here, or no right to change them
    atexit.register(lambda: open(group, "w", encoding="utf-8").write(before or "0"))


def stolen() -> float:
    """Seconds of processor time that the hypervisor gave to others, all cores together."""
    return int(read("/proc/stat").split()[8]) / os.sysconf("SC_CLK_TCK")


def thread(pid: int, *names: str) -> str:
    """The schedstat file of the thread of a process whose name starts with one of these."""
    tasks = f"/proc/{pid}/task"
    for task in sorted(os.listdir(tasks)):
        if read(f"{tasks}/{task}/comm").startswith(names):
            return f"{tasks}/{task}/schedstat"
    raise RuntimeError(f"process {pid} has no thread {' or '.join(names)}")


def seconds(schedstat: str) -> float:
    """Processor time of a thread."""
    return int(read(schedstat).split()[0]) / 1e9
