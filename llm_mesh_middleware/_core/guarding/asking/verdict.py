"""The exchange with a service that a guard asks: a question about texts, and a verdict."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ...asking.side_call import Circumstances, NoAnswer
from ...values.messages import ClientRequest
from ...values.steps import Step
from ..finding import Finding
from ..guard import Guard

__all__ = [
    "ALLOWED",
    "AskingGuard",
    "Inspector",
    "NoVerdict",
    "Question",
    "Verdict",
]


class Question(msgspec.Struct, frozen=True):
    """Texts of one side of a call: `request` or `response`."""

    policy: str
    guard: str
    side: str
    model: str | None
    texts: Sequence[str]


class Verdict(msgspec.Struct, frozen=True):
    """What is found in each text, by its index, and what the texts as a whole are denied for."""

    findings: Mapping[int, Sequence[Finding]] = {}
    denied_as: str = ""


ALLOWED = Verdict()


class NoVerdict(NoAnswer):
    """What was answered is not a verdict."""


class Inspector(Protocol):
    """Asks for verdicts; immutable, calls share it."""

    kind: str

    def ask(self, question: Question, about: Circumstances) -> Generator[Step, Any, Verdict]:
        """Return the verdict on the texts of a question.

        Raises:
            NoAnswer: there is none, whatever the reason.
        """


class AskingGuard(msgspec.Struct, frozen=True, kw_only=True):
    """A guard whose findings are asked for.

    Attributes:
        guard: what is done about findings; its own scanner is not used.
        inspector: is asked.
        timeout_s: how long one verdict may take.
        is_open: whether texts without a verdict pass.
        window: after how many characters of a stream to ask; None for its end only.
        overlap: how many of them to ask about again, together with what follows.
        is_concurrent: whether the call is made while the verdict on its request is waited for.
    """

    guard: Guard
    inspector: Inspector
    timeout_s: float
    is_open: bool = False
    window: int | None = None
    overlap: int = 0
    is_concurrent: bool = False

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the guard is for a request."""
        return self.guard.holds(request)
