"""The facts of a response for records; its content only where that is recorded."""

from __future__ import annotations

import msgspec

from .usage import Usage

__all__ = ["AnswerSummary"]


class AnswerSummary(msgspec.Struct, frozen=True, gc=False):
    """The facts of one response.

    `finish_reasons` has one per choice, in order; None for a choice that has none yet. `events`
    counts those of a stream. `body` is the whole response as JSON, kept only where content is
    recorded.
    """

    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    finish_reasons: tuple[str | None, ...] = ()
    usage: Usage | None = None
    events: int = 0
    body: bytes | None = None
