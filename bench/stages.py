"""The VNF alone: `vnf bench` over flows and rules."""

import json
import statistics
import subprocess
import sys

RULES = 100  # of the runs over flows
FLOWS = 10_000  # of the runs over rules


def bench(vnf: str, flows: int, rules: int, seconds: float) -> dict | None:
    """One run; none where the machine has no room for it."""
    command = [vnf, "bench", "--flows", str(flows), "--rules", str(rules), "--order", "random",
               "--duration", str(max(1, round(seconds))), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {flows} flows, {rules} rules: {done.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def median(runs: list[dict]) -> dict:
    """Medians of what counts, with the spread of the total."""
    middle = lambda key: statistics.median(run[key] for run in runs)
    own = [run["own_cycles_per_packet"] for run in runs]
    names = [stage["name"] for stage in runs[0]["stages"]]
    stage = lambda at: statistics.median(run["stages"][at]["cycles_per_packet"] for run in runs)
    keys = ["pps", "cycles_per_packet", "empty_cycles_per_packet", "new_session_cycles", "bytes_per_session"]
    return {key: middle(key) for key in keys} | {
        "own_cycles_per_packet": {"min": min(own), "median": statistics.median(own), "max": max(own)},
        "stages": {name: stage(at) for at, name in enumerate(names)}, "hugepages": runs[0]["hugepages"]}


def measure(vnf: str, asked) -> list[dict]:
    """Every point in rounds, so that a slow minute does not hit one point alone."""
    points = [(flows, RULES) for flows in asked.flows] + [(FLOWS, rules) for rules in asked.rules]
    runs = {point: [] for point in points}
    for _ in range(asked.runs):
        for flows, rules in runs:
            if run := bench(vnf, flows, rules, asked.seconds):
                runs[flows, rules].append(run)
    rows = []
    for (flows, rules), found in runs.items():
        if not found:
            continue
        row = {"flows": flows, "rules": rules} | median(found)
        rows.append(row)
        print(f"  {flows:>9} flows, {rules:>6} rules: {row['own_cycles_per_packet']['median']:5.0f} cycles a packet, "
              f"{row['new_session_cycles']:5.0f} a new session, {row['bytes_per_session']:.0f} octets a session")
    return rows
