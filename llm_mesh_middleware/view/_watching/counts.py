"""Counts by rule and by edge, added up from what has ended since they were last read.

    end of an attempt, end of a call ──> a queue ──> settle, once a second ──> Series

A call that ends only joins a queue. Those of one edge and one second are then added up together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from ..._process.forks import ForkLock
from ..values import Call
from .series import Ring, Series

__all__ = ["AttemptEnd", "CallEnd", "Counts"]

_MAX_CALLS = 500
_MAX_SERIES = 2_000
_MAX_HOSTS = 4_096
_MAX_WAITING = 500
_MAX_TOKENS = 1 << 32

Key = tuple[str, ...]


class AttemptEnd(msgspec.Struct, frozen=True):
    """An attempt that ended at an edge, not cancelled.

    `first_s` is the time to the first event of a stream, `tokens` are input and output of the
    response, `failure` is the error code if the provider at `host` failed.
    """

    key: Key
    second: int
    duration_s: float
    tokens: int = 0
    failure: str | None = None
    host: str = ""
    first_s: float | None = None


class CallEnd(msgspec.Struct, frozen=True):
    """A call that ended, with its record."""

    key: Key
    second: int
    duration_s: float
    call: Call


class Counts:
    """Counts of one process. Safe between threads."""

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=_MAX_CALLS)
        self.number = 0
        self.total = Ring()
        self.failures: dict[str, str] = {}
        self.lock = ForkLock()
        self.series: dict[Key, Series] = {}
        self._attempts: deque[AttemptEnd] = deque()
        self._calls: deque[CallEnd] = deque()

    def end_attempt(self, end: AttemptEnd) -> None:
        """Count an attempt, soon."""
        self._attempts.append(end)
        if len(self._attempts) > _MAX_WAITING:
            self.settle()

    def end_call(self, end: CallEnd) -> None:
        """Count a call and keep its record, soon."""
        self._calls.append(end)
        if len(self._calls) > _MAX_WAITING:
            self.settle()

    def charge(self, key: Key, second: int, currency: str, amount: int) -> None:
        """Count a cost at an edge, in nano-units."""
        with self.lock.of_process:
            self.of(key, second).charge(second, currency, amount)

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
            attempts = [self._attempts.popleft() for _ in range(len(self._attempts))]
            calls = [self._calls.popleft() for _ in range(len(self._calls))]
            self._add_attempts(attempts)
            self._add_calls(calls)

    def _add_attempts(self, ended: Iterable[AttemptEnd]) -> None:
        together: dict[tuple[Key, int], list[AttemptEnd]] = {}
        for end in ended:
            together.setdefault((end.key, end.second), []).append(end)
            if end.failure is not None:
                self._note_failure(end.host, end.failure)
        for (key, second), ends in together.items():
            series = self.of(key, second)
            failed = sum([end.failure is not None for end in ends])
            tokens = _bounded(sum([end.tokens for end in ends]))
            series.ring.add(second, len(ends), failed, tokens)
            series.durations.add(second, *[end.duration_s for end in ends])
            series.firsts.add(second, *[end.first_s for end in ends if end.first_s is not None])

    def _add_calls(self, ended: Iterable[CallEnd]) -> None:
        together: dict[tuple[Key, int], list[CallEnd]] = {}
        for end in ended:
            together.setdefault((end.key, end.second), []).append(end)
            self.calls.append(end.call)
            self.number += 1
        for (key, second), ends in together.items():
            series, calls = self.of(key, second), [end.call for end in ends]
            failed = sum([call.error is not None and not call.is_abandoned for call in calls])
            tokens = _bounded(sum([call.input_tokens + call.output_tokens for call in calls]))
            series.sticky_missing += sum([call.lacks_sticky_key for call in calls])
            series.durations.add(second, *[end.duration_s for end in ends])
            series.ring.add(second, len(ends), failed, tokens)
            self.total.add(second, len(ends), failed, tokens)

    def _note_failure(self, host: str, failure: str) -> None:
        if host in self.failures or len(self.failures) < _MAX_HOSTS:
            self.failures[host] = failure

    def _drop_idle(self) -> None:
        by_age = sorted(self.series, key=lambda key: self.series[key].used_at)
        for key in by_age[: _MAX_SERIES // 4]:
            del self.series[key]


def _bounded(tokens: int) -> int:
    return tokens if 0 <= tokens <= _MAX_TOKENS else 0 if tokens < 0 else _MAX_TOKENS
