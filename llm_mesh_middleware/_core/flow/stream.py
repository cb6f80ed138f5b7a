"""The body of a streamed reply, from its first byte to its end or the point where it breaks off.

    provider sends bytes     relayed, redacted, yielded for the client
    its own end              drained for a moment, so that the connection can be used again
    provider breaks off      the client gets an error event
    client disconnects       thrown in by the driver; nothing is left to send
    server shuts down        thrown in by the driver; the client gets an error event

Each of them settles once: the lease ends with its result for the provider's health, and observers
are notified.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...exceptions import (
    ClientDisconnected,
    ContentBlocked,
    PolicyUnavailable,
    ServerShutdown,
    UpstreamError,
    UpstreamTimeout,
)
from ..dialect import BodyRelay
from ..provider.health import Lease
from ..provider.outliers import Result
from ..provider.secrets import Secrets
from ..values.messages import Deadline, Failure
from ..values.steps import Body, Read
from ..values.summary import AnswerSummary
from .observer import Observation

__all__ = ["StreamEnd", "stream_body"]

# How long to drain a connection after the stream's own end, so that it can be reused.
_DRAIN_S = 0.9

# Errors that are not the provider's fault.
_NOT_ITS_FAULT = (ClientDisconnected, ContentBlocked, PolicyUnavailable, ServerShutdown)

# A client that blocks a stream for so long may have caused the provider to drop it.
_SLOW_S = 1.0


class StreamEnd(msgspec.Struct, frozen=True):
    """Records the end of a stream.

    `status` is the client's, `lease` the provider's; `secrets` are redacted for observers;
    `conclude` is called with the summary.
    """

    status: int
    lease: Lease
    secrets: Secrets
    clock: Callable[[], float]
    observation: Observation
    conclude: Callable[[AnswerSummary], object]

    def settle(self, relay: BodyRelay, reason: Exception | None, held_s: float) -> bytes:
        """Record the end of a stream; return the client's last bytes.

        The relay knows whether anything is missing: a stream that has reached its own end is
        complete, even if the client or the provider then disconnects. `held_s` is the longest that
        the client took to accept bytes.
        """
        secrets = self.secrets
        last = secrets.redact_content(relay.finish() if reason is None else relay.abort(reason))
        error = relay.error
        if isinstance(error, UpstreamError):
            secrets.redact_error(error)
        cause = "" if error is None else f"a stream ended early: {error}"
        self.lease.end(_result(error, held_s), self.clock(), cause=cause)
        summary = secrets.redact_summary(relay.summary)
        self.conclude(summary)
        self.observation.summarised(summary)
        self.observation.ended(self.status, error, summary.usage)
        return last


def stream_body(
    relay: BodyRelay, first: bytes, end: StreamEnd, *, deadline: Deadline, idle_s: float
) -> Body:
    """Yield a response's bytes for the client as they come, and record how the stream ended.

    Args:
        relay: converts the provider's bytes to the client's; it has consumed the first ones.
        first: those bytes, converted.
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
            if is_watched and (events := relay.events) > seen:
                observation.chunks(events - seen)
                seen = events
            if passed:
                since = clock()
                yield passed
                if (took_s := clock() - since) > held_s:
                    held_s = took_s
            if relay.is_over:
                if relay.error is not None:
                    break
                if read.idle_s is not None:
                    # The stream is complete: only the end of the connection's framing is left.
                    read = Read(deadline.or_sooner(clock(), "idle", _DRAIN_S))
            received = yield read
            if not received:
                break
            if received.__class__ is Failure:
                reason = received.error
                break
            passed = redact(relay.feed(received))
    except _NOT_ITS_FAULT as thrown:
        reason = thrown.with_traceback(None)  # it has this frame, which holds the relay's error
    except GeneratorExit:  # closed by garbage collection or shutdown, without a reason
        end.settle(relay, ClientDisconnected("the client went away"), held_s)
        raise
    if last := end.settle(relay, reason, held_s):
        yield last


def _result(error: Exception | None, held_s: float) -> Result:
    """Return the result for the provider's health; causes outside it do not count.

    The request's deadline ends streams that are merely long, and a provider may drop a client that
    reads too slowly.
    """
    if error is None:
        return "success"
    is_limit = isinstance(error, UpstreamTimeout) and error.phase == "request"
    is_others = is_limit or isinstance(error, _NOT_ITS_FAULT)
    return "cancelled" if is_others or held_s > _SLOW_S else "failure"
