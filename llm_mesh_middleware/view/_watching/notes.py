"""Notes of hooks on a call and its attempts; times are on the monotonic clock.

gc=False: these objects hold no references that could form a cycle, and thousands of them wait to be
counted or read.
"""

from __future__ import annotations

import msgspec

from ..._core.pricing.charge import Charge
from ..._core.values.messages import Failure, ResponseHead, UpstreamRequest
from ..._core.values.operations import Operation
from ..._core.values.selection import Selection
from ..._core.values.usage import Usage
from ..values import PolicyDecision
from .rhythm import Rhythm

__all__ = ["ABANDONED", "UNUSABLE", "EndedCall", "MadeAttempt", "begin_attempt"]

ABANDONED = "client_disconnect"
UNUSABLE = "an unusable response"

# 4xx statuses that are about the provider or its key, not about the request.
_REFUSALS = frozenset((401, 403, 408, 429))


class MadeAttempt(msgspec.Struct, gc=False):
    """An attempt; `ended_at` is None while it is under way.

    `error` is also set for a status that is the request's fault; only then `has_failed` is false.
    `first_at` is when the first event of the client's stream came, `tokens` are those of the
    client's response, input and output.
    """

    number: int
    provider: str
    host: str
    preferred_host: str
    model: str | None
    begun_at: float
    dropped: tuple[str, ...] = ()
    dialect: str = ""
    answered_at: float | None = None
    ended_at: float | None = None
    status: int | None = None
    error: str | None = None
    has_failed: bool = False
    first_at: float | None = None
    tokens: int = 0
    is_cancelled: bool = False
    rhythm: Rhythm | None = None

    def answer(self, answer: ResponseHead | Failure, now: float) -> None:
        """Take the response's head, or the failure."""
        self.answered_at = now
        if answer.__class__ is Failure:
            self.fail(answer.error.code, now)
            return
        self.status = status = answer.status  # type: ignore[union-attr]
        if status >= 400:
            self.error = str(status)
            if status >= 500 or status in _REFUSALS:
                self.fail(self.error, now)

    def fail(self, error: str, now: float) -> None:
        """End it at `now`; an error that is known already is kept."""
        self.error, self.has_failed, self.ended_at = self.error or error, True, now


class EndedCall(msgspec.Struct, frozen=True, gc=False):
    """A call that has ended, without its request; texts of others are masked.

    `at` is when it began in seconds since the epoch, `served` the attempt that the client got the
    response of.
    """

    host: str
    at: float
    begun_at: float
    ended_at: float
    selection: Selection | None
    attempts: tuple[MadeAttempt, ...]
    served: MadeAttempt | None
    status: int | None
    error: str | None
    usage: Usage | None
    events: int
    operation: Operation | None
    model: str | None
    consumer: str | None
    facts: tuple[tuple[str, str, str], ...]
    trace_id: str | None
    decisions: tuple[PolicyDecision, ...]
    charges: tuple[Charge, ...]


def begin_attempt(request: UpstreamRequest, now: float) -> MadeAttempt:
    """Begin to follow an attempt."""
    return MadeAttempt(
        request.attempt,
        request.provider,
        request.endpoint.provider_host,
        request.preferred_host,
        request.model,
        now,
        request.dropped,
        request.dialect,
    )
