"""Counting the tokens of an input before it is sent."""

from __future__ import annotations

from typing import Any

from ..translation.counting import CountingProvider
from .translation import SIDES

__all__ = ["COUNTER"]

_COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "reasoning", "text")


def _counted(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the members of a request that are counted."""
    kept = {name: members[name] for name in _COUNTED if name in members}
    return kept if model is None else kept | {"model": model}


COUNTER = CountingProvider(SIDES, _counted, "input_tokens")
