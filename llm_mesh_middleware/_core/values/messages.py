"""The input and output of an exchange: requests, response heads, failures, deadlines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import final

import msgspec

from ...exceptions import UpstreamError, UpstreamTimeout
from .endpoint import Endpoint
from .headers import Headers
from .operations import Operation
from .payload import Fields

__all__ = [
    "ClientRequest",
    "Deadline",
    "Failure",
    "ResponseHead",
    "UpstreamRequest",
    "WholeResponse",
    "error_object",
]

_NOTHING: Mapping[str, str] = MappingProxyType({})


class ClientRequest(msgspec.Struct, frozen=True):
    """A client's request to a virtual host, as routing and observers see it.

    Frozen: each later addition (the body, the operation, the consumer) makes a new value.
    `attributes` come from the application or the client key, never from a header. `host` is
    the virtual host's name. `operation`, `fields` (the members of the JSON body, still raw) and
    `model` are set once the body has been read. `is_inbound`: it came over the network, and the
    framework made no span for it. `keeps_content`: the response is recorded. `native` is the
    framework's request object, for the application's callables. `mark` is the time in seconds and
    a unique text, for ids that the mesh must make.
    """

    method: str
    path: str
    headers: Headers
    body: bytes = b""
    attributes: Mapping[str, str] = _NOTHING
    host: str = ""
    peer: str | None = None
    http_version: str = "1.1"
    scheme: str = "http"
    is_inbound: bool = False
    keeps_content: bool = False
    operation: Operation | None = None
    fields: Fields = {}
    model: str | None = None
    native: object = None
    mark: tuple[int, str] = (0, "")
    query: str = ""

    def __repr__(self) -> str:
        # Headers, body and attributes may hold credentials and prompts.
        return f"ClientRequest({self.method!r}, {self.path!r}, host={self.host!r})"


class UpstreamRequest(msgspec.Struct, frozen=True):
    """The complete request of one attempt; it contains nothing from earlier attempts.

    `target` is the origin-form request target. `headers` and `body` hold keys and prompts and are
    left out of the `repr`. `attempt` counts from 1. `added_usage`: the mesh added a request for
    token counts. `preferred_host` is the provider host that the rule prefers, available or not.
    `vendor` is the vendor of the API, empty if the host determines it. `dropped` are the client's
    names of fields that the provider's `dialect` does not have. `scope` must surround the call, in
    the task that makes it.
    """

    endpoint: Endpoint
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    connect_timeout_s: float
    provider: str = ""
    model: str | None = None
    attempt: int = 1
    added_usage: bool = False
    preferred_host: str = ""
    vendor: str = ""
    dropped: tuple[str, ...] = ()
    dialect: str = ""
    scope: Callable[[], AbstractContextManager[None]] = nullcontext

    def __repr__(self) -> str:
        where, what = self.endpoint, f"{self.method} {self.target}"
        return f"UpstreamRequest({what!r}, {where!r}, attempt={self.attempt})"


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """Status and header fields of a provider's response; names are in lower case."""

    status: int
    headers: Headers


class WholeResponse(ResponseHead, frozen=True, gc=False):
    """A response whose body has come with its head, as short ones do; reading it is optional."""

    body: bytes

    def __repr__(self) -> str:
        # The body may hold a prompt, or a key that the provider repeats.
        return f"WholeResponse({self.status!r}, {self.headers!r}, {len(self.body)} bytes)"


@final
class Failure(msgspec.Struct, frozen=True):
    """A step that failed, or a response that broke off; the error is returned as a value."""

    error: UpstreamError


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """A point on the exchange's monotonic clock, and the limit that it comes from.

    `phase` is one of connect, first_byte, idle, request.
    """

    at: float
    phase: str
    limit_s: float
    host: str

    def or_sooner(self, now: float, phase: str, limit_s: float) -> Deadline:
        """Return the deadline of a phase that begins at `now`, or this one if it is earlier."""
        at = now + limit_s
        return Deadline(at, phase, limit_s, self.host) if at < self.at else self

    def for_host(self, host: str) -> Deadline:
        """Return the same moment for the provider that is being waited for."""
        return Deadline(self.at, self.phase, self.limit_s, host)

    def error(self) -> UpstreamTimeout:
        """Return the timeout error for this deadline."""
        what = _PHASES[self.phase]
        return UpstreamTimeout(f"{self.host} {what} within {self.limit_s:g} s", phase=self.phase)


_PHASES = {
    "connect": "completed no connection, TLS included,",
    "first_byte": "sent no first byte of its response",
    "idle": "sent no further byte of its response",
    "request": "did not finish its response",
}


def error_object(message: str, *, type: str, code: str, param: str | None = None) -> bytes:
    """Return an OpenAI error object with all four members."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return msgspec.json.encode({"error": error})
