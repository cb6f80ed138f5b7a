"""Counting the tokens of an input before it is sent."""

from __future__ import annotations

from typing import Any

__all__ = ["COUNTED_AS", "COUNTED_AT", "counted"]

# The member of a response with the count, and the end of the path, after that of responses.
COUNTED_AS, COUNTED_AT = "input_tokens", "/input_tokens"
_COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "reasoning", "text")


def counted(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the members of a request that are counted."""
    kept = {name: members[name] for name in _COUNTED if name in members}
    return kept if model is None else kept | {"model": model}
