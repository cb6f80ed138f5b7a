"""The interface of remote guards: a question about texts, and a verdict."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ...side_calls.side_call import SideCallContext, SideCallFailed
from ...values.messages import ClientRequest
from ...values.steps import Step
from ..finding import Finding
from ..guard import Guard

__all__ = [
    "ALLOWED",
    "RemoteGuard",
    "Inspector",
    "InvalidVerdict",
    "Question",
    "Verdict",
]


class Question(msgspec.Struct, frozen=True):
    """Texts of one side of a call, `request` or `response`, for an inspector."""

    policy: str
    guard: str
    side: str
    model: str | None
    texts: Sequence[str]


class Verdict(msgspec.Struct, frozen=True):
    """The findings in each text, by its index, or the entity that all texts are denied for."""

    findings: Mapping[int, Sequence[Finding]] = {}
    denied_as: str = ""


ALLOWED = Verdict()


class InvalidVerdict(SideCallFailed):
    """The response is not a verdict."""


class Inspector(Protocol):
    """Gets verdicts from a service or a model; immutable, calls share it."""

    kind: str

    def ask(self, question: Question, context: SideCallContext) -> Generator[Step, Any, Verdict]:
        """Return the verdict on the texts of a question.

        Raises:
            SideCallFailed: there is none.
        """


class RemoteGuard(msgspec.Struct, frozen=True, kw_only=True):
    """A guard whose findings come from an inspector.

    Attributes:
        guard: the action on findings; its scanner is not used.
        inspector: gives verdicts.
        timeout_s: the timeout of one verdict.
        is_open: whether texts without a verdict pass.
        window: the characters of a stream in one question; None to submit only at its end.
        overlap: how many of them to submit again, together with what follows.
        is_concurrent: whether the call is made before the verdict on its request.
    """

    guard: Guard
    inspector: Inspector
    timeout_s: float
    is_open: bool = False
    window: int | None = None
    overlap: int = 0
    is_concurrent: bool = False

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the guard applies to a request."""
        return self.guard.holds(request)
