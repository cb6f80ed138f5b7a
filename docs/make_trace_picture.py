"""Draw a recorded trace as an SVG: `python docs/make_trace_picture.py trace.json > trace.svg`.

`python -m tests.telemetry.e2e.traced_app > docs/trace.json` records the one of the README.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

Span = Mapping[str, Any]

WIDTH, ROW, TOP, BAR = 1040, 46, 44, 16
LABELS, RIGHT = 240, 24  # where the bars begin; the margin behind them
COLOURS = {"llm_mesh_middleware": "#3b6fd4", "fastapi": "#2a9d74", "httpx": "#8a63c8"}
FAILED = "#c8453b"
STEPS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**6)
FACTS = (
    ("gen_ai.response.model", "answered by {}"),
    ("server.address", "{}"),
    ("http.response.status_code", "status {}"),
    ("http.status_code", "status {}"),
    ("gen_ai.usage.input_tokens", "{} tokens in"),
    ("gen_ai.usage.output_tokens", "{} out"),
    ("llm_mesh.attempt.count", "{} attempts"),
    ("gen_ai.response.time_to_first_chunk", "first chunk after {:.0f} ms"),
)
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.fact { font-size: 11px; fill: #57606a }
.grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .fact { fill: #9198a1 } .grid { stroke: #3d444d }
}"""


def in_tree_order(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Every span with its depth, below its parent and in order of time."""
    known = {span["span_id"] for span in spans}

    def below(parent: str | None, depth: int) -> Iterator[tuple[int, Span]]:
        for span in sorted(spans, key=lambda span: span["start_ms"]):
            above = span["parent_id"] if span["parent_id"] in known else None
            if above == parent:
                yield depth, span
                yield from below(span["span_id"], depth + 1)

    return below(None, 0)


def draw(spans: Sequence[Span]) -> str:
    """The picture of one trace."""
    end_ms = max(span["end_ms"] for span in spans)
    scale = (WIDTH - LABELS - RIGHT) / end_ms
    height = TOP + ROW * len(spans)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Trace of one request">',
        f"<style>{STYLE}\n</style>",
        *_grid(end_ms, scale, height),
    ]
    for row, (depth, span) in enumerate(in_tree_order(spans)):
        parts += _row(span, depth, TOP + ROW * row, scale)
    return "\n".join([*parts, "</svg>\n"])


def _grid(end_ms: float, scale: float, height: int) -> Iterator[str]:
    step = next(step for step in STEPS_MS if end_ms / step <= 8)
    for moment in range(0, int(end_ms) + 1, step):
        x = LABELS + moment * scale
        yield f'<line class="grid" x1="{x:.1f}" y1="26" x2="{x:.1f}" y2="{height}"/>'
        yield f'<text class="fact" x="{x:.1f}" y="18" text-anchor="middle">{moment} ms</text>'


def _row(span: Span, depth: int, y: int, scale: float) -> Iterator[str]:
    x = LABELS + span["start_ms"] * scale
    width = max(2.0, (span["end_ms"] - span["start_ms"]) * scale)
    scope = span["scope"].rpartition(".")[2]
    colour = FAILED if span["is_error"] else COLOURS.get(scope, "#6e7781")
    yield f'<text x="{8 + 16 * depth}" y="{y + 13}">{escape(span["name"])}</text>'
    about = f"{scope}, {span['kind'].lower()}"
    yield f'<text class="fact" x="{8 + 16 * depth}" y="{y + 28}">{escape(about)}</text>'
    yield (
        f'<rect x="{x:.1f}" y="{y + 1}" width="{width:.1f}" height="{BAR}" rx="3" fill="{colour}"/>'
    )
    facts = ", ".join(_facts(span["attributes"]))
    anchor, at = ("end", x + width) if x > WIDTH * 0.6 else ("start", x)
    place = f'x="{at:.1f}" y="{y + 30}" text-anchor="{anchor}"'
    yield f'<text class="fact" {place}>{escape(facts)}</text>'


def _facts(attributes: Mapping[str, Any]) -> Iterator[str]:
    for name, wording in FACTS:
        if name in attributes:
            value = attributes[name]
            yield wording.format(value * 1000 if name.endswith("time_to_first_chunk") else value)


if __name__ == "__main__":
    sys.stdout.write(draw(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
