"""Counting the tokens of a message before it is sent."""

from __future__ import annotations

from typing import Any

from ..translation.counting import CountingClient, CountingProvider
from . import VERTEX_VERSION
from .translation import SIDES

__all__ = ["COUNTER", "COUNTING_CLIENT", "VERTEX_COUNTER"]

# The member of a response with the count.
_COUNTED_AS = "input_tokens"
_MEMBERS = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")


def _counted(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the members of a request that are counted."""
    return {name: members[name] for name in _MEMBERS if name in members}


def _counted_at_vertex(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the request in the form of Vertex AI, which has the model in the body here."""
    kept = _counted(members, model)
    return {**kept, "model": model, "anthropic_version": VERTEX_VERSION}


COUNTING_CLIENT = CountingClient(SIDES.read_request, SIDES.write_fault, _COUNTED_AS)
COUNTER = CountingProvider(SIDES, _counted, _COUNTED_AS)
VERTEX_COUNTER = CountingProvider(SIDES, _counted_at_vertex, _COUNTED_AS)
