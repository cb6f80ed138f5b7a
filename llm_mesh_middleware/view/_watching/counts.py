"""Counts by rule and by edge, added up from what has ended since they were last read.

    end of a call, of a failed attempt ──> queues ──> settle, once a second ──> Series
                                                             └──> calls to be recorded

A call that ends only joins a queue. Those of one key and one second are then added up together.
"""

from __future__ import annotations

from collections import deque

import msgspec

from ..._process.forks import ForkLock
from .notes import ABANDONED, UNUSABLE, EndedCall, MadeAttempt
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
        self.settled: deque[EndedCall] = deque(maxlen=_MAX_CALLS)
        self.lock = ForkLock()
        self._calls: deque[EndedCall] = deque()
        self._failed: deque[tuple[Key, MadeAttempt]] = deque()

    def end_call(self, call: EndedCall) -> None:
        """Count a call and its good attempts, and keep it for its record, soon."""
        self._calls.append(call)
        if len(self._calls) > _MAX_WAITING:
            self.settle()

    def end_attempt(self, edge: Key, made: MadeAttempt) -> None:
        """Count a failed attempt, soon: its call may go on for long."""
        self._failed.append((edge, made))
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
                call = self._calls.popleft()
                self._add_call(batches, call)
                self.settled.append(call)
            for (key, second), batch in batches.items():
                self._count(key, second, batch)

    def _add_call(self, batches: _Batches, call: EndedCall) -> None:
        host, selection, usage, second = call.host, call.selection, call.usage, int(call.ended_at)
        rule = "" if selection is None else selection.rule
        for made in call.attempts:
            if not (made.has_failed or made.is_cancelled):
                self._add_attempt(batches, (host, rule, made.provider), made)
        key = (host,) if selection is None else (host, rule)
        batch = _batch(batches, key, second)
        batch.durations.append(call.ended_at - call.begun_at)
        if call.error is not None and call.error != ABANDONED:
            batch.failed += 1
        if usage is not None:
            batch.tokens += usage.input_tokens + usage.output_tokens
        if selection is not None and selection.lacks_sticky_key:
            self.of(key, second).sticky_missing += 1
        if call.charges:
            self._charge(call, rule, second)

    def _add_attempt(self, batches: _Batches, edge: Key, made: MadeAttempt) -> None:
        if made.ended_at is None:
            return
        batch = _batch(batches, edge, int(made.ended_at))
        batch.durations.append(made.ended_at - made.begun_at)
        batch.tokens += made.tokens
        if made.first_at is not None:
            batch.firsts.append(made.first_at - made.begun_at)
        if made.has_failed:
            batch.failed += 1
            if made.host in self.failures or len(self.failures) < _MAX_HOSTS:
                self.failures[made.host] = made.error or UNUSABLE

    def _charge(self, call: EndedCall, rule: str, second: int) -> None:
        providers = {made.number: made.provider for made in call.attempts}
        for charge in call.charges:
            provider = providers.get(charge.attempt)
            if provider is not None and charge.amount is not None and charge.currency is not None:
                series = self.of((call.host, rule, provider), second)
                series.charge(second, charge.currency, charge.amount)

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
