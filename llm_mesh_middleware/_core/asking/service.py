"""An HTTP service of the operator that a policy asks: JSON there and back, bounded in time.

A service that fails is left alone for a second, so that it costs no request its timeout:

    asked ──> answer                              asked again
          └─> none in time, no HTTP ──> away ── a second ──> one may ask
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from ..values.endpoint import Endpoint
from ..values.headers import Headers
from ..values.messages import Deadline
from ..values.steps import Beside, Step
from .side_call import Circumstances, NoAnswer, call_whole, make_call

__all__ = ["Availability", "Service", "ServiceAnswer"]

_AWAY_S = 1.0
_HEADERS = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))


class ServiceAnswer(msgspec.Struct, frozen=True):
    """The status and the body of a response."""

    status: int
    body: bytes


class Availability:
    """Whether a service may be asked, as far as this process knows."""

    def __init__(self) -> None:
        self._away_until = 0.0

    def allows(self, now: float) -> bool:
        """Return whether to ask now; after a failure one of those who come may, each second."""
        if not self._away_until:
            return True
        if now < self._away_until:
            return False
        self._away_until = now + _AWAY_S
        return True

    def failed(self, now: float) -> None:
        """Note that there was no answer."""
        self._away_until = now + _AWAY_S

    def succeeded(self) -> None:
        """Note that there was one."""
        self._away_until = 0.0


class Service(msgspec.Struct, frozen=True):
    """Where a service is, and how long it is waited for. `path` has no slash at its end."""

    endpoint: Endpoint
    path: str
    host: str
    timeout_s: float
    availability: Availability

    def ask(
        self, method: str, target: str, body: bytes, about: Circumstances, now: float
    ) -> Generator[Step, Any, ServiceAnswer | NoAnswer]:
        """Return the response, or that there is none; a response that is being read stays open.

        Args:
            method: of the request.
            target: what follows the path of the service.
            body: JSON, or nothing.
            about: the call that the service is asked for.
            now: the monotonic clock.
        """
        if not self.availability.allows(now):
            return NoAnswer("away")
        answer: ServiceAnswer | NoAnswer
        answer = yield Beside(self._answer(method, target, body, about))
        if isinstance(answer, NoAnswer):
            self.availability.failed(now + self.timeout_s)
        else:
            self.availability.succeeded()
        return answer

    def about(
        self,
        deadline: Deadline,
        now: float,
        headers: Headers,
        mesh_id: str,
        wall_clock: Callable[[], float],
    ) -> Circumstances:
        """Return the circumstances in which the service is asked now, its own time-out among them.

        Args:
            deadline: of the call that it is asked for.
            now: the monotonic clock.
            headers: as in `Circumstances`, like the last two.
            mesh_id: the mesh's name among the hops.
            wall_clock: the time of the day.
        """
        until = deadline.or_sooner(now, "request", self.timeout_s)
        return Circumstances(until, headers, mesh_id, wall_clock, lambda charge: None)

    def _answer(
        self, method: str, target: str, body: bytes, about: Circumstances
    ) -> Generator[Step, Any, ServiceAnswer | NoAnswer]:
        headers = ((b"host", self.host.encode()), *_HEADERS)
        request = make_call(self.endpoint, self.path + target, headers, body, about, method=method)
        try:
            head, received = yield from call_whole(request, about)
        except NoAnswer as none:
            return none
        return ServiceAnswer(head.status, received)
