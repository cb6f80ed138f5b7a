"""The hub: the observer behind the view, and its memory.

    request ──> CallWatch   follows one exchange; nothing is done for a chunk while nobody looks
    decided ──> Policies    counts what items of policies decide, and keeps their levels
    its end ──> Hub         counts it, and keeps its record among the last 500

Bounded: 500 records of at most about 6 KB, 2,000 series of at most 13 KB (beyond that, the quarter
that was idle longest is dropped), 500 policy items of at most 10 KB. That makes 34 MB with
thousands of edges and hundreds of limits, and about 300 KB in a small mesh.
"""

from __future__ import annotations

import math
from collections import deque
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
from ..values import Call, ProviderReport, Report, Traffic
from .call_watch import CallWatch
from .mirrors import Mirrors
from .policies import Policies
from .series import SECONDS, Ring, Series
from .servers import server_reports
from .shown import Shown

__all__ = ["Hub"]

_MAX_CALLS = 500
_MAX_SERIES = 2_000
_MAX_HOSTS = 4_096
_RECENT_S = 5
_MINUTE_S = 60
_MAX_TOKENS = 1 << 32
_LOOKED_S = 5.0


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
        second = int(now)
        with self._lock.of_process:
            self._series_of(key, second).charge(second, currency, amount)

    def begin_attempt(self, key: tuple[str, ...], now: float) -> None:
        """Count an attempt that is sent."""
        with self._lock.of_process:
            self._series_of(key, int(now)).in_flight += 1

    def begin_stream(self, key: tuple[str, ...], now: float) -> None:
        """Count a stream that is open until its attempt ends."""
        with self._lock.of_process:
            self._series_of(key, int(now)).open_streams += 1

    def end_attempt(
        self,
        key: tuple[str, ...],
        duration_s: float,
        now: float,
        *,
        is_cancelled: bool = False,
        failure: str | None = None,
        host: str = "",
        first_s: float | None = None,
        tokens: int = 0,
        was_streaming: bool = False,
    ) -> None:
        """Count the end of an attempt.

        Args:
            key: the edge.
            duration_s: from its sending to its end.
            now: when it ended, on the clock.
            is_cancelled: whether it was cancelled for another attempt, or as the client left.
            failure: the error code, if the provider failed.
            host: the provider's host.
            first_s: from its sending to the first event of a stream.
            tokens: input and output of the response.
            was_streaming: whether it was counted by `begin_stream`.
        """
        second = int(now)
        with self._lock.of_process:
            series = self._series_of(key, second)
            series.in_flight = max(0, series.in_flight - 1)
            if was_streaming:
                series.open_streams = max(0, series.open_streams - 1)
            if is_cancelled:
                return
            series.ring.add(second, 1, failure is not None, _bounded(tokens))
            series.durations.add(second, duration_s)
            if first_s is not None:
                series.firsts.add(second, first_s)
            if failure is not None and (host in self._failures or len(self._failures) < _MAX_HOSTS):
                self._failures[host] = failure

    def end_call(self, key: tuple[str, ...], call: Call, duration_s: float, now: float) -> None:
        """Count a call and keep its record."""
        second = int(now)
        is_error = call.error is not None and not call.is_abandoned
        tokens = _bounded(call.input_tokens + call.output_tokens)
        with self._lock.of_process:
            self._number += 1
            self._calls.append(call)
            series = self._series_of(key, second)
            series.sticky_missing += call.lacks_sticky_key
            series.durations.add(second, duration_s)
            series.ring.add(second, 1, is_error, tokens)
            self._total.add(second, 1, is_error, tokens)

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
        second = int(now)
        with self._lock.of_process:
            number = self._number
            fresh = min(max(number - after, 0), len(self._calls))
            calls = list(self._calls)[len(self._calls) - fresh :]
            rows = self._total.rows(second)[-seconds:]
            policies = self._policies.reports(second)
            mirrors = self._mirrors.reports(second)
            used = [
                (key, series)
                for key, series in self._series.items()
                if series.in_flight or second - series.used_at < SECONDS
            ]
        traffic = []
        for key, series in used:  # one lock each: calls that end meanwhile must not wait for all
            with self._lock.of_process:
                traffic.append(_traffic(key, series, second))
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

    def _provider(self, host: str, status: ProviderStatus) -> ProviderReport:
        return ProviderReport(
            state=status.state,
            ejected_for_s=round(status.ejected_for_s, 1),
            failures=status.consecutive_failures,
            rate_limits=status.consecutive_rate_limits,
            in_flight=status.in_flight,
            last_failure=self._failures.get(host),
        )

    def _series_of(self, key: tuple[str, ...], second: int) -> Series:
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= _MAX_SERIES:
                self._drop_idle()
            series = self._series[key] = Series()
        series.used_at = second
        return series

    def _drop_idle(self) -> None:
        by_age = sorted(self._series, key=lambda key: self._series[key].used_at)
        for key in by_age[: _MAX_SERIES // 4]:
            del self._series[key]

    def _begin_process(self) -> None:
        """Start empty; a forked child does so too."""
        self.worker = getpid()
        self._number = 0
        self._looked_at = -math.inf
        self._ids = count(1)  # takes no lock
        self._calls: deque[Call] = deque(maxlen=_MAX_CALLS)
        self._series: dict[tuple[str, ...], Series] = {}
        self._failures: dict[str, str] = {}
        self._total = Ring()
        self._policies = Policies()
        self._mirrors = Mirrors()


def _bounded(tokens: int) -> int:
    return tokens if 0 <= tokens <= _MAX_TOKENS else 0 if tokens < 0 else _MAX_TOKENS


def _traffic(key: tuple[str, ...], series: Series, second: int) -> Traffic:
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
        in_flight=series.in_flight,
        open_streams=series.open_streams,
        sticky_missing=series.sticky_missing,
        costs={
            currency: total
            for currency, tally in series.costs.items()
            if (total := tally.total(second))
        },
    )
