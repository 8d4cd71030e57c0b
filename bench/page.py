"""The results as tables in Markdown and as one page with plots."""

from html import escape

from plot import lines

# Own cycles per packet that this project aims at, and what VPP 26.06's NAT44-ED took on such a machine (docs/performance.md).
TARGETS = {1000: 50, 10_000: 60, 100_000: 90, 1_000_000: 160, 10_000_000: 260}
VPP = {1: 185, 1000: 233, 10_000: 745, 100_000: 980, 1_000_000: 1092}


def compared(rows: list[dict], key: str) -> list[list[str]]:
    """A table of rates and ratios to the limit."""
    systems = list(dict.fromkeys(row["system"] for row in rows))
    table = [[key] + systems]
    for value in dict.fromkeys(row[key] for row in rows):
        cells = {row["system"]: row for row in rows if row[key] == value}
        table.append([f"{value:,}" if isinstance(value, int) else value] + [cell(cells.get(name)) for name in systems])
    return table


def cell(row: dict | None) -> str:
    """Mpps, and the ratio with its spread."""
    if not row or not row["ratio"]:
        return "–"
    ratio = row["ratio"]
    return f"{row['mpps']:.2f} · {ratio['median']:.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})"


def tables(result: dict) -> list[tuple[str, list[list[str]]]]:
    """All tables: title, rows with a head."""
    found = []
    if rows := result.get("flows"):
        found.append(("One core, 64 octets: Mpps a core · ratio to testpmd mac, median (min–max)", compared(rows, "flows")))
    if rows := result.get("sizes"):
        found.append(("One core, 1,000 flows, by frame size: the same", compared(rows, "size")))
    if rows := result.get("stages"):
        names = list(rows[0]["stages"])
        table = [["flows", "rules", "own cycles a packet (min–max)", "empty pipeline", "new session", "octets a session"] + names]
        for row in rows:
            own = row["own_cycles_per_packet"]
            table.append([f"{row['flows']:,}", f"{row['rules']:,}", f"{own['median']:.0f} ({own['min']:.0f}–{own['max']:.0f})",
                          f"{row['empty_cycles_per_packet']:.0f}", f"{row['new_session_cycles']:.0f}",
                          f"{row['bytes_per_session']:.0f}"] + [f"{row['stages'][name]:.1f}" for name in names])
        found.append(("The VNF alone: cycles (vnf bench, random order)", table))
    if rows := result.get("wire"):
        table = [["system", "flows", "Mpps through (min–max)", "corrupted", "mistranslated"]]
        for row in rows:
            rate = row["mpps"]
            total = lambda key: str(sum(one[key] for one in row["samples"]))
            table.append([row["system"], f"{row['flows']:,}", f"{rate['median']:.2f} ({rate['min']:.2f}–{rate['max']:.2f})",
                          total("corrupted"), total("mistranslated")])
        found.append(("Two cores, generator included, both directions", table))
    return found


def ratios(rows: list[dict], place) -> dict[str, list[tuple]]:
    """Ratio series of all systems."""
    series: dict[str, list[tuple]] = {}
    for row in rows:
        if ratio := row["ratio"]:
            series.setdefault(row["system"], []).append((place(row), ratio["min"], ratio["median"], ratio["max"]))
    return series


def plots(result: dict) -> list[str]:
    """All charts."""
    found = []
    if rows := result.get("flows"):
        found.append(lines("Rate by flows (1 = testpmd mac in the same round)", "flows", "ratio to the limit",
                           ratios(rows, lambda row: row["flows"])))
    if rows := result.get("sizes"):
        sizes = list(dict.fromkeys(row["size"] for row in rows))
        found.append(lines("Rate by frame size (1 = testpmd mac in the same round)", "octets", "ratio to the limit",
                           ratios(rows, lambda row: sizes.index(row["size"])), sizes))
    if rows := result.get("stages"):
        by_flows = [row for row in rows if row["rules"] == rows[0]["rules"]]
        own = [(row["flows"], *(row["own_cycles_per_packet"][key] for key in ("min", "median", "max"))) for row in by_flows]
        reached = {row["flows"] for row in by_flows}
        wanted = lambda figures: [(flows, cycles) for flows, cycles in figures.items() if flows in reached]
        found.append(lines("Cycles of the network function for one packet", "flows", "cycles",
                           {"vnf": own, "target": wanted(TARGETS), "VPP 26.06 NAT44": wanted(VPP)}))
        names = by_flows[0]["stages"]
        found.append(lines("Cycles by stage", "flows", "cycles",
                           {name: [(row["flows"], row["stages"][name]) for row in by_flows] for name in names}))
        found.append(lines("Cycles to open a session", "flows", "cycles",
                           {"vnf": [(row["flows"], row["new_session_cycles"]) for row in by_flows]}))
    return [plot for plot in found if plot]


def write(result: dict, folder: str) -> None:
    """Writes `table.md` and `index.html`."""
    with open(f"{folder}/table.md", "w", encoding="utf-8") as file:
        for title, table in tables(result):
            rule = ["---"] * len(table[0])
            file.write(f"## {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in [table[0], rule] + table[1:]) + "\n")
    facts = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in result["machine"].items())
    left_out = "".join(f"<li>{escape(reason)}</li>" for reason in result["left_out"])
    shown = ""
    for title, (head, *rows) in tables(result):
        cells = "".join(f"<th>{escape(name)}</th>" for name in head)
        body = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
        shown += f"<h2>{escape(title)}</h2><div class=\"wide\"><table><tr>{cells}</tr>{body}</table></div>"
    with open(f"{folder}/index.html", "w", encoding="utf-8") as file:
        file.write(PAGE.format(date=result["date"], plots="".join(f"<figure>{plot}</figure>" for plot in plots(result)),
                               tables=shown, facts=facts, left_out=f"<h2>Left out</h2><ul>{left_out}</ul>" if left_out else ""))


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>vnf: side by side</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1500px; margin: 2em auto; padding: 0 1em; color: #1d2329 }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(560px, 1fr)); gap: 1em }}
figure {{ margin: 0; border: 1px solid #d9dee3; border-radius: 6px; padding: .6em }}
svg {{ width: 100%; font: 12px system-ui, sans-serif; fill: #1d2329 }}
svg .title {{ font-size: 14px; font-weight: 600 }} svg .grid {{ stroke: #e4e8ec }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
td, th {{ border-bottom: 1px solid #d9dee3; padding: .25em .8em; text-align: left; white-space: nowrap }}
.wide {{ overflow-x: auto }} h2 {{ font-size: 1.1em; margin-top: 2em }}
</style></head><body>
<h1>vnf beside what users would take instead</h1>
<p>Measured {date}. One-core figures are frames a second of processor time between a capture that is received for ever and a port that
swallows everything; ratios are to <code>testpmd</code> forwarding in the same round. Bars go from the smallest to the largest round.
A virtual machine's figures are not those of a server: read the ratios.</p>
<div class="plots">{plots}</div>
{tables}
{left_out}
<h2>Machine</h2><table>{facts}</table>
</body></html>
"""
