"""What observers are told of guards: which one has done what, and the entity; never a value."""

from __future__ import annotations

from collections.abc import Callable

from ...flow.call import Call
from ...guarding.guard import Guard
from ...values.decision import Decision

__all__ = ["decision_of", "reporter"]

_EFFECTS = {"deny": "denied", "mask": "masked", "log": "logged"}


def decision_of(guard: Guard, decision: str, entity: str = "") -> Decision:
    """Return a decision of a guard."""
    return Decision(guard.policy, guard.name, "guard", decision, entity)


def reporter(call: Call) -> Callable[[Guard, str], None]:
    """Return what reports findings."""

    def report(guard: Guard, entity: str) -> None:
        effect = _EFFECTS[guard.action]
        decision = f"shadow_{effect}" if guard.is_shadow else effect
        call.account.decided(decision_of(guard, decision, entity))

    return report
