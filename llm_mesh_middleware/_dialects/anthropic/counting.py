"""Counting the tokens of a message before it is sent."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.request import Conversation
from ..._core.values.messages import ClientRequest
from ..same import SameTransformer
from ..translation.counting import CountingClient
from .hosting import VERTEX_VERSION
from .translation.answers import write_fault
from .translation.request_reader import read_request

__all__ = [
    "COUNTED_AS",
    "COUNTING_CLIENT",
    "CountTransformer",
    "counted",
    "counted_at_vertex",
]

# The member of a response with the count.
COUNTED_AS = "input_tokens"
_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")


class CountTransformer(SameTransformer):
    """Requests a count with the provider's name of the model."""

    model_is_always_set = True


def _read(request: ClientRequest) -> Conversation:
    return read_request(request.fields)


def counted(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the members of a request that are counted."""
    return {name: members[name] for name in _COUNTED if name in members}


def counted_at_vertex(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return the request in the form of Vertex AI, which has the model in the body here."""
    kept = counted(members, model)
    return {**kept, "model": model, "anthropic_version": VERTEX_VERSION}


COUNTING_CLIENT = CountingClient(_read, write_fault, COUNTED_AS)
