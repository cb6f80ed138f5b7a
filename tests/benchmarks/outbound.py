"""CPU time of a call that an application makes itself: the OpenAI SDK alone, and with the mesh.

Run as `python -m tests.benchmarks.outbound`: unary chats of 1 KB, in rounds that take turns, in
this process; the upstream is one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai

from llm_mesh_httpx.httpx2 import AsyncMeshTransport, MeshTransport
from llm_mesh_middleware import Mesh
from tests.benchmarks.apps.mesh import make
from tests.benchmarks.child import pin
from tests.benchmarks.processes import Child
from tests.benchmarks.wire import ASKED_MODEL, KEY, LLM_HOST, MODEL, PATH, Origin

__all__ = ["main", "measure"]

IN_FLIGHT = 16
ROUNDS = 9
_MESSAGES: Any = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Say something. " * 64},
]

# One round of so many calls, and the CPU seconds that it took.
Round = Callable[[int], float]


def _alone(origin: Origin) -> dict[str, Any]:
    base = PATH.removesuffix("/chat/completions")
    return {"base_url": origin.url + base, "api_key": KEY, "max_retries": 0}


def _meshed(client: Any) -> dict[str, Any]:
    url = f"http://{LLM_HOST}/v1"
    return {"base_url": url, "api_key": "unused", "max_retries": 0, "http_client": client}


def _sync(sdk: openai.OpenAI, model: str) -> Round:
    def ask(_: int) -> None:
        answer = sdk.chat.completions.create(model=model, messages=_MESSAGES)
        assert answer.model == MODEL

    pool = ThreadPoolExecutor(IN_FLIGHT)

    def run(calls: int) -> float:
        begun_at = time.process_time()
        list(pool.map(ask, range(calls)))
        return time.process_time() - begun_at

    return run


def _one_by_one(sdk: openai.OpenAI, model: str) -> Round:
    def run(calls: int) -> float:
        begun_at = time.process_time()
        for _ in range(calls):
            answer = sdk.chat.completions.create(model=model, messages=_MESSAGES)
            assert answer.model == MODEL
        return time.process_time() - begun_at

    return run


def _async(sdk: openai.AsyncOpenAI, model: str, loop: asyncio.AbstractEventLoop) -> Round:
    async def work(calls: int) -> None:
        for _ in range(calls):
            answer = await sdk.chat.completions.create(model=model, messages=_MESSAGES)
            assert answer.model == MODEL

    async def run_all(calls: int) -> float:
        begun_at = time.process_time()
        await asyncio.gather(*(work(calls // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        return time.process_time() - begun_at

    return lambda calls: loop.run_until_complete(run_all(calls))


def _contenders(origin: Origin, mesh: Mesh) -> Mapping[str, Round]:
    loop = asyncio.new_event_loop()
    sync = httpx2.Client(transport=MeshTransport(mesh))
    asynchronous = httpx2.AsyncClient(transport=AsyncMeshTransport(mesh))
    return {
        "one thread, SDK alone": _one_by_one(openai.OpenAI(**_alone(origin)), MODEL),
        "one thread, SDK with the mesh": _one_by_one(openai.OpenAI(**_meshed(sync)), ASKED_MODEL),
        "16 threads, SDK alone": _sync(openai.OpenAI(**_alone(origin)), MODEL),
        "16 threads, SDK with the mesh": _sync(openai.OpenAI(**_meshed(sync)), ASKED_MODEL),
        "16 tasks, SDK alone": _async(openai.AsyncOpenAI(**_alone(origin)), MODEL, loop),
        "16 tasks, SDK with the mesh": _async(
            openai.AsyncOpenAI(**_meshed(asynchronous)), ASKED_MODEL, loop
        ),
    }


def measure(*, rounds: int = ROUNDS, calls: int = 480, only: str = "") -> dict[str, float]:
    """Median CPU microseconds of a call, by contender."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Child("upstream", str(Path(folder, "ca.pem"))) as upstream,
    ):
        upstream.ask(json.dumps({"think_s": 0.0, "chunks": 1, "pace_s": 0.0}))
        origin = Origin(f"http://127.0.0.1:{upstream.facts['ports']['http']}")
        with contextlib.closing(make(origin).mesh) as mesh:
            contenders = {n: run for n, run in _contenders(origin, mesh).items() if only in n}
            samples: dict[str, list[float]] = {name: [] for name in contenders}
            for run in contenders.values():
                run(calls // 4)
            for _ in range(rounds):
                for name, run in contenders.items():
                    samples[name].append(run(calls) / calls * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    """Print a table; an argument picks contenders by a part of their name."""
    pin("server")
    found = measure(only=sys.argv[1] if len(sys.argv) > 1 else "")
    base = 0.0
    for name, cpu_us in found.items():
        base = cpu_us if name.endswith("alone") else base
        ratio = f"  {cpu_us / base:.2f}x" if base and not name.endswith("alone") else ""
        sys.stdout.write(f"{name:32}{cpu_us:8.0f} us{ratio}\n")


if __name__ == "__main__":
    main()
