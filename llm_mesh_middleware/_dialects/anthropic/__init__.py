"""Anthropic's Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core.dialect import ServedOperation
from ..._core.later import later
from ..._core.values.payload import Fields, read_count

if TYPE_CHECKING:
    from ..translation.counting import CountingClient, CountingProvider
    from .dialect import AnthropicMessages
    from .translation import MessagesSides

__all__ = [
    "COUNTER",
    "COUNT_TOKENS",
    "DIALECT",
    "MESSAGES",
    "OPERATIONS",
    "SIDES",
    "VERTEX_COUNTER",
    "VERTEX_VERSION",
]

DIALECT: AnthropicMessages = later(
    __name__, ".dialect", "DIALECT", name="anthropic.messages", key_field=b"x-api-key"
)
SIDES: MessagesSides = later(__name__, ".translation", "SIDES", name="anthropic.messages")
COUNTER: CountingProvider = later(__name__, ".counting", "COUNTER")
VERTEX_COUNTER: CountingProvider = later(__name__, ".counting", "VERTEX_COUNTER")
_COUNTING: CountingClient = later(__name__, ".counting", "COUNTING_CLIENT")

# The version that a body states at Vertex AI.
VERTEX_VERSION = "vertex-2023-10-16"


def _output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens, None without one."""
    return read_count(fields, "max_tokens")


# The Assistants API has paths that end in `/messages` as well.
MESSAGES = ServedOperation(
    "chat",
    "/messages",
    dialect=DIALECT,
    is_generation=True,
    client_suffix="/v1/messages",
    output_limit=_output_limit,
    client=SIDES,
    provider=SIDES,
)

COUNT_TOKENS = ServedOperation(
    "count_tokens",
    "/messages/count_tokens",
    dialect=DIALECT,
    client_suffix="/v1/messages/count_tokens",
    counting=_COUNTING,
)

OPERATIONS = (MESSAGES, COUNT_TOKENS)
