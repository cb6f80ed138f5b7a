"""What an answer says of itself, for whoever keeps records: never its content unless asked to."""

from __future__ import annotations

import msgspec

from .usage import Usage

__all__ = ["AnswerSummary"]


class AnswerSummary(msgspec.Struct, frozen=True, gc=False):
    """One answer in short.

    `finish_reasons` has one per choice, in order; None for a choice that has none yet. `events`
    counts those of a stream. `body` is the whole answer as JSON, kept only where content is
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
