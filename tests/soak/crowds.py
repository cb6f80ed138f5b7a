"""`python -m tests.soak.crowds`: thousands of open streams, and callers that leave and come back.

    streams   all are open at a time; the provider then lets them go on, and each must be complete
    callers   half have had an event and half have not; all leave, and as many come at that moment,
              each for a whole response

It fails if a call goes wrong, if the provider is still asked for what was left, if a stream takes
more memory than its budget, or if a wave of clients leaves memory or files behind.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.child import allow_many_files
from tests.processes import Program
from tests.soak.crowd import Crowd
from tests.soak.manifest import write_manifest
from tests.soak.samples import TOLERANCE, Sample, look
from tests.soak.targets import TARGETS

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_STREAM_KB = 30.0
_SETTLED_S = 60.0
_SPARE_FILES = 16
_COLUMNS = f"  {'':<24}{'RSS':>11}{'files':>8}{'tasks':>8}{'seconds':>9}"


@dataclass(frozen=True)
class _Mesh:
    """The process that is measured, and the provider that it calls."""

    pid: int
    port: int
    tasks: Path
    provider: str

    def look(self) -> Sample:
        return look(self.pid, self.tasks, time.monotonic(), 0, 0, None)

    def call_provider(self, what: str) -> int:
        """Ask how many calls wait there; `release` has them go on."""
        connection = http.client.HTTPConnection(urlsplit(self.provider).netloc, timeout=30)
        body = json.dumps({"messages": [{"role": "user", "content": what}]})
        try:
            connection.request("POST", "/", body)
            return int(connection.getresponse().read())
        finally:
            connection.close()


class _Waves:
    """Wave after wave of one crowd, each measured while it is there and after it."""

    def __init__(self, mesh: _Mesh, size: int) -> None:
        self._mesh = mesh
        self._before = mesh.look()
        self._began = time.monotonic()
        self.crowd = Crowd(mesh.port, size)
        self.problems: list[str] = []
        self.open_mib: list[float] = []
        self.idle_mib: list[float] = []

    async def streams(self, wave: int) -> None:
        clients = await self.crowd.open("held")
        await self._until("all wait", lambda: self._waiting() >= len(clients))
        self.open_mib.append(self._note(f"streams {wave}, open"))
        self._mesh.call_provider("release")
        await self.crowd.finish(clients)
        await self._settle(f"streams {wave}, over")

    async def callers(self, wave: int) -> None:
        clients = await self.crowd.open("left in the stream", "left before it")
        await self._until("all wait", lambda: self._waiting() >= len(clients))
        self.open_mib.append(self._note(f"callers {wave}, waiting"))
        await self.crowd.return_at_once(clients)
        await self._until("the provider is left alone", lambda: not self._waiting())
        self._note(f"callers {wave}, back")
        await self._settle(f"callers {wave}, over")

    def judge(self, size: int) -> list[str]:
        """Return what is wrong after all waves."""
        for error, count in self.crowd.errors.most_common(5):
            self.problems.append(f"{count} x {error}")
        # The first wave has pools and heaps grow to their size.
        if len(self.idle_mib) > 2 and self.idle_mib[-1] > self.idle_mib[1] * (1 + TOLERANCE):
            self.problems.append(f"memory grows: {self.idle_mib[1]:.1f} to {self.idle_mib[-1]:.1f}")
        kilobytes = (max(self.open_mib) - self._before.rss_mib) * 1024 / size
        print(f"  {kilobytes:.1f} KB for each of {size:,}")
        if kilobytes > _STREAM_KB:
            self.problems.append(f"more than {_STREAM_KB:g} KB for each")
        return self.problems

    def _waiting(self) -> int:
        return self._mesh.call_provider("count")

    async def _settle(self, name: str) -> None:
        """Wait until the files of the wave are closed."""
        most = self._before.files + _SPARE_FILES
        await self._until("files are closed", lambda: self._mesh.look().files <= most)
        self.idle_mib.append(self._note(name))

    async def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SETTLED_S
        while not await asyncio.to_thread(is_so):
            if time.monotonic() > deadline:
                self.problems.append(f"not within {_SETTLED_S:g} s: {what}")
                return
            await asyncio.sleep(0.05)

    def _note(self, name: str) -> float:
        """Print what the process holds now, and return its memory."""
        sample, took_s = self._mesh.look(), time.monotonic() - self._began
        self._began = time.monotonic()
        print(
            f"  {name:<24}{sample.rss_mib:8.1f}MiB{sample.files:8}{sample.tasks:8}{took_s:9.1f}",
            flush=True,
        )
        return sample.rss_mib


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both crowds; 1 if something was wrong."""
    options = _options(arguments)
    allow_many_files()  # children inherit it
    upstream = Program([sys.executable, "-m", "tests.soak.upstream"])
    with tempfile.TemporaryDirectory() as folder, upstream:
        url = upstream.wait_line(_RUNNING)[1]
        config = Path(folder) / "mesh.yaml"
        write_manifest(config, url, 0, patience="120s")
        target = TARGETS[options.target]
        program, port = target.start(config)
        with program:
            print(f"{target.title}\n{_COLUMNS}")
            mesh = _Mesh(program.pid, port, config.with_suffix(".tasks"), url)
            problems = asyncio.run(_run(mesh, options))
    print("\n".join(problems) or "no errors, and nothing is left behind")
    return int(bool(problems))


async def _run(mesh: _Mesh, options: argparse.Namespace) -> list[str]:
    problems: list[str] = []
    for size, kind in ((options.streams, _Waves.streams), (options.callers, _Waves.callers)):
        if size:
            waves = _Waves(mesh, size)
            for wave in range(1, options.waves + 1):
                await kind(waves, wave)
            problems += waves.judge(size)
    return problems


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.crowds", description=__doc__)
    targets = [name for name in TARGETS if name != "gunicorn"]  # it has a thread for each
    parser.add_argument("--target", choices=targets, default="serve", help="what serves (serve)")
    parser.add_argument("--streams", type=int, default=5_000, help="open streams (5,000); 0: none")
    parser.add_argument("--callers", type=int, default=4_000, help="callers (4,000); 0: none")
    parser.add_argument("--waves", type=int, default=3, help="how often (3)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
