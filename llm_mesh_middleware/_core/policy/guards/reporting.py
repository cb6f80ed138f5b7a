"""Reports guards to observers: the guard, its action and the entity, never a value."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ...flow.call import Call
from ...flow.reply import Reply
from ...guarding.guard import Guard
from ...values.decision import Decision

__all__ = ["decision_of", "reporter", "with_effects"]

_FIELD = b"x-llm-mesh-guards"
_EFFECTS = {"deny": "denied", "mask": "masked", "log": "logged"}


def decision_of(guard: Guard, decision: str, entity: str = "") -> Decision:
    """Return a decision of a guard."""
    return Decision(guard.policy, guard.name, "guard", decision, entity)


def reporter(call: Call) -> Callable[[Guard, str], None]:
    """Return the function that reports a finding."""

    def report(guard: Guard, entity: str) -> None:
        effect = _EFFECTS[guard.action]
        decision = f"shadow_{effect}" if guard.is_shadow else effect
        account, noted = call.account, f"{decision} {guard.name}"
        if noted not in account.effects:
            account.effects += (noted,)
        account.decided(decision_of(guard, decision, entity))

    return report


def with_effects(reply: Reply, call: Call) -> Reply:
    """Return a reply whose header lists the effects of guards so far."""
    effects = call.account.effects
    if not effects or not call.account.shows_effects:
        return reply
    headers = [field for field in reply.headers if field[0] != _FIELD]
    return replace(reply, headers=[*headers, (_FIELD, ", ".join(effects).encode())])
