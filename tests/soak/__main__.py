"""`python -m tests.soak`: hours of mixed calls in minutes, and what they leave in the process.

They go to the sidecar or to the middleware, whose configuration changes all the while. It fails if
a call has another end than it must have, or if memory is not flat.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.processes import Program
from tests.soak.load import Load
from tests.soak.manifest import write_manifest
from tests.soak.picture import draw
from tests.soak.samples import Sample, is_flat, look
from tests.soak.targets import TARGETS

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_SAMPLES, _LEAST_S = 30, 0.4
_VERSIONS = 4  # of the configuration: each new one fills the cache anew, up to its 64 MiB
# By then every thread has called and every pool and heap has its size: live objects do not grow at
# all, the allocator's free space does by a few MiB.
WARM_UP = 20_000
_COLUMNS = "   time      calls  calls/s      RSS   files  threads  tasks  errors"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as long as was asked for; 1 if something went wrong or grew."""
    options = _options(arguments)
    upstream = Program([sys.executable, "-m", "tests.soak.upstream"])
    with tempfile.TemporaryDirectory() as folder, upstream:
        url = upstream.wait_line(_RUNNING)[1]
        config = Path(folder) / "mesh.yaml"
        write_manifest(config, url, 0)
        program, port = TARGETS[options.target].start(config)
        with program:
            samples, load = asyncio.run(_run(program, port, config, url, options))
    title = f"{TARGETS[options.target].title}, {load.calls:,} mixed calls"
    if options.svg:
        options.svg.write_text(draw(title, samples), "utf-8")
    verdict = _judge(title, samples, load, options.warm_up)
    if load.errors:
        print("".join(_complaints(program.lines)))
    return verdict


def _complaints(lines: Sequence[str]) -> Sequence[str]:
    """What the server wrote from its first traceback on."""
    first = next((n for n, line in enumerate(lines) if "Traceback" in line), len(lines))
    return lines[max(first - 3, 0) : first + 60]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--calls", type=int, help="how many calls, however long they take")
    parser.add_argument("--target", choices=TARGETS, default="serve", help="what serves (serve)")
    parser.add_argument("--callers", type=int, default=24, help="calls at a time (24)")
    parser.add_argument("--reload", type=float, default=3.0, help="seconds between versions (3)")
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help="calls not judged (20,000)")
    parser.add_argument("--svg", type=Path, help="where the picture goes")
    return parser.parse_args(arguments)


async def _run(
    program: Program, port: int, config: Path, url: str, options: argparse.Namespace
) -> tuple[list[Sample], Load]:
    load = Load(port, options.callers)
    calling = asyncio.create_task(load.run())
    began = reloaded_at = time.monotonic()
    samples: list[Sample] = []
    print(_COLUMNS)

    def take() -> None:
        errors, before = load.errors.total(), samples[-1] if samples else None
        at_s, tasks = time.monotonic() - began, config.with_suffix(".tasks")
        samples.append(look(program.pid, tasks, at_s, load.calls, errors, before))
        _print(samples[-1])

    def done() -> float:
        """Return which part of the run is over."""
        if options.calls:
            return load.calls / int(options.calls)
        return (time.monotonic() - began) / (options.minutes * 60)

    version = 0
    while (part := done()) < 1 and not calling.done():
        now = time.monotonic()
        if now - reloaded_at >= options.reload:
            version, reloaded_at = version + 1, now
            write_manifest(config, url, version % _VERSIONS)
        last_s = samples[-1].at_s if samples else 0.0
        if part * _SAMPLES >= len(samples) + 1 and now - began - last_s >= _LEAST_S:
            take()
        await asyncio.sleep(0.05)
    took_s = time.monotonic() - began
    load.stop()
    await calling
    await asyncio.sleep(min(4.0, took_s))  # connections that were left have been closed by now
    take()
    return samples, load


def _print(sample: Sample) -> None:
    print(
        f"{sample.at_s:6.0f}s {sample.calls:10,} {sample.calls_per_s:8.0f} "
        f"{sample.rss_mib:5.1f}MiB {sample.files:6} {sample.threads:8} {sample.tasks:6} "
        f"{sample.errors:7}",
        flush=True,
    )


def _judge(title: str, samples: Sequence[Sample], load: Load, warm_up: int) -> int:
    """Say what became of memory, files and tasks; the last sample is of an idle process."""
    warm = [sample for sample in samples[:-1] if sample.calls >= warm_up] or samples
    flat, furthest = is_flat(warm)
    last = samples[-1]
    print(f"\n{title}: {load.errors.total()} errors")
    for problem, count in load.errors.most_common(5):
        print(f"  {count} x {problem}")
    print(f"memory within {furthest:.1%} of its median after {warm[0].calls:,} calls")
    print(f"idle: {last.files} file descriptors, {last.threads} threads, {last.tasks} tasks")
    return int(bool(load.errors) or not flat)


if __name__ == "__main__":
    sys.exit(main())
