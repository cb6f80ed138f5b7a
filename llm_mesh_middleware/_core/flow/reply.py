"""What a client gets: a whole body, or a stream that is a generator.

A reply with a whole body is over when it is returned: everything about it has been recorded. A
stream keeps its provider's lease until its body ends, because how it ends is how the provider did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec

from ...exceptions import (
    AnswerableError,
    ClientDisconnected,
    ServerShutdown,
    UpstreamError,
    UpstreamTimeout,
)
from ..dialect import BodyRelay, ServedOperation
from ..http.response_headers import NOSNIFF
from ..provider.health import Lease
from ..provider.outliers import Result
from ..provider.secrets import Secrets
from ..values.messages import Deadline, Failure, error_object
from ..values.steps import Body, Read, Step, StepResult
from .observer import Observation

__all__ = ["Flow", "Reply", "StreamEnd", "refusal", "stream_body"]

# How long a connection is read on after the stream's own end, so that it can be used again.
_DRAIN_S = 0.9

# A client that holds up a stream for so long may have made the provider give it up.
_SLOW_S = 1.0


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


def refusal(error: AnswerableError, operation: ServedOperation | None = None) -> Reply:
    """Return the mesh's own reply to a request that cannot be served.

    Args:
        error: why.
        operation: what the client asked for; the error is in that dialect's form, and in OpenAI's
            where it is unknown.
    """
    if operation is None:
        body = error_object(error.message, type=error.type, code=error.code, param=error.param)
    else:
        body = operation.dialect.write_error(error)
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

    def settle(self, relay: BodyRelay, reason: Exception | None, held_s: float) -> bytes:
        """Record the end of a stream; return what the client still gets.

        The relay knows whether anything is missing: a stream that has come to its own end is whole,
        also if the client or the provider then hangs up. `held_s` is the longest that the client
        took to accept some bytes.
        """
        secrets = self.secrets
        last = secrets.redact_content(relay.finish() if reason is None else relay.abort(reason))
        error = relay.error
        if isinstance(error, UpstreamError):
            secrets.redact_error(error)
        cause = "" if error is None else f"a stream ended early: {error}"
        self.lease.end(_result(error, held_s), self.clock(), cause=cause)
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
    clock, held_s = end.clock, 0.0
    reason: Exception | None = None
    try:
        while True:
            if is_watched and relay.events > seen:
                observation.chunks(relay.events - seen)
                seen = relay.events
            if passed:
                since = clock()
                yield passed
                if (took_s := clock() - since) > held_s:
                    held_s = took_s
            if relay.is_over:
                if relay.error is not None:
                    break
                if read.idle_s is not None:
                    # Nothing is missing: what is left is the end of the connection's framing.
                    read = Read(deadline.or_sooner(clock(), "idle", _DRAIN_S))
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
        end.settle(relay, ClientDisconnected("the client went away"), held_s)
        raise
    if last := end.settle(relay, reason, held_s):
        yield last


def _result(error: Exception | None, held_s: float) -> Result:
    """Return what the end of a stream says of the provider: what others cause says nothing.

    The request's own limit ends streams that are merely long, and a provider gives up a client that
    reads too slowly.
    """
    if error is None:
        return "success"
    is_limit = isinstance(error, UpstreamTimeout) and error.phase == "request"
    is_others = is_limit or isinstance(error, ClientDisconnected | ServerShutdown)
    return "cancelled" if is_others or held_s > _SLOW_S else "failure"
