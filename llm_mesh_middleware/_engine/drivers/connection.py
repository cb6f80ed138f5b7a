"""The synchronous twin of `async_connection`."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext

from ..._core.values.messages import Failure
from ..._core.values.steps import Await, Race, Read, Send, Sleep, StepResult
from ...exceptions import UpstreamError
from ..http.protocols import UpstreamClient, UpstreamResponse
from ..tasks.cancel_scope import CancelScope
from .race import race

__all__ = ["Connection"]


class Connection:
    """The base of the synchronous driver."""

    __slots__ = ("_client", "_response", "_scope")

    def __init__(self, client: UpstreamClient, scope: CancelScope) -> None:
        self._client = client
        self._scope = scope
        self._response: UpstreamResponse | None = None

    def _send(self, step: Send) -> StepResult:
        try:
            self._drop()
            request, at = step.request, step.deadline.at
            if request.scope is nullcontext:  # as nearly always
                self._response = response = self._client.open(request, at, self._scope)
            else:
                with request.scope():
                    self._response = response = self._client.open(request, at, self._scope)
            return response.head
        except UpstreamError as error:
            return Failure(error)
        except TimeoutError:
            return Failure(step.deadline.error())

    def _read(self, step: Read) -> StepResult:
        deadline, now = step.deadline, time.monotonic()
        at = deadline.at
        if step.idle_s is not None:
            if now >= at:
                return Failure(deadline.error())
            at = min(at, now + step.idle_s)
        try:
            return self._response.read(at)  # type: ignore[union-attr]  # a Send came first
        except UpstreamError as error:
            return Failure(error)
        except TimeoutError:
            return Failure(step.passed(now))

    def _race(self, step: Race) -> StepResult:
        self._drop()
        raced, self._response = race(step, self._client, self._scope)
        return raced

    def _sleep(self, step: Sleep) -> None:
        self._drop()
        self._scope.wait(threading.Event(), step.seconds)

    def _await(self, step: Await) -> None:
        self._drop()
        called = threading.Event()
        step.signal(called.set)
        self._scope.wait(called, max(0.0, step.deadline.at - time.monotonic()))

    def _drop(self) -> None:
        """Close the current response before the next attempt."""
        response, self._response = self._response, None
        if response is not None:
            response.close()
