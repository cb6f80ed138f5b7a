"""OpenAI's Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core.dialect import ServedOperation
from ..._core.later import later
from ..._core.values.payload import Fields, read_count

if TYPE_CHECKING:
    from ..translation.counting import CountingProvider
    from .dialect import OpenAIResponses
    from .translation import ResponsesSides

__all__ = ["COUNTED_AT", "COUNTER", "DIALECT", "OPERATIONS", "RESPONSES", "SIDES"]

DIALECT: OpenAIResponses = later(
    __name__, ".dialect", "DIALECT", name="openai.responses", key_field=b"authorization"
)
SIDES: ResponsesSides = later(__name__, ".translation", "SIDES", name="openai.responses")
COUNTER: CountingProvider = later(__name__, ".counting", "COUNTER")

# The end of the path that counts, after that of responses.
COUNTED_AT = "/input_tokens"


def _output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens, None without one."""
    return read_count(fields, "max_output_tokens")


RESPONSES = ServedOperation(
    "responses",
    "/responses",
    dialect=DIALECT,
    is_generation=True,
    output_limit=_output_limit,
    continues_by="previous_response_id",
    client=SIDES,
    provider=SIDES,
)

OPERATIONS = (RESPONSES,)
