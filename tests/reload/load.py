"""Requests and streams without a pause while the manifest changes again and again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import FakeUpstream, RecordedRequest, Stream, chat_stream
from tests.conftest import running
from tests.reload.versions import HOST, key_of, manifest, model_of, save

CALLERS = 6
EVENTS = chat_stream(["Good ", "day"])
# Each stream is open while several reloads come and go.
SLOW = Stream([*EVENTS[:2], 0.02, EVENTS[2], 0.02, *EVENTS[3:]])
QUESTION = {"messages": [{"role": "user", "content": "Good morning"}]}


@dataclass
class Figures:
    """What came of it."""

    reloads: int = 0
    requests: int = 0
    streams: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    seconds: float = 0.0
    slowest_ms: float = 0.0


def reload_under_load(
    file: Path, reloads: int, *, pause_s: float = 0.0, told: Callable[[Figures], None] | None = None
) -> Figures:
    """Serve `file` by uvicorn, call it from several sides, and change it `reloads` times.

    Args:
        file: the manifest; is written over.
        reloads: how many.
        pause_s: between two of them.
        told: called ten times in all, as it goes on.
    """
    figures = Figures()

    def answer(request: RecordedRequest) -> Stream | None:
        asked = request.json()
        number = int(asked["model"].removeprefix("m-"))
        if request.header("authorization") != f"Bearer {key_of(number)}":
            figures.mixed.append(asked["model"])
        return SLOW if asked.get("stream") else None

    file.write_text(manifest(1))
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        upstream.always(answer)
        settings = MeshSettings(reload_interval=0.001, endpoints=upstream.endpoints)
        mesh = Mesh(file, settings=settings)
        with running(LLMMeshMiddleware(_nothing, mesh=mesh), "serve") as port:
            run = _Run(figures, mesh, upstream, f"http://127.0.0.1:{port}/")
            asyncio.run(run.run(file, reloads, pause_s, told))
    return figures


class _Run:
    def __init__(self, figures: Figures, mesh: Mesh, upstream: FakeUpstream, url: str) -> None:
        self._figures = figures
        self._mesh = mesh
        self._upstream = upstream
        self._url = url
        self._is_over = False

    async def run(
        self,
        file: Path,
        reloads: int,
        pause_s: float,
        told: Callable[[Figures], None] | None,
    ) -> None:
        begun_at = time.monotonic()
        async with aiohttp.ClientSession(headers={"host": HOST}) as session:
            callers = [asyncio.create_task(self._call(session, n % 2 == 0)) for n in range(CALLERS)]
            for number in range(2, reloads + 2):
                save(file, manifest(number))
                await self._until_in_use(number)
                self._upstream._requests.clear()  # what is recorded would pass for a leak
                await asyncio.sleep(pause_s)
                if number % max(1, reloads // 10) == 0:
                    self._measure()
                    if told is not None:
                        told(self._figures)
            self._is_over = True
            await asyncio.gather(*callers)
        self._figures.seconds = time.monotonic() - begun_at

    async def _until_in_use(self, number: int) -> None:
        """Only the callers' requests have the mesh look."""
        async with asyncio.timeout(10):
            while self._mesh._live.table.models != {model_of(number)}:
                await asyncio.sleep(0.001)
        self._figures.reloads += 1

    async def _call(self, session: aiohttp.ClientSession, stream: bool) -> None:
        figures = self._figures
        while not self._is_over:
            begun_at = time.monotonic()
            try:
                async with session.post(self._url, json=QUESTION | {"stream": stream}) as answer:
                    body = await answer.read()
            except aiohttp.ClientError as exc:
                figures.failed.append(repr(exc))
                continue
            taken_ms = (time.monotonic() - begun_at) * 1000
            figures.slowest_ms = max(figures.slowest_ms, taken_ms)
            figures.requests += 1
            figures.streams += stream
            if answer.status != 200 or (stream and body != b"".join(EVENTS)):
                figures.failed.append(f"{answer.status} {body[-200:]!r}")

    def _measure(self) -> None:
        if os.path.isdir("/proc/self/fd"):
            self._figures.descriptors.append(len(os.listdir("/proc/self/fd")))
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self._figures.resident_mib.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


async def _nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("every request is for the mesh")
