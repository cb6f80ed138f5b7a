"""What a guard that asks is told: a question about texts, and the verdict on them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ...pricing.charge import Charge
from ...values.headers import Headers
from ...values.messages import Deadline
from ...values.steps import Step
from ..finding import Finding
from ..guard import Guard

__all__ = [
    "ALLOWED",
    "AskingGuard",
    "Circumstances",
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


class NoVerdict(Exception):
    """Whoever was asked gave no verdict; `cause` says why, without a word of what it said."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


class Circumstances(msgspec.Struct, frozen=True):
    """What an inspector needs of the call that it is asked about.

    Attributes:
        deadline: until when the verdict is waited for.
        headers: the client's, of which only the hops are used.
        mesh_id: the mesh's name among the hops.
        charged: is told what the inspector has cost.
    """

    deadline: Deadline
    headers: Headers
    mesh_id: str
    wall_clock: Callable[[], float]
    charged: Callable[[Charge], None]


class Inspector(Protocol):
    """Asks for verdicts; immutable, calls share it."""

    kind: str

    def ask(self, question: Question, about: Circumstances) -> Generator[Step, Any, Verdict]:
        """Return the verdict on the texts of a question.

        Raises:
            NoVerdict: there is none, whatever the reason.
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
    """

    guard: Guard
    inspector: Inspector
    timeout_s: float
    is_open: bool = False
    window: int | None = None
    overlap: int = 0
