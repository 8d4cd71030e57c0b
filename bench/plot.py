"""Line charts as SVG."""

import math
from html import escape

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 170, 40, 48
COLOURS = ["#1b6ca8", "#c8553d", "#588b4c", "#8a5fa8", "#b8862b", "#5b6770", "#2a9d8f"]


def steps(largest: float) -> list[float]:
    """About five round numbers from 0 to at least the largest."""
    raw = max(largest, 1e-9) / 5
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    return [step * at for at in range(math.ceil(largest / step - 1e-9) + 1)]


def short(number: float) -> str:
    """A number for an axis."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:g}{unit}"
    return f"{number:g}"


def lines(title: str, across: str, up: str, series: dict[str, list[tuple]], categories: list[str] | None = None) -> str:
    """A chart of `series`: name to (x, y) or (x, low, y, high). x is on a logarithmic axis, or a place among `categories`."""
    series = {name: points for name, points in series.items() if points}
    if not series:
        return ""
    every = [point for points in series.values() for point in points]
    xs = [point[0] for point in every]
    marks = steps(max(max(point[1:]) for point in every))
    if categories:
        place = lambda x: (x + 0.5) / len(categories)
        ticks = list(enumerate(categories))
    else:
        low, high = math.log10(min(xs)), math.log10(max(xs))
        place = lambda x: 0.02 + 0.96 * ((math.log10(x) - low) / (high - low) if high > low else 0.5)
        ticks = [(x, short(x)) for x in sorted(set(xs))]
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    at_x = lambda x: LEFT + wide * place(x)
    at_y = lambda y: TOP + tall * (1 - y / marks[-1])
    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
           f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
           f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>',
           f'<text transform="translate(14 {TOP + tall / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(up)}</text>']
    for mark in marks:
        y = at_y(mark)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}"/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for x, label in ticks:
        out.append(f'<text x="{at_x(x):.1f}" y="{TOP + tall + 18}" text-anchor="middle">{escape(label)}</text>')
    for colour, (row, (name, points)) in zip(COLOURS * 2, enumerate(series.items())):
        middles = [(at_x(point[0]), at_y(point[2] if len(point) == 4 else point[1])) for point in points]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in middles)
        out.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point, (x, y) in zip(points, middles):
            if len(point) == 4:
                out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{at_y(point[1]):.1f}" y2="{at_y(point[3]):.1f}" '
                           f'stroke="{colour}"/>')
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        y = TOP + 12 + 20 * row
        out.append(f'<rect x="{LEFT + wide + 14}" y="{y - 9}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{LEFT + wide + 32}" y="{y + 1}">{escape(name)}</text>')
    return "\n".join(out + ["</svg>"])
