"""Counts by rule and by edge, added up from what has ended since they were last read.

    end of a call, of a failed attempt ──> queues ──> settle, once a second ──> Series
                                                             └──> calls to be recorded

A call that ends only joins a queue. Those of one key and one second are then added up together.
"""

from __future__ import annotations

from collections import deque

import msgspec

from ..._process.forks import ForkLock
from .attempts import UNUSABLE, MadeAttempt
from .call_watch import ABANDONED, CallWatch
from .series import Ring, Series

__all__ = ["Counts", "Key"]

_MAX_CALLS = 500
_MAX_SERIES = 2_000
_MAX_HOSTS = 4_096
_MAX_WAITING = 500
_MAX_TOKENS = 1 << 32

# Host, host and rule, or host, rule and provider.
Key = tuple[str, ...]


class _Batch(msgspec.Struct):
    """What has ended at one key in one second; `firsts` are times to a stream's first event."""

    durations: list[float] = []
    firsts: list[float] = []
    failed: int = 0
    tokens: int = 0


_Batches = dict[tuple[Key, int], _Batch]


class Counts:
    """Counts of one process. Safe between threads."""

    def __init__(self) -> None:
        self.total = Ring()
        self.failures: dict[str, str] = {}
        self.series: dict[Key, Series] = {}
        self.settled: deque[CallWatch] = deque(maxlen=_MAX_CALLS)
        self.lock = ForkLock()
        self._calls: deque[CallWatch] = deque()
        self._failed: deque[tuple[CallWatch, MadeAttempt]] = deque()

    def end_call(self, watch: CallWatch) -> None:
        """Count a call and its good attempts, and keep it for its record, soon."""
        self._calls.append(watch)
        if len(self._calls) > _MAX_WAITING:
            self.settle()

    def end_attempt(self, watch: CallWatch, made: MadeAttempt) -> None:
        """Count a failed attempt, soon: its call may go on for long."""
        self._failed.append((watch, made))
        if len(self._failed) > _MAX_WAITING:
            self.settle()

    def of(self, key: Key, second: int) -> Series:
        """Return the series of a key; the caller holds the lock."""
        series = self.series.get(key)
        if series is None:
            if len(self.series) >= _MAX_SERIES:
                self._drop_idle()
            series = self.series[key] = Series()
        series.used_at = second
        return series

    def settle(self) -> None:
        """Add up what has ended."""
        with self.lock.of_process:
            batches: _Batches = {}
            for _ in range(len(self._failed)):
                self._add_attempt(batches, *self._failed.popleft())
            for _ in range(len(self._calls)):
                watch = self._calls.popleft()
                self._add_call(batches, watch)
                self.settled.append(watch)
            for (key, second), batch in batches.items():
                self._count(key, second, batch)

    def _add_call(self, batches: _Batches, watch: CallWatch) -> None:
        for made in watch.attempts:
            if not (made.has_failed or made.is_cancelled):
                self._add_attempt(batches, watch, made)
        selection, usage = watch.selection, watch.usage
        key = (watch.host,) if selection is None else (watch.host, selection.rule)
        batch = _batch(batches, key, int(watch.ended_at))
        batch.durations.append(watch.ended_at - watch.begun_at)
        if watch.error is not None and watch.error != ABANDONED:
            batch.failed += 1
        if usage is not None:
            batch.tokens += usage.input_tokens + usage.output_tokens
        if selection is not None and selection.lacks_sticky_key:
            self.of(key, int(watch.ended_at)).sticky_missing += 1
        if watch.charges:
            self._charge(watch)

    def _add_attempt(self, batches: _Batches, watch: CallWatch, made: MadeAttempt) -> None:
        ended_at = watch.ended_at if made.ended_at is None else made.ended_at
        batch = _batch(batches, watch.edge(made), int(ended_at))
        batch.durations.append(ended_at - made.begun_at)
        if made.has_failed:
            batch.failed += 1
            if made.host in self.failures or len(self.failures) < _MAX_HOSTS:
                self.failures[made.host] = made.error or UNUSABLE
        if made is watch.served:
            if watch.usage is not None:
                batch.tokens += watch.usage.input_tokens + watch.usage.output_tokens
            if watch.first_at is not None:
                batch.firsts.append(watch.first_at - made.begun_at)

    def _charge(self, watch: CallWatch) -> None:
        second = int(watch.ended_at)
        edges = {made.number: watch.edge(made) for made in watch.attempts}
        for charge in watch.charges:
            edge = edges.get(charge.attempt)
            if edge is not None and charge.amount is not None and charge.currency is not None:
                self.of(edge, second).charge(second, charge.currency, charge.amount)

    def _count(self, key: Key, second: int, batch: _Batch) -> None:
        series, calls = self.of(key, second), len(batch.durations)
        tokens = min(max(batch.tokens, 0), _MAX_TOKENS)
        series.ring.add(second, calls, batch.failed, tokens)
        series.durations.add(second, *batch.durations)
        series.firsts.add(second, *batch.firsts)
        if len(key) < 3:
            self.total.add(second, calls, batch.failed, tokens)

    def _drop_idle(self) -> None:
        by_age = sorted(self.series, key=lambda key: self.series[key].used_at)
        for key in by_age[: _MAX_SERIES // 4]:
            del self.series[key]


def _batch(batches: _Batches, key: Key, second: int) -> _Batch:
    batch = batches.get((key, second))
    if batch is None:
        batch = batches[key, second] = _Batch()
    return batch
