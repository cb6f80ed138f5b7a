"""Counting a message's tokens before it is sent: at the provider, or by an estimate.

the provider speaks the Messages API ──► it counts, with its own model's tokenizer
else ──► an estimate
"""

from __future__ import annotations

import msgspec

from ..._core.values.messages import ClientRequest
from ..same import SameTransformer
from ..translation.counting import estimate_tokens
from .translation.request_reader import read_request

__all__ = ["CountTransformer", "write_estimate"]

_MEMBER = "input_tokens"


class CountTransformer(SameTransformer):
    """Asks for a count under the name that the provider has for the model."""

    def _model(self) -> str | None:
        return self._upstream.model or super()._model()


def write_estimate(request: ClientRequest) -> tuple[bytes, bytes]:
    """Return the reply to a question for a count that no provider answers, and what it estimates.

    Raises:
        MalformedRequest: The request is none of the Messages API.
        UnsupportedField: It holds what could not be sent to the provider either.
    """
    counted = {_MEMBER: estimate_tokens(read_request(request.fields))}
    return msgspec.json.encode(counted), _MEMBER.encode()
