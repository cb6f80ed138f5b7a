"""The hub: the observer behind the view, and its memory.

    request ──> CallWatch   follows one exchange; nothing is done for a chunk while nobody looks
    decided ──> Policies    counts what items of policies decide, and keeps their levels
    its end ──> Counts      counts many calls together
    report  ──> Records     writes down the calls that have ended: the last 500, but of those
                            between two reports of a second no more than 100

Bounded: 500 calls that wait to be counted, 500 that wait for a viewer and 500 records, of at most
about 6 KB; 2,000 series of at most 13 KB (beyond that, the quarter that was idle longest is
dropped); 500 policy items of at most 10 KB. That makes 40 MB with thousands of edges and hundreds
of limits, and about 400 KB in a small mesh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
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
from .counts import Counts, Key
from .mirrors import Mirrors
from .policies import Policies
from .record import Records
from .series import SECONDS, Series
from .servers import server_reports
from .shown import Shown

__all__ = ["Hub"]

_RECENT_S = 5
_MINUTE_S = 60
_LOOKED_S = 5.0
_MAX_CALLS = 500
_MOST_READ = 100


class Hub:
    """Counts and records the exchanges of a mesh in one process. Safe between threads and forks.

    Somebody looks until `looked_until`, unless there is another report before; `open` are the
    exchanges with attempts that have not ended.
    """

    looked_until: float
    counts: Counts
    open: set[CallWatch]

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
        self._mesh = mesh
        self._shown = self._make_shown()
        self._health: Callable[[], Mapping[str, ProviderStatus]] = mesh.health
        self._servers = partial(server_reports, mesh)
        self._lock = ForkLock()
        self._begin_process()
        follow_forks(self)

    def __call__(self, request: ClientRequest) -> Observation:
        """Follow an exchange."""
        return CallWatch(self, request)

    def shown(self) -> Shown:
        """Return what masks texts by the configuration that is in use."""
        if self._mesh._live.table is not self._shown.table:
            self._shown = self._make_shown()
        return self._shown

    def _make_shown(self) -> Shown:
        keys = self._mesh.settings.client_keys.values()
        return Shown(self._mesh._live.table, [key.get_secret_value() for key in keys])

    def decide(self, decision: Decision, by: tuple[str, ...], now: float) -> None:
        """Count a policy item's decision; `by` has the values it counts by, already masked."""
        second = int(now)
        with self._lock.of_process:
            self._policies.add(decision, by, second)

    def mirror(self, selection: Selection, host: str, outcome: MirrorOutcome, now: float) -> None:
        """Count the outcome of a mirrored request."""
        with self._lock.of_process:
            self._mirrors.add(host, selection.rule, outcome, int(now))

    def report(self, *, after: int = 0) -> Report:
        """Return the counts, and the records of calls after the number `after`."""
        now = self.clock()
        second, most = int(now), _MOST_READ if now < self.looked_until else _MAX_CALLS
        self.looked_until = now + _LOOKED_S
        counts, records = self.counts, self._records
        counts.settle()
        with self._lock.of_process:
            policies = self._policies.reports(second)
            mirrors = self._mirrors.reports(second)
        with counts.lock.of_process:
            records.add([counts.settled.popleft() for _ in range(len(counts.settled))], most)
            number, calls = records.last, records.after(after)
            rows = counts.total.rows(second)
        return Report(
            worker=self.worker,
            last_number=number,
            calls=calls,
            traffic=self._traffic(second),
            seconds=rows,
            providers={
                host: self._provider(host, status) for host, status in self._health().items()
            },
            policies=policies,
            servers=self._servers(),
            mirrors=mirrors,
        )

    def _traffic(self, second: int) -> list[Traffic]:
        """Return the traffic of each key that has had some in the last minutes."""
        counts, under_way = self.counts, self._under_way()
        with counts.lock.of_process:
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
        return traffic

    def _under_way(self) -> dict[Key, tuple[int, int]]:
        """Return how many attempts, and how many streams of them, are open at each edge."""
        found: dict[Key, tuple[int, int]] = {}
        for watch in list(self.open):
            for made in list(watch.attempts):
                if made.ended_at is None:
                    attempts, streams = found.get(edge := watch.edge(made), (0, 0))
                    found[edge] = attempts + 1, streams + (made.first_at is not None)
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
        self.looked_until = -math.inf
        self.counts = Counts()
        self.open = set()  # each operation on it is one step of the interpreter
        self._records: Records = Records(self.worker)
        self._policies: Policies = Policies()
        self._mirrors: Mirrors = Mirrors()


def _traffic(key: Key, series: Series, second: int, in_flight: int, open_streams: int) -> Traffic:
    ring = series.ring
    calls, errors, _ = ring.whole(second)
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
