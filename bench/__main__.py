"""The side-by-side benchmark: the network function beside what users would take instead, in one run, on the same cores."""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time

import frames
import machine
import page
import stages
import systems
import wire

WARM_UP_S = 1.0
LIMIT = "testpmd mac"


def arguments() -> argparse.Namespace:
    """The command line."""
    numbers = lambda text: [int(number) for number in text.replace("_", "").split(",")]
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few points, few runs: a few minutes")
    parser.add_argument("--runs", type=int, help="rounds; every round has every system once [5, quick: 2]")
    parser.add_argument("--seconds", type=float, help="of measuring one system [2, quick: 1]")
    parser.add_argument("--flows", type=numbers, help="numbers of flows [1,1000,10000,100000,1000000,10000000]")
    parser.add_argument("--sizes", type=words, help="frame sizes [64,128,256,512,1024,1280,1518,imix]")
    parser.add_argument("--rules", type=numbers, help="numbers of ACL rules [0,10,100,1000,10000]")
    parser.add_argument("--parts", type=words, default=["flows", "sizes", "stages", "wire"],
                        help="of flows, sizes, stages, wire [all]")
    parser.add_argument("--output", default="bench-results", help="folder for table, JSON and plots [bench-results]")
    asked = parser.parse_args()
    asked.runs = asked.runs or (2 if asked.quick else 5)
    asked.seconds = asked.seconds or (1 if asked.quick else 2)
    quick_or = lambda quick, full: quick if asked.quick else full
    asked.flows = asked.flows or quick_or([1, 1000, 100_000], [1, 1000, 10_000, 100_000, 1_000_000, 10_000_000])
    asked.sizes = asked.sizes or quick_or(["64", "512", "imix"], "64,128,256,512,1024,1280,1518,imix".split(","))
    asked.rules = asked.rules or quick_or([0, 100], [0, 10, 100, 1000, 10_000])
    return asked


def sample(system, capture: str, count: int, flows: int, seconds: float) -> dict:
    """One measurement of one system."""
    system.start(capture, count, flows)
    try:
        time.sleep(WARM_UP_S + flows / 1e6)
        read = lambda: (system.sent(), machine.seconds(system.schedstat), time.monotonic(), machine.stolen())
        before = read()
        time.sleep(seconds)
        packets, processor, wall, stolen = (after - earlier for after, earlier in zip(read(), before))
        if packets <= 0 or processor <= 0:
            raise systems.Failed(f"{system.name} transmits nothing")
        # Time that others took from the thread does not count.
        return {"mpps": packets / processor / 1e6, "share_of_core": processor / wall, "stolen_s": stolen}
    finally:
        system.stop()


def side_by_side(asked, chosen: list, folder: str, points: list[tuple[int, str]]) -> list[dict]:
    """Every system at every point, in rounds."""
    rows = []
    for flows, size in points:
        capture = f"{folder}/frames.pcap"
        count = frames.write_capture(capture, flows, size)
        samples = {system.name: [] for system in chosen}
        for _ in range(asked.runs):
            for system in chosen:
                try:
                    samples[system.name].append(sample(system, capture, count, flows, asked.seconds))
                except systems.Failed as failure:
                    print(f"  {system.name}: {failure}", file=sys.stderr)
                    samples[system.name].append(None)
        for system in chosen:
            row = {"system": system.name, "flows": flows, "size": size, "samples": samples[system.name]}
            row |= summary(samples[system.name], samples[LIMIT])
            rows.append(row)
            if row["ratio"]:
                print(f"  {flows:>9} flows  {size:>5}  {system.name:<14} {row['mpps']:6.2f} Mpps a core, "
                      f"{row['ratio']['median']:.2f} of the limit ({row['ratio']['min']:.2f} to {row['ratio']['max']:.2f})")
    return rows


def summary(samples: list, limits: list) -> dict:
    """Median rate, and the ratios to the limit of the same round."""
    pairs = [(one["mpps"], limit["mpps"]) for one, limit in zip(samples, limits) if one and limit]
    if not pairs:
        return {"mpps": None, "ratio": None}
    ratios = [one / limit for one, limit in pairs]
    ratio = {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}
    return {"mpps": statistics.median(one for one, _ in pairs), "ratio": ratio}


def present(candidates: list) -> tuple[list, list[str]]:
    """The systems that are here, and what is said of the others."""
    chosen, left_out = [], []
    for make in candidates:
        try:
            chosen.append(make())
        except systems.Missing as reason:
            left_out.append(str(reason))
    return chosen, left_out


def main() -> int:
    """Measures, and writes table, JSON and page."""
    asked = arguments()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    vnf, pktgen = os.environ["VNF_BIN"], os.environ["PKTGEN_BIN"]
    machine.come_first()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(asked.output, exist_ok=True)
    result = {"schema": 1, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine.facts(root),
              "settings": {key: value for key, value in vars(asked).items() if key != "output"}, "left_out": []}
    with tempfile.TemporaryDirectory(prefix="vnf-bench-") as folder:
        chosen, result["left_out"] = present([
            lambda: systems.Testpmd("mac"), lambda: systems.Testpmd("io"),
            lambda: systems.Vnf(vnf, folder), lambda: systems.OpenVSwitch(folder)])
        for reason in result["left_out"]:
            print(f"left out: {reason}")
        if LIMIT not in [system.name for system in chosen]:
            print("scripts/bench: without dpdk-testpmd there is no limit to compare with", file=sys.stderr)
            return 1
        if "flows" in asked.parts:
            print("one core, 64 octets, by flows:")
            points = [(flows, "64") for flows in asked.flows if flows <= MOST_CAPTURED]
            result["flows"] = side_by_side(asked, chosen, folder, points)
        if "sizes" in asked.parts:
            print("one core, 1,000 flows, by size:")
            result["sizes"] = side_by_side(asked, chosen, folder, [(1000, size) for size in asked.sizes])
        if "stages" in asked.parts:
            print("cycles of the VNF alone (vnf bench):")
            result["stages"] = stages.measure(vnf, asked)
        if "wire" in asked.parts:
            print("two cores, through real devices:")
            result["wire"], reasons = wire.measure(vnf, pktgen, folder, asked)
            result["left_out"] += reasons
    with open(f"{asked.output}/results.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    page.write(result, asked.output)
    print(f"{asked.output}/: results.json, table.md, index.html")
    return 0


# A capture's port keeps a buffer for every frame.
MOST_CAPTURED = 1_000_000

if __name__ == "__main__":
    sys.exit(main())
