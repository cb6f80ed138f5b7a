"""An estimate of a request's tokens, for clients whose provider speaks another dialect.

A question for a count has the contents alone, or a whole request with its tools and instructions.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ..._core.values.messages import ClientRequest
from ..._core.values.payload import Fields, read_fields
from ..translation.counting import estimate_tokens
from .translation.request_reader import read_request

__all__ = ["write_estimate"]

_MEMBER = "totalTokens"


def write_estimate(request: ClientRequest) -> tuple[bytes, bytes]:
    """Return the reply to a question for a count that no provider answers, and what it estimates.

    Raises:
        MalformedRequest: The request is none of the Gemini API.
        UnsupportedField: It holds what could not be sent to the provider either.
    """
    inner: Fields = read_fields(request.fields, "generateContentRequest")
    if inner:
        request = replace(request, fields=inner)
    return msgspec.json.encode({_MEMBER: estimate_tokens(read_request(request))}), _MEMBER.encode()
