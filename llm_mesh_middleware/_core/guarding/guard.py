"""A guard: its recogniser, the texts it applies to, and its action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ...exceptions import ContentBlocked
from ..routing.matching import Match
from ..values.messages import ClientRequest
from .finding import Recogniser

__all__ = ["Guard", "Report", "blocked"]

Action = Literal["deny", "mask", "log"]


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a policy, compiled.

    Attributes:
        policy: namespace and name of the policy.
        scanner: the recogniser.
        sides: `request`, `response`, or both.
        roles: the roles whose turns of a request are checked; None for every text of it.
        when: the requests it applies to; empty means all.
        unmasks: whether values that were masked in a request are restored in its reply.
        message: the message to a refused client.
        is_shadow: whether findings are only reported.
    """

    policy: str
    name: str
    scanner: Recogniser
    action: Action
    sides: frozenset[str]
    roles: frozenset[str] | None = None
    when: tuple[Match, ...] = ()
    unmasks: bool = False
    status: int = 403
    message: str = ""
    is_shadow: bool = False
    digest: bytes = b""

    @property
    def effect(self) -> str:
        """The action on a finding."""
        return "log" if self.is_shadow else self.action

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the guard applies to a request."""
        return not self.when or any(match.holds(request) for match in self.when)


# Called with each finding: the guard, and the name of the entity; never the value.
Report = Callable[[Guard, str], None]


def blocked(guard: Guard) -> ContentBlocked:
    """Return the error of a guard that denies."""
    message = guard.message or f"the guard {guard.name!r} of this LLM mesh blocks this content"
    return ContentBlocked(message, status=guard.status, guard=guard.name)
