"""The health checks of a configuration's servers, which also run without requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...provider.registry import HealthRegistry
from ...provider.servers.state import ServerState
from ...provider.servers.watch import ServerWatch
from ...provider.upstream import Upstream
from ...values.endpoint import Endpoint
from ...values.steps import Steps
from .page import ServerLog, check_server

__all__ = ["Checks", "checked_upstreams"]

_Server = tuple[Upstream, ServerWatch, Endpoint, ServerState]


def checked_upstreams(upstreams: Iterable[Upstream]) -> tuple[Upstream, ...]:
    """Return those that have a health check, each provider once."""
    found: dict[object, Upstream] = {}
    for upstream in upstreams:
        if upstream.watch is not None and upstream.watch.check_path:
            found.setdefault((upstream.identity, upstream.endpoints), upstream)
    return tuple(found.values())


class Checks:
    """Schedules health checks; a check that a request has just started is not due."""

    def __init__(
        self,
        upstreams: Iterable[Upstream],
        health: HealthRegistry,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        log: ServerLog,
    ) -> None:
        """Prepare for checks.

        Args:
            upstreams: what `checked_upstreams` returned.
            health: where servers are found to be down, or up.
            clock: as for an exchange.
            random: returns numbers in [0, 1), for the jitter of intervals.
            log: called with each server that goes down or comes up.
        """
        self._upstreams = tuple(upstreams)
        self._health = health
        self._clock = clock
        self._random = random
        self._log = log

    def take(self) -> Steps | None:
        """Return a check that is due, which the caller must run; None if none is due."""
        now = self._clock()
        for upstream, watch, endpoint, server in self._servers():
            if server.claim_check(now, watch.check_interval_s, self._random()):
                return check_server(
                    upstream, watch, endpoint, server, clock=self._clock, log=self._log
                )
        return None

    def due(self) -> int:
        """Return how many checks are due."""
        now = self._clock()
        return sum(server.check_due_at <= now for *_, server in self._servers())

    def wait_s(self) -> float:
        """Return the seconds until the next check is due."""
        times = [server.check_due_at for *_, server in self._servers()]
        return min(times, default=float("inf")) - self._clock()

    def _servers(self) -> Iterator[_Server]:
        for upstream in self._upstreams:
            watch = upstream.watch
            if watch is not None:
                for endpoint in upstream.endpoints.now():
                    yield upstream, watch, endpoint, self._health.of(upstream, endpoint).server
