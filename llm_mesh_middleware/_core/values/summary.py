"""The facts of a response for records; its content only where that is recorded."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from .usage import Usage

__all__ = ["AnswerSummary", "SummaryDetail", "Whole"]

# How much of a response is read: reading all its facts is a tenth of the work of a call.
SummaryDetail = Literal["nothing", "usage", "facts"]


class AnswerSummary(msgspec.Struct, frozen=True, gc=False):
    """The facts of one response.

    `finish_reasons` has one per choice, in order; None for a choice that has none yet. `events`
    counts those of a stream. `body` is the whole response as JSON, kept only where content is
    recorded. `dropped` names the parts of it that the client's dialect does not have.
    """

    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    finish_reasons: tuple[str | None, ...] = ()
    usage: Usage | None = None
    events: int = 0
    body: bytes | None = None
    dropped: tuple[str, ...] = ()


class Whole(Protocol):
    """A whole response whose facts were read."""

    @property
    def is_error(self) -> bool:
        """Whether it is an error object, whatever its status."""

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return its facts; `body` is kept with them."""

    def counted(self) -> Usage | None:
        """Return its token counts, a part of its facts."""
