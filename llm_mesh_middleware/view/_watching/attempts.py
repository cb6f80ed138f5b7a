"""The attempts of one call: when and why each was sent, and how it ended."""

from __future__ import annotations

import msgspec

from ..._core.values.messages import Failure, ResponseHead, UpstreamRequest
from ..values import Attempt
from .rhythm import Rhythm

__all__ = ["MadeAttempt", "begin_attempt", "explain_attempts", "is_failure", "milliseconds"]

# 4xx statuses that are about the provider or its key, not about the request.
_REFUSALS = frozenset((401, 403, 408, 429))


class MadeAttempt(msgspec.Struct):
    """An attempt that is under way; times are on the monotonic clock.

    It is counted under its `edge`: host, rule and provider.
    """

    edge: tuple[str, str, str]
    number: int
    provider: str
    host: str
    preferred_host: str
    model: str | None
    begun_at: float
    dropped: tuple[str, ...] = ()
    dialect: str = ""
    answered_at: float | None = None
    status: int | None = None
    error: str | None = None
    has_failed: bool = False
    is_streaming: bool = False
    rhythm: Rhythm | None = None

    def answer(self, answer: ResponseHead | Failure, now: float) -> None:
        """Take the response's head, or the failure."""
        self.answered_at = now
        if isinstance(answer, Failure):
            self.error, self.has_failed = answer.error.code, True
            return
        self.status = answer.status
        if answer.status >= 400:
            self.error, self.has_failed = str(answer.status), is_failure(answer.status)


def begin_attempt(
    request: UpstreamRequest,
    edge: tuple[str, str, str],
    model: str | None,
    now: float,
    dropped: tuple[str, ...] = (),
) -> MadeAttempt:
    """Begin to follow an attempt; `model` and `dropped` are already masked."""
    return MadeAttempt(
        edge,
        request.attempt,
        request.provider,
        request.endpoint.provider_host,
        request.preferred_host,
        model,
        now,
        dropped,
        request.dialect,
    )


def is_failure(status: int) -> bool:
    """Return whether a status counts as a failure of the provider, not of the request."""
    return status >= 500 or status in _REFUSALS


def explain_attempts(
    made: list[MadeAttempt], served: int | None, started_at: float, ended_at: float
) -> tuple[Attempt, ...]:
    """Return the attempts of a call that is over.

    Args:
        made: the attempts in the order in which they were sent.
        served: the number of the one whose response the client got.
        started_at: when the call began.
        ended_at: when it ended.
    """
    return tuple(
        [
            _explained(each, made[:index], each.number == served, started_at, ended_at)
            for index, each in enumerate(made)
        ]
    )


def _explained(
    made: MadeAttempt,
    earlier: list[MadeAttempt],
    is_served: bool,
    started_at: float,
    ended_at: float,
) -> Attempt:
    kind, why = _reason(made, earlier) if earlier else _first(made)
    # The response that the client gets is read until the call ends.
    end = ended_at if is_served or made.answered_at is None else made.answered_at
    rhythm = made.rhythm
    return Attempt(
        number=made.number,
        provider=made.provider,
        host=made.host,
        kind=kind,
        why=why,
        begun_ms=milliseconds(made.begun_at - started_at),
        took_ms=milliseconds(end - made.begun_at),
        model=made.model,
        status=made.status,
        error=made.error,
        is_served=is_served,
        is_cancelled=made.answered_at is None and not is_served,
        dropped=made.dropped,
        dialect=made.dialect,
        rhythm=() if rhythm is None else rhythm.bins(),
        bin_ms=0.0 if rhythm is None else milliseconds(rhythm.width_s),
    )


def milliseconds(seconds: float) -> float:
    """Return a duration with one decimal, in a tenth of the time that `round` takes."""
    return int(seconds * 10_000 + 0.5) / 10


def _first(made: MadeAttempt) -> tuple[str, str]:
    if made.host == made.preferred_host or not made.preferred_host:
        return "first", "the rule's choice"
    return "first", f"{made.preferred_host} is out of service"


def _reason(made: MadeAttempt, earlier: list[MadeAttempt]) -> tuple[str, str]:
    before = earlier[-1]
    if before.answered_at is None or before.answered_at > made.begun_at:
        return "hedge", f"attempt {before.number} had not answered yet"
    ending = f"attempt {before.number} ended with {before.error or 'an unusable response'}"
    if before.host == made.host:
        return "retry", ending
    return "fallback", ending
