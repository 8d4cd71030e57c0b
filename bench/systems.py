"""The systems that are compared, each between a capture that is received for ever and a port that swallows everything."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

from machine import output, thread

MAIN, WORKER = "0", "1"  # cores
MEMORY_MIB = 1024
BUFFER_KIB = 3
POOL = ("198.51.100.16", "198.51.100.31")
MAC = "02:00:00:00:00:01"


class Missing(Exception):
    """A system that this machine does not have."""


class Failed(Exception):
    """A system that did not start, or stopped."""


def buffers(frames: int) -> int:
    """Packet buffers for a capture of so many frames, which its port keeps, and for what is on its way."""
    return frames + 16384


def memory(frames: int) -> int:
    """MiB of DPDK memory for that."""
    return MEMORY_MIB + buffers(frames) * BUFFER_KIB // 1024


def vdevs(capture: str) -> list[str]:
    """The two devices: where frames come from for ever, and where they go."""
    return [f"net_pcap0,rx_pcap={capture},infinite_rx=1", "net_null0,no-rx=1"]


def end(process: subprocess.Popen) -> None:
    """Stops a process, gently first."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Testpmd:
    """DPDK's own forwarder: what the devices and the memory allow."""

    def __init__(self, mode: str):
        if not shutil.which("dpdk-testpmd"):
            raise Missing("dpdk-testpmd is not installed (package dpdk-dev)")
        self.mode = mode
        self.name = f"testpmd {mode}"

    def start(self, capture: str, frames: int, _flows: int) -> None:
        """Begins to forward."""
        command = ["stdbuf", "-oL", "dpdk-testpmd", "-l", f"{MAIN},{WORKER}", "--in-memory", "--no-pci", "-m",
                   str(memory(frames))]
        for device in vdevs(capture):
            command += ["--vdev", device]
        command += ["--", "-i", "-a", f"--forward-mode={self.mode}", "--nb-cores=1"]
        command += [f"--total-num-mbufs={buffers(frames)}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.sent()
        self.schedstat = thread(self.process.pid, f"lcore-worker-{WORKER}", f"rte-worker-{WORKER}")

    def sent(self) -> int:
        """Frames transmitted so far."""
        self.process.stdin.write("show port stats 1\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if "TX-packets:" in line:
                return int(line.split("TX-packets:")[1].split()[0])
        raise Failed("dpdk-testpmd stopped")

    def stop(self) -> None:
        """Ends it."""
        self.process.stdin.close()
        end(self.process)


class Vnf:
    """This project's network function: NAT44, and an ACL where there are rules."""

    name = "vnf"

    def __init__(self, program: str, folder: str):
        self.program, self.folder = program, folder
        self.socket = f"{folder}/vnf.sock"

    def start(self, capture: str, frames: int, flows: int) -> None:
        """Begins to translate."""
        source, sink = vdevs(capture)
        path = f"{self.folder}/vnf.toml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(main=MAIN, worker=WORKER, memory=memory(frames), buffers=buffers(frames),
                                            socket=self.socket, source=source, sink=sink, mac=MAC,
                                            pool="-".join(POOL), sessions=max(2 * flows, 10_000)))
        self.log = open(f"{self.folder}/vnf.log", "w", encoding="utf-8")
        self.process = subprocess.Popen([self.program, "run", "-c", path], stdout=self.log, stderr=self.log)
        ready = subprocess.run([self.program, "status", "--wait", "30", "--socket", self.socket],
                               capture_output=True, check=False)
        if ready.returncode:
            self.stop()
            raise Failed(f"vnf does not start: see {self.folder}/vnf.log")
        self.schedstat = thread(self.process.pid, "worker-0")

    def sent(self) -> int:
        """Frames transmitted so far."""
        ports = json.loads(output(self.program, "show", "ports", "--json", "--socket", self.socket))
        return next(port["tx_packets"] for port in ports if port["name"] == "wan")

    def stop(self) -> None:
        """Ends it."""
        end(self.process)
        self.log.close()


class OpenVSwitch:
    """Open vSwitch's userspace datapath: source NAT by its connection tracker in one pass."""

    name = "Open vSwitch"

    def __init__(self, folder: str):
        self.program = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
        if not os.path.exists(self.program):
            raise Missing("Open vSwitch with DPDK is not installed (package openvswitch-switch-dpdk)")
        self.folder = f"{folder}/ovs"
        self.bridge = f"vnf-br{os.getpid()}"

    def start(self, capture: str, frames: int, _flows: int) -> None:
        """Begins to translate."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.environment = os.environ | {f"OVS_{kind}DIR": self.folder for kind in ("RUN", "LOG", "DB")}
        self.database = f"unix:{self.folder}/db.sock"
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        self.run("ovsdb-tool", "create", f"{self.folder}/conf.db", schema)
        self.processes = [self.spawn("ovsdb-server", f"{self.folder}/conf.db", f"--remote=p{self.database}")]
        self.until(lambda: os.path.exists(f"{self.folder}/db.sock"))
        options = {"dpdk-init": "true", "dpdk-extra": "--in-memory --no-pci", "dpdk-socket-mem": memory(frames),
                   "pmd-cpu-mask": f"{1 << int(WORKER):x}", "dpdk-lcore-mask": f"{1 << int(MAIN):x}"}
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".",
                   *(f'other_config:{key}="{value}"' for key, value in options.items()))
        self.processes.append(self.spawn(self.program, self.database))
        bridge = ["add-br", self.bridge, "--", "set", "bridge", self.bridge, "datapath_type=netdev"]
        for name, device in zip(("p0", "p1"), vdevs(capture)):
            bridge += ["--", "add-port", self.bridge, name, "--", "set", "Interface", name, "type=dpdk",
                       f'options:dpdk-devargs="{device}"']
        self.vsctl(*bridge)
        nat = f"ct(commit,nat(src={POOL[0]}-{POOL[1]}:1024-65535))"
        self.run("ovs-ofctl", "del-flows", f"{self.folder}/{self.bridge}.mgmt")
        self.run("ovs-ofctl", "add-flow", f"{self.folder}/{self.bridge}.mgmt", f"in_port=p0,ip,actions={nat},output:p1")
        self.until(lambda: self.sent() > 0)
        self.schedstat = thread(self.processes[1].pid, "pmd-c")

    def spawn(self, *command: str) -> subprocess.Popen:
        """A process that runs until the end."""
        with open(f"{self.folder}/{os.path.basename(command[0])}.log", "w", encoding="utf-8") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def run(self, *command: str) -> str:
        """A command that must succeed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def vsctl(self, *arguments: str) -> str:
        """Asks the database."""
        return self.run("ovs-vsctl", f"--db={self.database}", *arguments)

    def until(self, done) -> None:
        """Waits for something to become true."""
        limit = time.monotonic() + 20
        while not done():
            if time.monotonic() > limit:
                raise Failed(f"Open vSwitch does not forward: see {self.folder}")
            time.sleep(0.1)

    def sent(self) -> int:
        """Frames transmitted so far."""
        lines = self.run("ovs-ofctl", "dump-ports", f"{self.folder}/{self.bridge}.mgmt", "p1").splitlines()
        return next(int(line.split("pkts=")[1].split(",")[0]) for line in lines if "tx pkts" in line)

    def stop(self) -> None:
        """Ends it, its interfaces too: a signal alone leaves them."""
        if len(self.processes) > 1:
            control = f"{self.folder}/{os.path.basename(self.program)}.{self.processes[1].pid}.ctl"
            subprocess.run(["ovs-appctl", "-t", control, "exit", "--cleanup"], capture_output=True, check=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes[1].wait(15)
        for process in reversed(self.processes):
            end(process)


CONFIGURATION = """\
[dpdk]
main_core      = {main}
worker_cores   = [{worker}]
memory         = "{memory}MiB"
packet_buffers = {buffers}

[workers]
idle = "poll"

[management]
socket = "{socket}"

[[port]]
name      = "lan"
device    = "{source}"
mac       = "{mac}"
addresses = ["10.255.255.254/8"]
nat       = "internal"

[[port]]
name      = "wan"
device    = "{sink}"
addresses = ["198.51.100.1/24"]
nat       = "external"

[[route]]
prefix    = "0.0.0.0/0"
next_hops = ["198.51.100.254"]

[[neighbor]]
port    = "wan"
address = "198.51.100.254"
mac     = "02:00:00:00:00:fe"

[nat44]
pool         = ["{pool}"]
max_sessions = {sessions}
"""
