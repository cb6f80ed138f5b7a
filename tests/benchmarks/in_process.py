"""What the middleware adds to a request that is not its own, without a server around it.

A server's noise is larger than the difference, so the two apps are called directly, in turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.benchmarks.contenders import BASELINES, CONTENDERS
from tests.benchmarks.server import make_app
from tests.benchmarks.wire import APP_HOST, Origin

__all__ = ["NAMES", "measure_in_process"]

NAMES = tuple(name for name, contender in CONTENDERS.items() if "pass" in contender.kinds)

_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "scheme": "http",
    "method": "GET",
    "path": "/orders/17",
    "raw_path": b"/orders/17",
    "query_string": b"",
    "root_path": "",
    "server": ("127.0.0.1", 8000),
    "client": ("127.0.0.1", 50000),
    "headers": [
        (b"host", APP_HOST.encode()),
        (b"connection", b"keep-alive"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
        (b"accept", b"text/html,application/xhtml+xml"),
        (b"accept-language", b"en-GB,en;q=0.5"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"cookie", b"id=0123456789abcdef"),
        (b"cache-control", b"no-cache"),
    ],
}


def measure_in_process(*, rounds: int, calls: int) -> dict[str, list[float]]:
    """CPU microseconds for a call of each app that takes part, round by round."""
    apps = {name: make_app(name, Origin("http://127.0.0.1:9")) for name in NAMES}
    samples: dict[str, list[float]] = {name: [] for name in NAMES}
    for name in NAMES:
        _time_of(apps[name], calls // 10 + 1)
    for number in range(rounds):
        for name in NAMES[number % len(NAMES) :] + NAMES[: number % len(NAMES)]:
            samples[name].append(_time_of(apps[name], calls) * 1e6)
    assert BASELINES["pass"] in samples
    return samples


def _time_of(app: Callable[..., Awaitable[None]], calls: int) -> float:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    async def call_all() -> float:
        begun_at = time.process_time()
        for _ in range(calls):
            await app(_SCOPE, receive, send)
        return (time.process_time() - begun_at) / calls

    return asyncio.run(call_all())
