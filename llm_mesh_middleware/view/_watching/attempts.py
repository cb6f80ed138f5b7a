"""The attempts of one call while it is under way: when each was sent, and how it ended."""

from __future__ import annotations

import msgspec

from ..._core.values.messages import Failure, ResponseHead, UpstreamRequest
from .rhythm import Rhythm

__all__ = ["UNUSABLE", "MadeAttempt", "begin_attempt"]

UNUSABLE = "an unusable response"

# 4xx statuses that are about the provider or its key, not about the request.
_REFUSALS = frozenset((401, 403, 408, 429))


class MadeAttempt(msgspec.Struct):
    """An attempt as its hooks have noted it; times are on the monotonic clock.

    `ended_at` is None while it is under way. `error` is also set for a status that is the request's
    fault; only then `has_failed` is false.
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
    is_streaming: bool = False
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
