"""Counting a message's tokens before it is sent: at the provider, or by an estimate.

the provider speaks the Messages API ──► it counts, with its own model's tokenizer
else ──► an estimate from the lengths of the texts; rather too many than too few, since clients
         shorten a conversation by it before a model refuses it
"""

from __future__ import annotations

import msgspec

from ..._core.conversation.parts import Document, Image, Part, Reasoning, ToolCall, ToolResult
from ..._core.values.messages import ClientRequest
from ..same import SameTransformer
from ..translation.texts import text_of
from .translation.request_reader import read_request

__all__ = ["CountTransformer", "estimate_tokens"]

# Bytes of UTF-8 for a token, tokens around a message, and tokens for an image or a page.
_BYTES = 3.6
_AROUND = 8
_IMAGE = 1100
# Base64 data of a document for a page of it.
_PAGE_BYTES = 60_000


class CountTransformer(SameTransformer):
    """Asks for a count under the name that the provider has for the model."""

    def _model(self) -> str | None:
        return self._upstream.model or super()._model()


def estimate_tokens(request: ClientRequest) -> tuple[bytes, bytes]:
    """Return the reply to a question for a count that no provider answers, and what it estimates.

    Raises:
        MalformedRequest: The request is none of the Messages API.
        UnsupportedField: It holds what could not be sent to the provider either.
    """
    conversation = read_request(request.fields)
    size = len(text_of(conversation.system).encode())
    for tool in conversation.tools:
        size += len(tool.name.encode()) + len(tool.description.encode()) + len(tool.schema)
    tokens = _AROUND * (1 + len(conversation.turns) + len(conversation.tools))
    for turn in conversation.turns:
        for part in turn.parts:
            inside, beside = _sizes(part)
            size, tokens = size + inside, tokens + beside
    counted = {"input_tokens": int(size / _BYTES) + tokens}
    return msgspec.json.encode(counted), b"input_tokens"


def _sizes(part: Part) -> tuple[int, int]:
    """Return the bytes of text in a part, and the tokens of what is no text."""
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
