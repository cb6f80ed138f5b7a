"""Follows one exchange for the line of its call only, which a handler writes without a record.

It keeps what the line has, for as long as the call takes; see `records.direct`.
"""

from __future__ import annotations

import time

from .._core.flow.mirrors.outcome import MirrorOutcome
from .._core.flow.observer import Observation
from .._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.values.selection import Selection
from .._core.values.usage import Usage
from .ending import error_type
from .mirrors import record_outcome
from .records.direct import CallHandler
from .sinks import Sinks

__all__ = ["DirectCall"]


class DirectCall(Observation):
    """Has `handler` write the line when the exchange ends; only that can fail."""

    handles_failures = True
    detail = "usage"

    def __init__(self, handler: CallHandler, sinks: Sinks, request: ClientRequest) -> None:
        self.request = request
        self.started_at = time.perf_counter()
        self.last: UpstreamRequest | None = None
        self.attempts = 0
        self._handler = handler
        self._sinks = sinks
        self._selection: Selection | None = None
        self._made: dict[int, UpstreamRequest] = {}

    def understood(self, request: ClientRequest) -> None:
        self.request = request

    def selected(self, selection: Selection) -> None:
        self._selection = selection

    def sending(self, request: UpstreamRequest) -> None:
        self.last = self._made[request.attempt] = request
        self.attempts += 1

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        self.last = self._made.get(attempt, self.last)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        self.last = self._made.get(attempt)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        try:
            record_outcome(self._sinks, self._selection, outcome)
        except Exception:  # here and below: a handler of the application
            self.log_failure()

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        try:
            kind = error_type(status, error)
            self._handler.write_call(self, time.perf_counter(), status, usage, kind)
        except Exception:
            self.log_failure()
