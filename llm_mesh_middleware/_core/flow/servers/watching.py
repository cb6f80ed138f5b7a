"""Reads metrics and health of a rule's servers, when a request uses them and they are due.

There is no timer: metrics of servers without calls are not read. Health checks are also made
without calls (`checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...balance.backends import Backend
from ...provider.registry import HealthRegistry
from ...values.steps import Spawn, Steps
from ..reply import Flow
from .page import ServerLog, check_server, read_metrics

__all__ = ["watched"]

# The most that one request starts; the next request continues.
_MAX_STARTED = 8


def watched(
    flow: Flow,
    backends: Iterable[Backend],
    health: HealthRegistry,
    *,
    clock: Callable[[], float],
    random: Callable[[], float],
    log: ServerLog,
) -> Flow:
    """Run `flow` after starting what is due for the servers of its backends."""
    pages = _due(backends, health, clock, random, log)
    for page, _ in zip(pages, range(_MAX_STARTED), strict=False):
        yield Spawn(page)
    return (yield from flow)


def _due(
    backends: Iterable[Backend],
    health: HealthRegistry,
    clock: Callable[[], float],
    random: Callable[[], float],
    log: ServerLog,
) -> Iterator[Steps]:
    now = clock()
    for upstream in (backend.upstream for backend in backends):
        watch = upstream.watch
        if watch is None:
            continue
        for endpoint in upstream.endpoints.now():
            server = health.of(upstream, endpoint).server
            if watch.check_path and server.claim_check(now, watch.check_interval_s, random()):
                yield check_server(upstream, watch, endpoint, server, clock=clock, log=log)
            if watch.metrics_path and server.claim_metrics(now, random()):
                yield read_metrics(upstream, watch, endpoint, server, clock=clock, log=log)
