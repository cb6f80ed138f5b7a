"""What a client gets: a whole body, or a stream that is a generator.

A reply with a whole body is over when it is returned: everything about it has been recorded. A
stream keeps its provider's lease until its body ends, because how it ends is how the provider did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec

from ...exceptions import AnswerableError, ClientDisconnected, ServerShutdown, UpstreamError
from ..dialect import BodyRelay
from ..http.response_headers import NOSNIFF
from ..provider.health import Lease
from ..provider.outliers import Result
from ..provider.secrets import Secrets
from ..values.messages import Deadline, Failure, error_object
from ..values.steps import Body, Read, Step, StepResult
from .observer import Observation

__all__ = ["Flow", "Reply", "StreamEnd", "refusal", "stream_body"]

# How long a connection is read on after the stream's own end, so that it can be used again.
_DRAIN_S = 0.5


class Reply(msgspec.Struct, frozen=True):
    """Status and header fields, and the body: bytes, or a `Body` that yields them.

    A `Body` may not have been started. Whoever ends it early starts it before throwing into it,
    since a generator that was not started cannot catch anything.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | Body = b""

    @property
    def is_stream(self) -> bool:
        """Whether the body is sent piece by piece."""
        return not isinstance(self.body, bytes)


Flow = Generator[Step, StepResult, Reply]


def refusal(error: AnswerableError) -> Reply:
    """Return the mesh's own reply to a request that cannot be served: an error object."""
    body = error_object(error.message, type=error.type, code=error.code, param=error.param)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        NOSNIFF,
        *((k.encode("latin-1"), v.encode("latin-1")) for k, v in error.headers.items()),
    ]
    return Reply(error.status, headers, body)


class StreamEnd(msgspec.Struct, frozen=True):
    """What the end of a stream is recorded with.

    `status` is what the client was sent, `lease` the provider's, `secrets` are cut out of whatever
    observers are told.
    """

    status: int
    lease: Lease
    secrets: Secrets
    clock: Callable[[], float]
    observation: Observation

    def settle(self, relay: BodyRelay, reason: Exception | None) -> bytes:
        """Record the end of a stream; return what the client still gets.

        The relay knows whether anything is missing: a stream that has come to its own end is whole,
        also if the client or the provider then hangs up.
        """
        secrets = self.secrets
        last = secrets.redact_content(relay.finish() if reason is None else relay.abort(reason))
        error = relay.error
        if error is None:
            result: Result = "success"
        elif isinstance(error, ClientDisconnected | ServerShutdown):
            result = "cancelled"
        else:
            result = "failure"
            if isinstance(error, UpstreamError):
                secrets.redact_error(error)
        self.lease.end(result, self.clock())
        summary = secrets.redact_summary(relay.summary)
        self.observation.summarised(summary)
        self.observation.ended(self.status, error, summary.usage)
        return last


def stream_body(
    relay: BodyRelay, first: bytes, end: StreamEnd, *, deadline: Deadline, idle_s: float
) -> Body:
    """Yield a response's bytes for the client as they come, and record how the stream ended.

    Args:
        relay: turns the provider's bytes into the client's; it has taken the first ones already.
        first: what became of those.
        end: records the end of the stream.
        deadline: that of the whole request.
        idle_s: how long the provider may be silent.
    """
    read, passed, redact = Read(deadline, idle_s), first, end.secrets.redact_content
    observation = end.observation
    is_watched = observation.wants_chunks
    seen = 0
    reason: Exception | None = None
    try:
        while True:
            if is_watched and relay.events > seen:
                observation.chunks(relay.events - seen)
                seen = relay.events
            if passed:
                yield passed
            if relay.is_over:
                if relay.error is not None or read.idle_s is None:
                    break
                # Nothing is missing: what is left is the end of the connection's framing.
                read = Read(deadline.or_sooner(end.clock(), "idle", _DRAIN_S))
            received = yield read
            if not received:
                break
            if received.__class__ is Failure:
                reason = received.error
                break
            passed = redact(relay.feed(received))
    except (ClientDisconnected, ServerShutdown) as thrown:
        reason = thrown
    except GeneratorExit:  # nobody reads on, and nobody has said why
        end.settle(relay, ClientDisconnected("the client went away"))
        raise
    if last := end.settle(relay, reason):
        yield last
