"""OpenAI's error object, which its chat and its Responses API share."""

from __future__ import annotations

import msgspec

from ..exceptions import AnswerableError

__all__ = ["error_body"]


def error_body(error: AnswerableError) -> bytes:
    """Return an error object, all four members present."""
    told = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    return msgspec.json.encode({"error": told})
