"""Ten thousand calls with a mirror that never responds, and some without a mirror to compare.

They are made in one process and by turns, so that what else the machine does meets all alike.
`pytest -m slow -s tests/resilience/test_hanging_mirror.py` prints the figures.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, Gate, chat_completion
from tests.resilience.meshes import HOST, PRIMARY, ask, provider, route
from tests.resilience.test_mirrors import asking

pytestmark = pytest.mark.slow

CALLS, BATCH, WARM = 10_000, 50, 10
FEWER = 4  # of the calls to compare with
# A provider that is quick, for one; an answer from memory would show the price of a decision.
AT_ONCE, DELAY_S = 10, 0.004
# Copies are given up and begun anew all the time.
MIRROR = {
    "providerHost": "fallback.example",
    "percent": 100,
    "maxConcurrency": 8,
    "timeout": "250ms",
}
NUMBERS = itertools.count()


@dataclass
class Measured:
    """How long each call has taken, and what has been allocated since the first ones."""

    seconds: list[float] = field(default_factory=list)
    blocks: int = 0

    def quantile(self, hundredth: int) -> float:
        return statistics.quantiles(self.seconds, n=100)[hundredth - 1]

    def __str__(self) -> str:
        half, high = (self.quantile(each) * 1e3 for each in (50, 99))
        return f"p50 {half:.3f} ms, p99 {high:.3f} ms, {self.blocks} blocks more"


@contextmanager
def two_meshes(primary: FakeUpstream) -> Iterator[tuple[Mesh, Mesh]]:
    """A mesh without mirrors, and one with a mirror that takes connections and says nothing."""
    gate = Gate()
    primary.always(Answer(body=chat_completion(), delay=DELAY_S))
    with FakeUpstream(tls=False) as hanging:
        hanging.always(Answer(body=chat_completion(), delay=gate))
        documents = provider("primary", primary), provider("fallback", hanging)
        yield (
            Mesh((documents[0], route(PRIMARY)), settings=MeshSettings()),
            Mesh((*documents, route(PRIMARY, mirrors=[MIRROR])), settings=MeshSettings()),
        )
        gate.open()


def by_turns(primary: FakeUpstream, calls: list[Callable[[int], list[float]]]) -> list[Measured]:
    """Make calls without a mirror and with one, by turns, in equal batches."""
    found = plain, mirrored = Measured(), Measured()
    for number in range(CALLS // BATCH):
        mirrored.seconds += calls[1](BATCH)
        if number % FEWER == 0:
            plain.seconds += calls[0](BATCH)
        primary.clear()
        if number == WARM:
            before = allocated(found)
    mirrored.blocks = allocated(found) - before
    return list(found)


def allocated(found: Iterable[Measured]) -> int:
    """How many blocks of memory are in use, apart from the measurements."""
    gc.collect()
    return sys.getallocatedblocks() - sum(len(each.seconds) for each in found)


def judge(measure: Callable[[], list[Measured]]) -> None:
    """Compare; if the machine was busy with something else, again, if there is time."""
    began_at, is_equal = time.monotonic(), False
    while not is_equal:
        assert time.monotonic() - began_at < 15, "the mirror was noticed"
        plain, mirrored = measure()
        sys.stdout.write(f"without: {plain}\nwith a mirror: {mirrored}\n")
        is_equal = mirrored.quantile(50) < 1.3 * plain.quantile(50)
        is_equal = is_equal and mirrored.quantile(99) < 2 * plain.quantile(99)
    assert mirrored.blocks < 5_000


def test_calls_of_an_event_loop_do_not_notice_it(primary: FakeUpstream) -> None:
    def measure() -> list[Measured]:
        with two_meshes(primary) as meshes, asyncio.Runner() as runner:

            async def one(mesh: Mesh) -> float:
                at = time.perf_counter()
                assert (await ask(mesh)).status == 200
                return time.perf_counter() - at

            async def some(mesh: Mesh, count: int) -> list[float]:
                took: list[float] = []
                while len(took) < count:
                    took += await asyncio.gather(*(one(mesh) for _ in range(AT_ONCE)))
                return took

            def calling(mesh: Mesh) -> Callable[[int], list[float]]:
                return lambda count: runner.run(some(mesh, count))

            found = by_turns(primary, [calling(mesh) for mesh in meshes])
            for mesh in meshes:
                runner.run(mesh.aclose())
        return found

    judge(measure)


def test_calls_of_threads_do_not_notice_it(primary: FakeUpstream) -> None:
    def one(mesh: Mesh) -> float:
        host = mesh.find(HOST.encode())
        assert host is not None
        request = asking(user=str(next(NUMBERS)))
        at = time.perf_counter()
        with closing(mesh.send(host, request)) as delivery:
            assert delivery.reply.status == 200
        return time.perf_counter() - at

    def measure() -> list[Measured]:
        with two_meshes(primary) as meshes, ThreadPoolExecutor(AT_ONCE) as threads:

            def calling(mesh: Mesh) -> Callable[[int], list[float]]:
                return lambda count: list(threads.map(one, [mesh] * count))

            found = by_turns(primary, [calling(mesh) for mesh in meshes])
            for mesh in meshes:
                mesh.close()
        return found

    judge(measure)
