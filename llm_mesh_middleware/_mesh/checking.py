"""Active health checks: one thread in each process that has served a request.

begin     the first request of a process, or the start of its server; the thread is started
          only if a provider has a check
adopt     a new configuration; the thread starts, continues or ends with its checks
stop      the mesh is closed; the next request begins again

The thread only watches the clock. Checks run in a few other threads, so that a server that hangs
does not delay the others. A forked child starts its own. The thread holds the mesh weakly, so it
ends with a mesh that was not closed.
"""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Iterable
from functools import partial
from time import monotonic

from .._core.flow.servers.checks import Checks, checked_upstreams
from .._core.flow.servers.page import ServerLog
from .._core.provider.registry import HealthRegistry
from .._core.provider.upstream import Upstream
from .._engine.drivers.driver import run_apart
from .._engine.http.clients import UpstreamClients
from .._engine.http.protocols import UpstreamClient
from .._engine.tasks.background import Background
from .._engine.tasks.cancel_scope import CancelScope
from .._process.forks import ForkLock

__all__ = ["Checking"]

_AT_ONCE = 8
# The shortest wait is for checks that found no free thread.
_SHORTEST_S, _LONGEST_S = 0.01, 60.0


class Checking:
    """Makes the checks of the configuration in use; `has_begun` until it is stopped."""

    def __init__(self, clients: UpstreamClients, health: HealthRegistry, log: ServerLog) -> None:
        self.has_begun = False
        self._clients = clients
        self._health = health
        self._log = log
        self._lock = ForkLock()
        self._upstreams: tuple[Upstream, ...] = ()
        self._checks = self._make([])
        self._run: _Run | None = None

    def begin(self) -> None:
        """Check servers from now on, if any provider has a check."""
        with self._lock.of_process:
            self.has_begun = True
            self._continue()

    def adopt(self, upstreams: Iterable[Upstream]) -> None:
        """Check the servers of a new configuration instead."""
        with self._lock.of_process:
            self._upstreams = checked_upstreams(upstreams)
            self._checks = self._make(self._upstreams)
            if self.has_begun:
                self._continue()

    def stop(self) -> None:
        """End the thread, and cancel checks under way."""
        with self._lock.of_process:
            self.has_begun = False
            run, self._run = self._run, None
        if run is not None:
            run.end()

    def begin_process(self, health: HealthRegistry) -> None:
        """Reset in a forked child, which has no threads."""
        self.has_begun, self._run = False, None
        self._health = health
        self._checks = self._make(self._upstreams)

    def look(self, run: _Run) -> float:
        """Start the checks that are due; return the seconds until the next one."""
        checks = self._checks
        work = partial(_make_checks, checks, run)
        for _ in range(checks.due()):
            if not run.background.try_start(work):
                break
        return min(max(_SHORTEST_S, checks.wait_s()), _LONGEST_S)

    def _continue(self) -> None:
        run = self._run
        if not self._upstreams or not self._clients.serves_threads:
            self._run = None
            if run is not None:
                run.end()
        elif run is not None:
            run.news.set()
        else:
            self._run = run = _Run(self._clients.apart())
            follower = weakref.ref(self, lambda _: run.end())
            threading.Thread(
                target=_follow, args=(follower, run), name="llm-mesh-checks", daemon=True
            ).start()

    def _make(self, upstreams: Iterable[Upstream]) -> Checks:
        # Not the mesh's generator: checks would draw from it, and a seeded test would not repeat.
        return Checks(upstreams, self._health, clock=monotonic, random=random.random, log=self._log)


class _Run:
    """One run of the thread, with its connections."""

    def __init__(self, client: UpstreamClient) -> None:
        self.client = client
        self.background = Background(_AT_ONCE)
        self.news = threading.Event()
        self.is_over = False

    def end(self) -> None:
        self.is_over = True
        self.news.set()
        self.background.close()
        self.client.close()


def _follow(follower: weakref.ref[Checking], run: _Run) -> None:
    while not run.is_over:
        checking = follower()
        if checking is None:
            break
        wait_s = checking.look(run)
        del checking  # not held while it waits
        run.news.wait(wait_s)
        run.news.clear()


def _make_checks(checks: Checks, run: _Run, scope: CancelScope) -> None:
    """Make checks one after another until none is due."""
    while not run.is_over and (check := checks.take()) is not None:
        run_apart(check, run.client, run.background, scope)
