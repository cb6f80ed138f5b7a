"""The values that one exchange passes between the client, the core and the driver.

Those that every exchange or every read makes anew are msgspec structs: a frozen dataclass takes
five times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import msgspec

from ...exceptions import UpstreamError, UpstreamTimeout
from .endpoint import Endpoint
from .headers import Headers
from .operations import Operation
from .payload import Fields, read_text

__all__ = [
    "Answer",
    "Await",
    "ClientRequest",
    "Deadline",
    "Failure",
    "Race",
    "Raced",
    "Read",
    "ResponseHead",
    "Send",
    "Sleep",
    "Step",
    "UpstreamRequest",
    "error_object",
]


class ClientRequest:
    """What a client asked of a virtual host, as far as routing may look at it.

    `attributes` are facts from the application or the client key, never from a header. `fields` are
    the members of the JSON body, still raw; empty for an operation without a body. `host` is the
    virtual host's name. `is_inbound` says that the request came over the network and that nobody
    else has a span for it, `keeps_content` that the answer is wanted for a record.
    """

    def __init__(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes = b"",
        attributes: Mapping[str, str] | None = None,
        *,
        host: str = "",
        peer: str | None = None,
        http_version: str = "1.1",
        scheme: str = "http",
        is_inbound: bool = False,
        keeps_content: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.attributes: Mapping[str, str] = attributes or {}
        self.host = host
        self.peer = peer
        self.http_version = http_version
        self.scheme = scheme
        self.is_inbound = is_inbound
        self.keeps_content = keeps_content
        self.operation: Operation | None = None
        self.fields: Fields = {}
        self._model: str | None = None

    @property
    def model(self) -> str | None:
        """The model the client named."""
        if self._model is None:  # not a cached_property: that takes a lock, up to CPython 3.11
            self._model = read_text(self.fields, "model")
        return self._model


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
    """The provider gave no answer, or broke off in it."""

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


class Send(msgspec.Struct, frozen=True):
    """Ask for an upstream call; answered with `ResponseHead` or `Failure`."""

    request: UpstreamRequest
    deadline: Deadline


class Read(msgspec.Struct, frozen=True, gc=False):
    """Ask for the next bytes of the answer; answered with bytes (empty at the end) or `Failure`."""

    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Sleep:
    """Ask for a pause; answered with nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Ask to wait until `signal` calls what it is given, or for the deadline; no answer.

    The call may come at once, and from another thread.
    """

    signal: Callable[[Callable[[], None]], None]
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Race:
    """Ask for `first`, and if it takes longer than `after_s` for what `second` gives as well.

    The first head that `is_good` accepts wins; the other call is given up. Answered with `Raced`.
    """

    first: Send
    second: Callable[[], Send | None]
    after_s: float
    is_good: Callable[[ResponseHead], bool]


@dataclass(frozen=True, slots=True)
class Raced:
    """What each call of a `Race` brought (None for one that was given up), and which is read on."""

    answers: tuple[ResponseHead | Failure | None, ...]
    winner: int


Step = Send | Read | Sleep | Await | Race
Answer = ResponseHead | Failure | Raced | bytes | None


def error_object(message: str, *, type: str, code: str, param: str | None = None) -> bytes:
    """An OpenAI error object, all four members present."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return msgspec.json.encode({"error": error})
