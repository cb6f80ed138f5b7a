"""What a client gets, once that is decided."""

from __future__ import annotations

from collections.abc import Callable

from ...exceptions import AnswerableError, ClientDisconnected, ServerShutdown
from ..dialect import BodyRelay
from ..provider.health import Lease
from ..values.messages import Deadline, error_object
from ..values.summary import AnswerSummary
from .observer import Observation

__all__ = ["Refusal", "Reply", "WatchedReply"]


class Reply:
    """A whole body, or its first bytes with more to come through `feed`.

    The driver ends every reply with exactly one `finish` or `abort`. A stream keeps its provider's
    lease until then: how it ends is how the provider did.
    """

    __slots__ = (
        "_clock",
        "_lease",
        "_observation",
        "_relay",
        "_summary",
        "body",
        "headers",
        "idle_s",
        "request_deadline",
        "status",
    )

    def __init__(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        *,
        relay: BodyRelay | None,
        summary: AnswerSummary | None,
        lease: Lease,
        clock: Callable[[], float],
        observation: Observation,
        idle_s: float,
        request_deadline: Deadline,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.idle_s = idle_s
        self.request_deadline = request_deadline
        self._relay = relay
        self._summary = summary
        self._lease = lease
        self._clock = clock
        self._observation = observation

    @property
    def is_open(self) -> bool:
        """Whether there are more upstream bytes to be read."""
        return self._relay is not None and self._relay.error is None

    @property
    def is_stream(self) -> bool:
        """Whether the body is sent piece by piece."""
        return self._relay is not None

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client gets now."""
        return data if self._relay is None else self._relay.feed(data)

    def finish(self) -> bytes:
        """The upstream body has been read to its end; return what the client still gets."""
        rest = b"" if self._relay is None else self._relay.finish()
        self._end(None)
        return rest

    def abort(self, error: Exception) -> bytes:
        """The answer broke off, or its client went away; return what the client still gets."""
        if self._relay is None:
            self._end(error)
            return b""
        rest = self._relay.abort(error)
        self._end(None)  # the relay knows whether anything is missing
        return rest

    def _end(self, error: Exception | None) -> None:
        summary = self._summary
        if self._relay is not None:
            error, summary = error or self._relay.error, self._relay.summary
        if error is None:
            self._lease.end("success", self._clock())
        elif isinstance(error, ClientDisconnected | ServerShutdown):
            self._lease.end("cancelled", self._clock())
        else:
            self._lease.end("failure", self._clock())
        if summary is not None:
            self._observation.summarised(summary)
        usage = summary.usage if summary is not None else None
        self._observation.ended(self.status, error, usage)


class WatchedReply(Reply):
    """A streamed reply whose chunks are told of one by one; a class, as most replies are not."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client gets now."""
        relay = self._relay
        if relay is None:
            return data
        before = relay.events
        passed = relay.feed(data)
        if (count := relay.events - before) > 0:
            self._observation.chunks(count)
        return passed


class Refusal:
    """The mesh's own answer, in place of a `Reply`: an error object."""

    __slots__ = ("body", "headers", "status")

    is_open = False
    is_stream = False

    def __init__(self, error: AnswerableError) -> None:
        self.status = error.status
        self.body = error_object(error.message, type=error.type, code=error.code, param=error.param)
        self.headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            *((k.encode("latin-1"), v.encode("latin-1")) for k, v in error.headers.items()),
        ]

    def finish(self) -> bytes:
        """Nothing follows."""
        return b""

    def abort(self, error: Exception) -> bytes:
        """Nothing follows."""
        return b""
