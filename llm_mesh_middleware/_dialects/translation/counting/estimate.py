"""An estimate of the tokens of a conversation that no provider has counted.

It is based on the lengths of the texts, and rather too high than too low: clients use it to shorten
a conversation before a model refuses it.
"""

from __future__ import annotations

from ...._core.conversation.parts import Document, Image, Part, Reasoning, ToolCall, ToolResult
from ...._core.conversation.request import Conversation
from ..texts import text_of

__all__ = ["estimate_tokens"]

# Bytes of UTF-8 for a token, tokens around a message, and tokens for an image or a page.
_BYTES = 3.6
_AROUND = 8
_IMAGE = 1100
# Base64 data of a document for a page of it.
_PAGE_BYTES = 60_000


def estimate_tokens(conversation: Conversation) -> int:
    """Return the approximate number of tokens in a conversation."""
    size = len(text_of(conversation.system).encode())
    for tool in conversation.tools:
        size += len(tool.name.encode()) + len(tool.description.encode()) + len(tool.schema)
    tokens = _AROUND * (1 + len(conversation.turns) + len(conversation.tools))
    for turn in conversation.turns:
        for part in turn.parts:
            inside, beside = _sizes(part)
            size, tokens = size + inside, tokens + beside
    return int(size / _BYTES) + tokens


def _sizes(part: Part) -> tuple[int, int]:
    """Return the bytes of text in a part, and the tokens of its other content."""
    match part:
        case ToolCall():
            return len(part.name.encode()) + len(part.arguments.encode()), _AROUND
        case ToolResult() | Document(parts=(_, *_)):
            sizes = [_sizes(inner) for inner in part.parts]
            return sum(size for size, _ in sizes), _AROUND + sum(tokens for _, tokens in sizes)
        case Document():
            pages = 1 + len(part.data) // _PAGE_BYTES if part.data else 0
            return len(part.text.encode()), pages * _IMAGE
        case Image():
            return 0, _IMAGE
        case Reasoning():
            return 0, 0  # not sent to another dialect's provider
    return len(text_of((part,)).encode()), 0
