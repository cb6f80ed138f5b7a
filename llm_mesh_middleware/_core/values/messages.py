"""What goes in and out of an exchange: requests, response heads, failures, deadlines.

Those that every exchange or every read makes anew are msgspec structs: a frozen dataclass takes
five times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

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
    "error_object",
]

_NOTHING: Mapping[str, str] = MappingProxyType({})


class ClientRequest(msgspec.Struct, frozen=True):
    """What a client asked of a virtual host, as far as routing may look at it.

    Frozen: what is learnt on the way (its body, its operation, who the consumer is) makes a new
    value. `attributes` come from the application or the client key, never from a header. `host` is
    the virtual host's name. `operation`, `fields` (the members of the JSON body, still raw) and
    `model` are set once the body has been read. `is_inbound` says that the request came over the
    network and that nobody else records a span for it, `keeps_content` that the response is wanted
    for a record. `native` is the request as the framework has it, for the application's callables.
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

    def __repr__(self) -> str:
        # Headers, body and attributes may hold credentials and prompts.
        return f"ClientRequest({self.method!r}, {self.path!r}, host={self.host!r})"


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One attempt, complete: nothing of an earlier attempt is in it.

    `target` is the origin-form request target. `headers` and `body` hold keys and prompts and are
    left out of the `repr`. `attempt` counts from 1. `added_usage`: it asks for token counts that
    the client did not ask for. `preferred_host` is the provider host that the rule prefers for the
    request, in service or not. `scope` must surround the call, in the task that makes it.
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
    scope: Callable[[], AbstractContextManager[None]] = nullcontext

    def __repr__(self) -> str:
        where, what = self.endpoint, f"{self.method} {self.target}"
        return f"UpstreamRequest({what!r}, {where!r}, attempt={self.attempt})"


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """Status and header fields of a provider's answer; the names are lower-case."""

    status: int
    headers: Headers


class Failure(msgspec.Struct, frozen=True):
    """A step that failed, or a response that broke off; the error is returned as a value."""

    error: UpstreamError


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """A point on the monotonic clock that the exchange was given, and what it means to reach it.

    `phase` is one of connect, first_byte, idle, request.
    """

    at: float
    phase: str
    limit_s: float
    host: str

    def or_sooner(self, now: float, phase: str, limit_s: float) -> Deadline:
        """The deadline of a phase that begins at `now`, or this one if it comes first."""
        at = now + limit_s
        return Deadline(at, phase, limit_s, self.host) if at < self.at else self

    def for_host(self, host: str) -> Deadline:
        """The same moment, in the name of the provider that is being waited for."""
        return Deadline(self.at, self.phase, self.limit_s, host)

    def error(self) -> UpstreamTimeout:
        """The error of having reached the deadline."""
        what = _PHASES[self.phase]
        return UpstreamTimeout(f"{self.host} {what} within {self.limit_s:g} s", phase=self.phase)


_PHASES = {
    "connect": "accepted no connection",
    "first_byte": "sent no first byte of its answer",
    "idle": "sent no further byte of its answer",
    "request": "did not finish its answer",
}


def error_object(message: str, *, type: str, code: str, param: str | None = None) -> bytes:
    """An OpenAI error object, all four members present."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return msgspec.json.encode({"error": error})
