"""The layer that calls the endpoint picker of a pool; innermost, so it sends the final request.

the picker's response   then
a list of addresses     these servers are tried, in this order
a refusal, 429 or 503   the client gets it
none                    503, or the mesh picks a server (failureMode: FailOpen)

The picker is notified which server has responded, and when the response has ended, since it counts
the calls in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from urllib.parse import urlsplit

from msgspec.structs import replace

from ....exceptions import NoBackendAvailable, RateLimitExceeded
from ...balance.backends import Backend
from ...provider.servers.picker import Picked, PickerCall, PickRequest
from ...values.endpoint import Endpoint
from ...values.messages import ClientRequest
from ...values.steps import AsyncPort, Body, Port, Step, StepResult, ask
from ..attempts.plan import AttemptPlan
from ..call import Call
from ..reply import Flow

__all__ = ["Picking"]

_TIMEOUT_S = 5.0
_HEADERS = ("content-type", "x-request-id", "x-gateway-inference-objective")


class Picking:
    """Calls the pickers of the first priority of a rule."""

    def __init__(
        self, plan: AttemptPlan, port: Port | AsyncPort | None, clock: Callable[[], float]
    ) -> None:
        self._plan = plan
        self._port = port
        self._clock = clock
        self._calls: list[tuple[Backend, PickerCall]] = []

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve `call` from the servers that are picked for it."""
        return (yield from self.before(call.request, proceed(call)))

    def before(self, request: ClientRequest, flow: Flow) -> Flow:
        """Run `flow` with the servers that are picked for its request.

        Raises:
            RateLimitExceeded: the picker sheds load.
            NoBackendAvailable: it has no server, or does not respond.
        """
        reply = None
        try:
            yield from self._pick(request)
            reply = yield from flow
        finally:
            if reply is None or isinstance(reply.body, bytes):
                self._report(None if reply is None else reply.status)
                self._end()
        if isinstance(reply.body, bytes):
            return reply
        self._report(reply.status)
        return replace(reply, body=self._to_its_end(reply.body))

    def _pick(self, request: ClientRequest) -> Generator[Step, StepResult, None]:
        """Call the pickers, and set the servers that the plan tries."""
        for backend in self._plan.first_tier:
            picker = backend.upstream.picker
            if picker is None or self._port is None:
                continue
            question = PickRequest(picker, _headers(request), request.body)
            picked: Picked = yield from ask(self._port, question, self._clock() + _TIMEOUT_S)
            if picked.addresses:
                self._plan.offer(backend, _endpoints(backend, picked))
                if picked.call is not None:
                    self._calls.append((backend, picked.call))
            elif picked.status or not picker.fails_open:
                raise _refusal(backend, picked)

    def _report(self, status: int | None) -> None:
        """Notify the picker of the server that has responded."""
        served = self._plan.served
        if served is None:
            return
        for backend, call in self._calls:
            if backend is served.backend:
                address, port = served.endpoint.address, served.endpoint.port
                place = f"[{address}]" if ":" in address else address
                call.served(status or 502, f"{place}:{port}")

    def _end(self) -> None:
        for _, call in self._calls:
            call.end()

    def _to_its_end(self, body: Body) -> Body:
        try:
            return (yield from body)
        finally:
            self._end()


def _headers(request: ClientRequest) -> tuple[tuple[str, str], ...]:
    """Return the fields for a picker, without the client's credentials."""
    headers = [(":method", request.method), (":path", request.path), (":authority", request.host)]
    for name in _HEADERS:
        value = request.headers.get(name)
        if value is not None:
            headers.append((name, value))
    return tuple(headers)


def _endpoints(backend: Backend, picked: Picked) -> tuple[Endpoint, ...]:
    """Return the endpoints of addresses; the picker may know a server before the mesh does."""
    upstream = backend.upstream
    pattern = next(iter(upstream.endpoints.now()), None)
    pattern = pattern or Endpoint(upstream.host, "http", "", 80, upstream.host)
    found = []
    for address in picked.addresses:
        parts = urlsplit(f"//{address}")
        if parts.hostname and parts.port:
            found.append(replace(pattern, address=parts.hostname, port=parts.port))
    return tuple(found)


def _refusal(backend: Backend, picked: Picked) -> RateLimitExceeded | NoBackendAvailable:
    host = backend.upstream.host
    headers = {"retry-after": "1"}
    if picked.status == 429:
        return RateLimitExceeded(f"the endpoint picker of {host} sheds load", headers=headers)
    why = "has no server for it" if picked.status else "did not respond"
    return NoBackendAvailable(f"the endpoint picker of {host} {why}", headers=headers)
