"""What policies add to a call, as CPU of this process: without sockets but that of the store.

Each variant has a turn in every round, so that what disturbs one disturbs all. A figure is the
least of the rounds, as other work of the machine only adds to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

from llm_mesh_middleware import LLMMeshMiddleware
from llm_mesh_middleware._core.policy.limits.one_bucket import BucketLimit, Taken
from tests.benchmarks.apps import mesh_with_policy
from tests.benchmarks.child import probe_ms
from tests.benchmarks.in_memory import EVENTS, JSON, Client, app_of, parsed, serve
from tests.benchmarks.wire import (
    ASKED_MODEL,
    chat_request,
    stream_events,
    unary_answer,
    usage_event,
)

__all__ = [
    "CACHE",
    "DELTAS",
    "GUARD",
    "GUARD_OF_REQUESTS",
    "REQUESTS",
    "TOKENS",
    "Costs",
    "Load",
    "costs_of",
    "unsettled",
]

_BY = {"name": "limit", "by": ["model"], "per": "1s"}
REQUESTS = {"limits": [{**_BY, "requests": 10**9}]}
# A token takes 3.6 µs to refill, so what is settled differs from what was reserved.
TOKENS = {"limits": [{**_BY, "tokens": 10**9, "per": "1h"}]}
CACHE: dict[str, Any] = {"cache": {"ttl": "1h", "vary": []}}
_PII = {
    "name": "pii",
    "pii": {"entities": ["EMAIL", "CREDIT_CARD", "IBAN", "PHONE", "SECRET"]},
    "action": {"mask": {}},
}
GUARD = {"guards": [{**_PII, "on": ["request", "response"]}]}
GUARD_OF_REQUESTS = {"guards": [{**_PII, "on": ["request"]}]}
DELTAS = 200
_PROBED = 10  # rounds, after which the probe is taken again


@dataclass(frozen=True, slots=True)
class Load:
    """Calls of one kind: their size, how many in one round, how many at a time."""

    calls: int
    size_bytes: int = 1024
    is_stream: bool = False
    in_flight: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> bytes:
        """The client's."""
        return chat_request(ASKED_MODEL, size_bytes=self.size_bytes, is_stream=self.is_stream)

    @property
    def client(self) -> Client:
        """The provider, scripted."""
        if not self.is_stream:
            return Client(JSON, [unary_answer()])
        return Client(EVENTS, [*stream_events(DELTAS), usage_event(), b"data: [DONE]\n\n"])


class Costs(NamedTuple):
    """What calls take, in microseconds, and what the probe took meanwhile."""

    plain: float  # a call without a policy
    added: Mapping[str, float]  # by each policy
    probe_ms: float


def costs_of(policies: Mapping[str, Mapping[str, Any]], load: Load, rounds: int) -> Costs:
    """Measure calls without a policy and with each of `policies`."""
    return asyncio.run(_costs(policies, load, rounds))


@contextmanager
def unsettled() -> Iterator[None]:
    """Settle nothing: what a limit of tokens takes before the call is what is left."""
    wanted = BucketLimit._wanted

    def without_settlement(limit: BucketLimit, *about: Any) -> Taken | None:
        taken = wanted(limit, *about)
        if taken is not None:
            taken.settles = False
        return taken

    with patch.object(BucketLimit, "_wanted", without_settlement):
        yield


async def _costs(policies: Mapping[str, Mapping[str, Any]], load: Load, rounds: int) -> Costs:
    apps = {name: _app(load, spec) for name, spec in {"": None, **policies}.items()}
    seen: dict[str, list[float]] = {name: [] for name in apps}
    for app in apps.values():
        await _time_of(app, load)
    names, probes = tuple(apps), [probe_ms()]
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            seen[name].append(await _time_of(apps[name], load))
        if number % _PROBED == 0:
            probes.append(probe_ms())
    for app in apps.values():
        await app.mesh.aclose()
    base = min(seen.pop(""))
    added = {name: min(found) - base for name, found in seen.items()}
    return Costs(base, added, min(probes))


def _app(load: Load, spec: Mapping[str, Any] | None) -> LLMMeshMiddleware:
    settings = load.settings if spec is not None else {}
    return app_of(load.client, lambda origin: mesh_with_policy.make(origin, spec, **settings))


async def _time_of(app: LLMMeshMiddleware, load: Load) -> float:
    scope, body = parsed(load.request)

    async def caller() -> None:
        for _ in range(load.calls // load.in_flight):
            await serve(app, scope, body)

    begun = time.process_time()
    await asyncio.gather(*(caller() for _ in range(load.in_flight)))
    return (time.process_time() - begun) / load.calls * 1e6
