"""A guard: what it looks for, where, and what it does about it."""

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
        scanner: finds what the guard is about.
        sides: `request`, `response`, or both.
        roles: whose turns of a request are looked at; None for every text of it.
        when: the requests it is for; none means all.
        unmasks: whether the client gets the values back that were masked in its request.
        message: the message to a refused client.
        is_shadow: findings are reported, and nothing is done about them.
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
        """What is done about a finding."""
        return "log" if self.is_shadow else self.action

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the guard is for a request."""
        return not self.when or any(match.holds(request) for match in self.when)


# Called with each finding: the guard, and the name of the entity; never the value.
Report = Callable[[Guard, str], None]


def blocked(guard: Guard) -> ContentBlocked:
    """Return the error that a guard refuses with."""
    message = guard.message or f"the guard {guard.name!r} of this LLM mesh blocks this content"
    return ContentBlocked(message, status=guard.status, guard=guard.name)
