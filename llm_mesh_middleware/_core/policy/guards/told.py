"""Guards in words: what each does about its findings, and where it looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...guarding.guard import Guard
from ...values.decision import Told
from ...values.messages import ClientRequest

__all__ = ["told"]

_EFFECTS = {"deny": "denies", "mask": "masks", "log": "reports"}


def told(guards: Iterable[Guard], side: str, request: ClientRequest) -> Iterator[Told]:
    """Yield what each guard has to do with a request."""
    for guard in guards:
        holds = guard.holds(request)
        text = f"{_EFFECTS[guard.action]} what it finds in the {side}"
        if guard.is_shadow:
            text += " (shadow: reports only)"
        if not holds:
            text = "no `when` of it matches"
        yield Told(guard.policy, guard.name, "guard", holds, text)
