"""An HTTP service of the operator that a policy calls with JSON, with a timeout.

A service that has failed is not called for a second, so that requests do not wait for its timeout:

    call ──> response                                    the next request calls it again
         └─> timeout, failure ──> unavailable, 1 s ──>   one request tries it
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from ..values.endpoint import Endpoint
from ..values.headers import Headers
from ..values.messages import Deadline
from ..values.steps import Nested, Step
from .side_call import SideCallContext, SideCallFailed, call_whole, make_call

__all__ = ["Availability", "Service", "ServiceAnswer"]

_RETRY_S = 1.0
_HEADERS = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))


class ServiceAnswer(msgspec.Struct, frozen=True):
    """The status and the body of a response."""

    status: int
    body: bytes


class Availability:
    """Whether a service may be called, as far as this process knows."""

    def __init__(self) -> None:
        self._unavailable_until = 0.0

    def allows(self, now: float) -> bool:
        """Return whether to call now; after a failure only one request a second does."""
        if not self._unavailable_until:
            return True
        if now < self._unavailable_until:
            return False
        self._unavailable_until = now + _RETRY_S
        return True

    def failed(self, now: float) -> None:
        """Record a failed call."""
        self._unavailable_until = now + _RETRY_S

    def succeeded(self) -> None:
        """Record a successful call."""
        self._unavailable_until = 0.0


class Service(msgspec.Struct, frozen=True):
    """The address of a service, and its timeout. `path` has no slash at its end."""

    endpoint: Endpoint
    path: str
    host: str
    timeout_s: float
    availability: Availability

    def call(
        self, method: str, target: str, body: bytes, context: SideCallContext, now: float
    ) -> Generator[Step, Any, ServiceAnswer | SideCallFailed]:
        """Return the response or the failure; a response that is being read stays open.

        Args:
            method: the method of the request.
            target: the rest of the target, after the path of the service.
            body: JSON, or nothing.
            context: the context of the side call.
            now: the time on the monotonic clock.
        """
        if not self.availability.allows(now):
            return SideCallFailed("away")
        answer: ServiceAnswer | SideCallFailed
        answer = yield Nested(self._answer(method, target, body, context))
        if isinstance(answer, SideCallFailed):
            self.availability.failed(now + self.timeout_s)
        else:
            self.availability.succeeded()
        return answer

    def context(
        self,
        deadline: Deadline,
        now: float,
        headers: Headers,
        mesh_id: str,
        wall_clock: Callable[[], float],
    ) -> SideCallContext:
        """Return the context of a side call that begins now; it includes the service's timeout.

        Args:
            deadline: the deadline of the client's call.
            now: the time on the monotonic clock.
            headers: as in `SideCallContext`, like the last two.
            mesh_id: the name of the mesh among the hops.
            wall_clock: returns the time of day.
        """
        until = deadline.or_sooner(now, "request", self.timeout_s)
        return SideCallContext(until, headers, mesh_id, wall_clock, lambda charge: None)

    def _answer(
        self, method: str, target: str, body: bytes, context: SideCallContext
    ) -> Generator[Step, Any, ServiceAnswer | SideCallFailed]:
        headers = ((b"host", self.host.encode()), *_HEADERS)
        request = make_call(
            self.endpoint, self.path + target, headers, body, context, method=method
        )
        try:
            head, received = yield from call_whole(request, context)
        except SideCallFailed as none:
            return none
        return ServiceAnswer(head.status, received)
