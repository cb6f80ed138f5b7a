"""Efforts and budgets, the two ways to limit how much a model thinks."""

from __future__ import annotations

from collections.abc import Mapping

from ..._core.conversation.request import Thinking

__all__ = ["MIN_BUDGET", "budget_of", "effort_of", "is_off"]

# The minimum of Anthropic's API.
MIN_BUDGET = 1024

_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
# A budget below the number is converted to the effort.
_STEPS = ((2000, "low"), (8000, "medium"), (24_000, "high"))


def is_off(thinking: Thinking) -> bool:
    """Return whether the client disables thinking."""
    return thinking.effort == "none" or thinking.budget == 0


def effort_of(thinking: Thinking) -> str | None:
    """Return the requested effort; None leaves it to the provider."""
    if thinking.effort is not None:
        return thinking.effort
    if not thinking.budget:
        return None
    return next((effort for below, effort in _STEPS if thinking.budget < below), "xhigh")


def budget_of(thinking: Thinking, configured: Mapping[str, int]) -> int | None:
    """Return the requested budget; None leaves it to the provider.

    Args:
        thinking: the client's request.
        configured: the provider's own budgets for efforts.
    """
    if thinking.budget is not None:
        return thinking.budget
    effort = thinking.effort or ""
    return configured.get(effort) or _BUDGETS.get(effort)
