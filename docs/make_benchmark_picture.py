"""Draw a benchmark: `python docs/make_benchmark_picture.py benchmark.json > benchmark.svg`.

`python -m tests.benchmarks --documented --json docs/benchmark.json` measures the one of the README.
On the left the CPU of each contender as a ratio to a bare aiohttp relay, on the right CPU for a
request against requests in flight.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

Scenarios = Mapping[str, Mapping[str, Any]]

WIDTH, HEIGHT, TOP = 1150, 520, 56
LABELS, BARS, MIDDLE, RIGHT = 165, 300, 600, 30
ROW, BAR = 22, 13
BARS_OF = ("unary-32-nothink", "sse-1000", "sse-50-paced")
CURVE_OF = ("unary-1", "unary-16", "unary-64", "unary-200", "unary-1000")
NAMES = {
    "aiohttp-relay": "aiohttp relay",
    "httpx-relay": "httpx relay",
    "mesh": "middleware",
    "mesh-sdk": "middleware, sampled",
    "serve": "serve, access log on",
    "serve-sdk": "serve, sampled, exported",
    "litellm": "LiteLLM's proxy",
}
COLOURS = {
    "aiohttp-relay": "#6e7781",
    "httpx-relay": "#8a63c8",
    "mesh": "#3b6fd4",
    "mesh-sdk": "#2a9d74",
    "serve": "#b7791f",
    "serve-sdk": "#c2508f",
    "litellm": "#c8453b",
}
TITLES = {
    "unary-32-nothink": "a whole response, 32 in flight",
    "sse-1000": "a stream of 1,000 chunks",
    "sse-50-paced": "64 streams, a chunk every 10 ms",
}
LONGEST = 4.0  # where a bar is cut
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.fact { font-size: 11px; fill: #57606a }
.grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .fact { fill: #9198a1 } .grid { stroke: #3d444d }
}"""


def draw(scenarios: Scenarios) -> str:
    """The picture."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="CPU of mesh and relays">',
            f"<style>{STYLE}\n</style>",
            _text(8, 20, "CPU against a bare aiohttp relay", kind="title"),
            *_bars(scenarios),
            _text(MIDDLE, 20, "CPU for a request, against requests in flight", kind="title"),
            *_curves(scenarios),
            "</svg>\n",
        )
    )


def _bars(scenarios: Scenarios) -> Iterator[str]:
    y = TOP
    for name in BARS_OF:
        if name not in scenarios:
            continue
        yield _text(8, y - 8, TITLES[name], kind="fact")
        for contender, figures in _drawn(scenarios[name]):
            ratio = figures["ratio"]
            width = min(ratio, LONGEST) / LONGEST * BARS
            yield _text(8, y + BAR - 2, NAMES[contender])
            yield (
                f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3" '
                f'fill="{COLOURS[contender]}"/>'
            )
            cut = " \u2192" if ratio > LONGEST else ""
            yield _text(LABELS + width + 6, y + BAR - 2, f"{ratio:.2f}\u00d7{cut}", kind="fact")
            y += ROW
        y += ROW + 6


def _curves(scenarios: Scenarios) -> Iterator[str]:
    """Both axes are logarithmic: what counts is by how many times something is more."""
    measured = [scenarios[name] for name in CURVE_OF if name in scenarios]
    if not measured:
        return
    costs = [figures["cpu_ms"] for one in measured for _, figures in _drawn(one)]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    left, bottom, top = MIDDLE + 50, HEIGHT - 60, TOP - 10
    step = (WIDTH - RIGHT - left) / max(1, len(measured) - 1)

    def height_of(cost: float) -> float:
        return bottom - (math.log10(cost) - low) / (high - low) * (bottom - top)

    for power in range(low, high + 1):
        y = height_of(10.0**power)
        yield f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        yield _text(left - 8, y + 4, f"{10.0**power:g} ms", kind="fact", anchor="end")
    for place, one in enumerate(measured):
        in_flight = f"{one['scenario']['in_flight']:,}"
        yield _text(left + place * step, bottom + 18, in_flight, kind="fact", anchor="middle")
    yield from _lines(measured, left, step, height_of)
    yield from _legend(measured, MIDDLE, HEIGHT - 14)


def _lines(
    measured: Sequence[Mapping[str, Any]], left: float, step: float, height_of: Any
) -> Iterator[str]:
    for contender, colour in COLOURS.items():
        points = [
            (left + place * step, height_of(one["contenders"][contender]["cpu_ms"]))
            for place, one in enumerate(measured)
            if contender in one["contenders"]
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _legend(measured: Sequence[Mapping[str, Any]], x: float, y: float) -> Iterator[str]:
    for contender, _ in _drawn(measured[0]):
        yield f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[contender]}"/>'
        yield _text(x + 14, y, NAMES[contender], kind="fact")
        x += 26 + 6.3 * len(NAMES[contender])


def _drawn(one: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in NAMES:
        if name in one["contenders"]:
            yield name, one["contenders"][name]


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.stdout.write(draw({one["scenario"]["name"]: one for one in found["scenarios"]}))
