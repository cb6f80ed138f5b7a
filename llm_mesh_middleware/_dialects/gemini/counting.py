"""Counting the tokens of contents before they are sent.

A request for a count has the contents alone, or a whole request with its tools and instructions.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..._core.conversation.request import Conversation
from ..._core.values.messages import ClientRequest
from ..._core.values.payload import Fields, read_fields
from ..translation.counting import CountingClient, CountingProvider
from .translation import SIDES

__all__ = ["COUNTER", "COUNTING_CLIENT", "VERTEX_COUNTER"]

# The member of a response with the count.
_COUNTED_AS = "totalTokens"
_OF_VERTEX = ("contents", "systemInstruction", "tools")


def _read(request: ClientRequest) -> Conversation:
    inner: Fields = read_fields(request.fields, "generateContentRequest")
    return SIDES.read_request(replace(request, fields=inner) if inner else request)


def _counted(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the count request for a whole request, which repeats its model."""
    return {"generateContentRequest": {"model": f"models/{model}", **members}}


def _counted_at_vertex(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the count request in the form of Vertex AI."""
    return {name: members[name] for name in _OF_VERTEX if name in members}


COUNTING_CLIENT = CountingClient(_read, SIDES.write_fault, _COUNTED_AS)
COUNTER = CountingProvider(SIDES, _counted, _COUNTED_AS)
VERTEX_COUNTER = CountingProvider(SIDES, _counted_at_vertex, _COUNTED_AS)
