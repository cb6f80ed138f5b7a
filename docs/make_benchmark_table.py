"""Write a benchmark's figures into a page, between its marks `<!-- figures -->` and `<!-- end -->`.

`python docs/make_benchmark_table.py docs/benchmark.json docs/concepts/benchmarks.md`; without the
page the table is printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures -->\n", "<!-- end -->\n"
COLUMNS = {
    "aiohttp-relay": "aiohttp relay",
    "mesh": "middleware",
    "serve": "`serve`",
    "serve-silent": "`serve --no-access-log`",
    "mesh-sdk": "middleware, sampled",
    "mesh-own-sdk": "the same, SDK by `setup_telemetry`",
    "serve-sdk": "`serve`, sampled and exported",
}
ROWS = {
    "unary-32-nothink": "a whole response, 32 in flight, no pause",
    "unary-16": "16 in flight, 100 ms each",
    "unary-200": "200 in flight, 250 ms each",
    "unary-1000": "1,000 in flight, 100 ms each",
    "unary-16-200k": "16 in flight, request of 200 KB",
    "sse-1000": "a stream of 1,000 chunks",
    "sse-50-paced": "64 streams of 50 chunks, one every 10 ms",
}


def table(found: Mapping[str, Any]) -> str:
    """Return the table: CPU against the relay, and the relay's own in microseconds."""
    return "".join(line + "\n" for line in _lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    scenarios = {one["scenario"]["name"]: one["contenders"] for one in found["scenarios"]}
    columns = [name for name in COLUMNS if any(name in one for one in scenarios.values())]
    yield "| | " + " | ".join(COLUMNS[name] for name in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, title in ROWS.items():
        if name in scenarios:
            cells = (_cell(scenarios[name].get(column), column) for column in columns)
            yield f"| {title} | " + " | ".join(cells) + " |"
    environment = found["environment"]
    yield ""
    yield (
        f"CPython {environment['python']}, {environment['cores']} cores, load"
        f" {environment['load_average']}, {found['rounds']} rounds."
    )


def _cell(figures: Mapping[str, Any] | None, column: str) -> str:
    if figures is None:
        return "not run"
    if column == "aiohttp-relay":
        return f"1 ({figures['cpu_ms'] * 1000:.0f} µs)"
    return f"{figures['ratio']:.2f}"


def main(arguments: list[str]) -> None:
    """Print the table, or write it into a page."""
    made = table(json.loads(Path(arguments[0]).read_text("utf-8")))
    if len(arguments) == 1:
        sys.stdout.write(made)
        return
    page = Path(arguments[1])
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}{made}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
