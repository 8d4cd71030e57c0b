"""Two cores: pktgen on one, the system under test on the other, real devices between them, both directions, every packet
verified."""

import json
import os
import statistics
import subprocess
import sys
import time

from machine import output
from systems import MAIN, WORKER, Failed, Missing, end

INSIDE = ("10.0.0.2/16", "10.0.0.1")
OUTSIDE = ("198.51.100.254/24", "198.51.100.1")
FLOWS = (1, 1000, 100_000)
SLOW_FLOWS = (1, 1000)
DEVICE = "net_memif{at},role=server,socket-abstract=no,socket={folder}/{at}.sock,rsize=10"


class Memif:
    """A system between two memif devices that it serves."""

    flows = FLOWS

    def __init__(self, folder: str):
        self.folder = folder
        self.devices = [DEVICE.format(at=at, folder=folder) for at in (0, 1)]

    def ports(self) -> list[str]:
        """What pktgen is told of its ports."""
        return [f"memif:socket={self.folder}/{at}.sock,role=client,id=0{self.addresses(at)}"
                for at in (0, 1)]

    def addresses(self, at: int) -> str:
        """Address and gateway of a port of pktgen."""
        address, gateway = (INSIDE, OUTSIDE)[at]
        return f",ip={address},gw={gateway}"

    def wait(self) -> None:
        """Until both sockets are there."""
        limit = time.monotonic() + 15
        while not all(os.path.exists(f"{self.folder}/{at}.sock") for at in (0, 1)):
            if time.monotonic() > limit or self.process.poll() is not None:
                raise Failed(f"{self.name} does not start: see {self.folder}")
            time.sleep(0.1)
        time.sleep(0.5)

    def spawn(self, command: list[str], **streams) -> None:
        """Starts it, its words in a file."""
        with open(f"{self.folder}/{self.name.split()[0]}.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **streams)

    def stop(self) -> None:
        """Ends it and takes its sockets away."""
        end(self.process)
        for at in (0, 1):
            if os.path.exists(f"{self.folder}/{at}.sock"):
                os.unlink(f"{self.folder}/{at}.sock")


class Testpmd(Memif):
    """The limit: frames pass as they are."""

    name = "testpmd io"

    def addresses(self, at: int) -> str:
        """No gateway: the ports are as good as joined."""
        return ""

    def start(self) -> None:
        """Begins to forward."""
        command = ["dpdk-testpmd", "-l", f"{MAIN},{WORKER}", "--in-memory", "--no-pci", "--single-file-segments", "-m",
                   "512"]
        for device in self.devices:
            command += ["--vdev", device]
        self.spawn(command + ["--", "-i", "-a", "--forward-mode=io", "--nb-cores=1"], stdin=subprocess.PIPE)
        self.wait()


class Vnf(Memif):
    """This project's network function."""

    name = "vnf"

    def __init__(self, folder: str, program: str):
        super().__init__(folder)
        self.program = program

    def start(self) -> None:
        """Begins to translate."""
        path, socket = f"{self.folder}/wire.toml", f"{self.folder}/wire.sock"
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(main=MAIN, worker=WORKER, socket=socket, lan=self.devices[0],
                                            wan=self.devices[1]))
        self.spawn([self.program, "run", "-c", path])
        self.wait()


class Kernel:
    """The kernel's masquerading (nftables) between two veth pairs, in a namespace of its own."""

    name = "nftables masquerade"
    flows = SLOW_FLOWS

    def __init__(self):
        if not output("nft", "--version"):
            raise Missing("nftables is not installed (package nftables)")
        self.namespace = f"vnf-bench-{os.getpid()}"
        self.outer = [f"vb{os.getpid()}{end}" for end in "ab"]

    def inside(self, *command: str) -> None:
        """A command in the namespace."""
        run("ip", "netns", "exec", self.namespace, *command)

    def start(self) -> None:
        """Makes the router."""
        run("ip", "netns", "add", self.namespace)
        for outer, inner, (_, gateway), length in zip(self.outer, ("lan", "wan"), (INSIDE, OUTSIDE), (16, 24)):
            run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.namespace)
            for direction in ("rx", "tx"):
                output("ethtool", "-K", outer, direction, "off")
                output("ip", "netns", "exec", self.namespace, "ethtool", "-K", inner, direction, "off")
            run("ip", "link", "set", outer, "up")
            self.inside("ip", "address", "add", f"{gateway}/{length}", "dev", inner)
            self.inside("ip", "link", "set", inner, "up")
        self.inside("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.netfilter.nf_conntrack_max=2000000")
        self.inside("nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; "
                    "add rule ip nat post oifname wan masquerade")

    def ports(self) -> list[str]:
        """What pktgen is told of its ports."""
        return [f"af_packet:iface={name},ip={address},gw={gateway}"
                for name, (address, gateway) in zip(self.outer, (INSIDE, OUTSIDE))]

    def stop(self) -> None:
        """Takes everything away; the veth pairs go with their inner ends."""
        output("ip", "netns", "del", self.namespace)


class Flowtable(Kernel):
    """The same, with established flows taken past most of the kernel."""

    name = "nftables with flowtable"

    def start(self) -> None:
        """Makes the router, or says that the kernel cannot."""
        super().start()
        try:
            self.inside("nft", "add table ip fast; add flowtable ip fast ft { hook ingress priority 0; devices = { lan, wan }; }; "
                        "add chain ip fast forward { type filter hook forward priority 0; }; "
                        "add rule ip fast forward ip protocol { tcp, udp } flow add @ft")
        except Failed as failure:
            raise Missing("this kernel has no flowtables (CONFIG_NF_FLOW_TABLE)") from failure


def run(*command: str) -> None:
    """A command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")


def sample(system, pktgen: str, flows: int, seconds: float, folder: str) -> dict:
    """One measurement: what comes through when as much is sent as can be."""
    try:
        system.start()
        report = f"{folder}/pktgen.json"
        command = [pktgen, "run", "--core", MAIN, "--load", "max", "--flows", str(flows), "--size", "64", "--seed", "1",
                   "--time", f"{max(1, round(seconds))}s", "--json", report, "--quiet"]
        for port in system.ports():
            command += ["-p", port]
        if os.path.exists(report):
            os.unlink(report)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60 + seconds, check=False)
        except subprocess.TimeoutExpired as failure:
            raise Failed("pktgen does not come to an end") from failure
        if not os.path.exists(report):
            raise Failed(f"pktgen: {done.stderr.strip()}")
        with open(report, encoding="utf-8") as file:
            found = json.load(file)
        return {"mpps": found["rx_pps"] / 1e6, "offered_mpps": found["tx_pps"] / 1e6, "loss_ratio": found["loss_ratio"],
                "corrupted": found["corrupted"], "mistranslated": found["mistranslated"]}
    finally:
        system.stop()


def measure(vnf: str, pktgen: str, folder: str, asked) -> tuple[list[dict], list[str]]:
    """Every system at every number of flows, in rounds; and what was left out."""
    folder = f"{folder}/wire"
    os.makedirs(folder, exist_ok=True)
    candidates, left_out = [Testpmd(folder), Vnf(folder, vnf)], []
    for kernel in (Kernel, Flowtable):
        try:
            candidates.append(kernel())
        except Missing as reason:
            left_out.append(str(reason))
    samples: dict = {}
    for _ in range(asked.runs):
        for system in list(candidates):
            for flows in system.flows:
                try:
                    found = sample(system, pktgen, flows, asked.seconds, folder)
                    samples.setdefault((system.name, flows), []).append(found)
                except Missing as reason:
                    left_out.append(str(reason))
                    candidates.remove(system)
                    break
                except Failed as failure:
                    print(f"  {system.name}, {flows} flows: {failure}", file=sys.stderr)
    rows = []
    for (name, flows), found in samples.items():
        rates = [one["mpps"] for one in found]
        row = {"system": name, "flows": flows, "samples": found,
               "mpps": {"min": min(rates), "median": statistics.median(rates), "max": max(rates)}}
        rows.append(row)
        print(f"  {flows:>9} flows  {name:<24} {row['mpps']['median']:6.2f} Mpps through "
              f"({row['mpps']['min']:.2f} to {row['mpps']['max']:.2f})")
    return rows, left_out


CONFIGURATION = """\
[dpdk]
main_core    = {main}
worker_cores = [{worker}]
memory       = "768MiB"
eal_args     = ["--single-file-segments"]

[workers]
idle = "poll"

[management]
socket = "{socket}"

[[port]]
name      = "lan"
device    = "{lan}"
addresses = ["10.0.0.1/16"]
nat       = "internal"

[[port]]
name      = "wan"
device    = "{wan}"
addresses = ["198.51.100.1/24"]
nat       = "external"

[nat44]
pool         = ["198.51.100.16/28"]
max_sessions = 300_000
"""
