"""A soak run as an SVG: one panel for each of its figures, over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from tests.soak.samples import Sample

__all__ = ["draw"]

WIDTH, PANEL, TOP, LEFT, RIGHT = 960, 120, 40, 150, 24
PANELS: Sequence[tuple[str, str, Callable[[Sample], float]]] = (
    ("memory, MiB", "#3b6fd4", lambda sample: sample.rss_mib),
    ("file descriptors", "#2a9d74", lambda sample: sample.files),
    ("threads", "#8a63c8", lambda sample: sample.threads),
    ("asyncio tasks", "#b07a1e", lambda sample: sample.tasks),
    ("calls a second", "#6e7781", lambda sample: sample.calls_per_s),
    ("errors", "#c8453b", lambda sample: sample.errors),
)
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.fact { font-size: 11px; fill: #57606a }
.grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .fact { fill: #9198a1 } .grid { stroke: #3d444d }
}"""


def draw(title: str, samples: Sequence[Sample]) -> str:
    """The picture; every panel begins at zero."""
    height = TOP + PANEL * len(PANELS) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}\n</style>",
        f'<text x="8" y="22">{escape(title)}</text>',
    ]
    for row, (name, colour, figure) in enumerate(PANELS):
        parts += _panel(name, colour, samples, list(map(figure, samples)), TOP + PANEL * row)
    end = f"{samples[-1].at_s:.0f} s"
    parts.append(f'<text class="fact" x="{WIDTH - RIGHT}" y="{height - 8}" ')
    parts[-1] += f'text-anchor="end">{end}</text>'
    return "\n".join([*parts, "</svg>\n"])


def _panel(
    name: str, colour: str, samples: Sequence[Sample], figures: Sequence[float], top: int
) -> Iterator[str]:
    most, bottom = max(*figures, 1.0) * 1.1, top + PANEL - 16
    across = (WIDTH - LEFT - RIGHT) / max(samples[-1].at_s, 1e-6)
    up = (PANEL - 24) / most
    points = " ".join(
        f"{LEFT + sample.at_s * across:.1f},{bottom - figure * up:.1f}"
        for sample, figure in zip(samples, figures, strict=True)
    )
    yield f'<line class="grid" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>'
    yield f'<text x="8" y="{top + 28}">{escape(name)}</text>'
    yield f'<text class="fact" x="8" y="{top + 46}">from {min(figures):.0f} to {max(figures):.0f}'
    yield f", at the end {figures[-1]:.0f}</text>"
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
