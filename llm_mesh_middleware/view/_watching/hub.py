"""The hub: the observer behind the view, and its memory.

    request ──> CallWatch   follows one exchange; nothing is done for a chunk while nobody looks
    decided ──> Policies    counts what items of policies decide, and keeps their levels
    its end ──> Counts      counts it once somebody looks, and keeps its record among the last 500

Bounded: 500 records of at most about 6 KB, 2,000 series of at most 13 KB (beyond that, the quarter
that was idle longest is dropped), 500 policy items of at most 10 KB. That makes 34 MB with
thousands of edges and hundreds of limits, and about 300 KB in a small mesh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from os import getpid
from time import monotonic, time

from ..._core.flow.mirrors.outcome import MirrorOutcome
from ..._core.flow.observer import Observation
from ..._core.provider.health import ProviderStatus
from ..._core.values.decision import Decision
from ..._core.values.messages import ClientRequest
from ..._core.values.selection import Selection
from ..._process.forks import ForkLock, follow_forks
from ...mesh import Mesh
from ..values import ProviderReport, Report, Traffic
from .call_watch import CallWatch
from .counts import Counts
from .mirrors import Mirrors
from .policies import Policies
from .series import SECONDS, Series
from .servers import server_reports
from .shown import Shown

__all__ = ["Hub"]

_RECENT_S = 5
_MINUTE_S = 60
_LOOKED_S = 5.0
_MAX_FOLLOWED = 64


class Hub:
    """Counts and records the exchanges of a mesh in one process. Safe between threads and forks."""

    def __init__(
        self,
        mesh: Mesh,
        *,
        clock: Callable[[], float] = monotonic,
        wall_clock: Callable[[], float] = time,
    ) -> None:
        """Begin with nothing.

        Args:
            mesh: the mesh to watch.
            clock: the monotonic clock.
            wall_clock: seconds since the epoch.
        """
        self.clock = clock
        self.wall_clock = wall_clock
        self.shown = Shown(mesh)
        self._health: Callable[[], Mapping[str, ProviderStatus]] = mesh.health
        self._servers = partial(server_reports, mesh)
        self._lock = ForkLock()
        self._begin_process()
        follow_forks(self)

    def __call__(self, request: ClientRequest) -> Observation:
        """Follow an exchange."""
        return CallWatch(self, request)

    def has_viewers(self, now: float) -> bool:
        """Return whether a report was asked for in the last five seconds."""
        return now - self._looked_at < _LOOKED_S

    def follows_events(self, now: float) -> bool:
        """Return whether a stream that begins now is followed event by event.

        Only for a viewer, and only while few calls are under way: it is a picture, not a count.
        """
        return len(self.open) < _MAX_FOLLOWED and self.has_viewers(now)

    def decide(self, decision: Decision, by: tuple[str, ...], now: float) -> None:
        """Count a policy item's decision; `by` has the values it counts by, already masked."""
        second = int(now)
        with self._lock.of_process:
            self._policies.add(decision, by, second)

    def mirror(self, selection: Selection, host: str, outcome: MirrorOutcome, now: float) -> None:
        """Count the outcome of a mirrored request."""
        with self._lock.of_process:
            self._mirrors.add(host, selection.rule, outcome, int(now))

    def charge(self, key: tuple[str, ...], currency: str, amount: int, now: float) -> None:
        """Count a cost at an edge, in nano-units."""
        self.counts.charge(key, int(now), currency, amount)

    def next_id(self) -> str:
        """Return an id for a call, unique across the processes of a server."""
        return f"{self.worker}.{next(self._ids)}"

    def report(self, *, after: int = 0, seconds: int = SECONDS) -> Report:
        """Return the counts and records.

        Args:
            after: leave out the calls up to this number.
            seconds: how many of the last seconds to report.
        """
        self._looked_at = now = self.clock()
        second, counts = int(now), self.counts
        counts.settle()
        with self._lock.of_process:
            policies = self._policies.reports(second)
            mirrors = self._mirrors.reports(second)
        under_way = self._under_way()
        with counts.lock.of_process:
            number = counts.number
            fresh = min(max(number - after, 0), len(counts.calls))
            calls = list(counts.calls)[len(counts.calls) - fresh :]
            rows = counts.total.rows(second)[-seconds:]
            for key in under_way:
                counts.of(key, second)
            used = [
                (key, series)
                for key, series in counts.series.items()
                if second - series.used_at < SECONDS
            ]
        traffic = []
        for key, series in used:  # one lock each: calls that end meanwhile must not wait for all
            with counts.lock.of_process:
                traffic.append(_traffic(key, series, second, *under_way.get(key, (0, 0))))
        return Report(
            worker=self.worker,
            last_number=number,
            calls=calls,
            traffic=traffic,
            seconds=rows,
            providers={
                host: self._provider(host, status) for host, status in self._health().items()
            },
            policies=policies,
            servers=self._servers(),
            mirrors=mirrors,
        )

    def _under_way(self) -> dict[tuple[str, ...], tuple[int, int]]:
        """Return how many attempts, and how many streams of them, are open at each edge."""
        found: dict[tuple[str, ...], tuple[int, int]] = {}
        for watch in list(self.open.values()):
            for made in watch.under_way():
                attempts, streams = found.get(made.edge, (0, 0))
                found[made.edge] = attempts + 1, streams + made.is_streaming
        return found

    def _provider(self, host: str, status: ProviderStatus) -> ProviderReport:
        return ProviderReport(
            state=status.state,
            ejected_for_s=round(status.ejected_for_s, 1),
            failures=status.consecutive_failures,
            rate_limits=status.consecutive_rate_limits,
            in_flight=status.in_flight,
            last_failure=self.counts.failures.get(host),
        )

    def _begin_process(self) -> None:
        """Start empty; a forked child does so too."""
        self.worker = getpid()
        self._looked_at = -math.inf
        self._ids = count(1)  # takes no lock
        self.counts = Counts()
        self.open: dict[int, CallWatch] = {}  # each operation on it is one step of the interpreter
        self._policies = Policies()
        self._mirrors = Mirrors()


def _traffic(
    key: tuple[str, ...], series: Series, second: int, in_flight: int, open_streams: int
) -> Traffic:
    ring = series.ring
    calls, errors, _ = ring.sums(second, SECONDS - 1)
    minute, _, _ = ring.sums(second, _MINUTE_S)
    return Traffic(
        key=key,
        recent=ring.sums(second, _RECENT_S),
        minute=minute,
        five_minutes=(calls, errors),
        durations=series.durations.counts(second),
        firsts=series.firsts.counts(second),
        in_flight=in_flight,
        open_streams=open_streams,
        sticky_missing=series.sticky_missing,
        costs={
            currency: total
            for currency, tally in series.costs.items()
            if (total := tally.total(second))
        },
    )
