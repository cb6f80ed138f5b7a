"""Explains guards: the action of each, and the texts that it checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...guarding.guard import Guard
from ...guarding.remote.verdict import RemoteGuard
from ...guarding.shape import SchemaGuard
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest

__all__ = ["explain_guards"]

_EFFECTS = {"deny": "denies", "mask": "masks", "log": "reports"}


def explain_guards(
    guards: Iterable[Guard | RemoteGuard | SchemaGuard], side: str, request: ClientRequest
) -> Iterator[ItemExplanation]:
    """Yield for each guard whether it applies to a request, and what it does."""
    for each in guards:
        guard = each if isinstance(each, Guard) else each.guard
        holds = guard.holds(request)
        text = f"{_EFFECTS[guard.action]} what it finds in the {side}"
        if isinstance(each, SchemaGuard):
            text = f"{_EFFECTS[guard.action]} an answer that does not fit its schema"
            text += ", once it is whole: streams are held back"
        if isinstance(each, RemoteGuard):
            text += f": asks a {each.inspector.kind} within {each.timeout_s:g} s"
            if each.is_concurrent and side == "request":
                text += ", while the call is made; its reply waits for the verdict"
            text += "; without a verdict it passes" if each.is_open else "; without a verdict 503"
        if guard.is_shadow:
            text += " (shadow: reports only)"
        if not holds:
            text = "no `when` of it matches"
        yield ItemExplanation(guard.policy, guard.name, "guard", holds, text)
