"""Google's Gemini API, of AI Studio and of Vertex AI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core.dialect import ServedOperation
from ..._core.later import later
from ..._core.values.payload import Fields, read_count, read_fields

if TYPE_CHECKING:
    from ..translation.counting import CountingClient, CountingProvider
    from .dialect import Gemini
    from .translation import GeminiSides

__all__ = [
    "COUNT",
    "COUNTER",
    "DIALECT",
    "EVENTS",
    "GENERATE",
    "OPERATIONS",
    "SIDES",
    "STREAM",
    "VERTEX_COUNTER",
]

# The part of the query that asks for a stream of events.
EVENTS = "alt=sse"

DIALECT: Gemini = later(
    __name__, ".dialect", "DIALECT", name="gcp.gemini", key_field=b"x-goog-api-key"
)
SIDES: GeminiSides = later(__name__, ".translation", "SIDES", name="gcp.gemini")
COUNTER: CountingProvider = later(__name__, ".counting", "COUNTER")
VERTEX_COUNTER: CountingProvider = later(__name__, ".counting", "VERTEX_COUNTER")
_COUNTING: CountingClient = later(__name__, ".counting", "COUNTING_CLIENT")


def _read_path(path: str, fields: Fields) -> tuple[str | None, Fields]:
    """Return the model of `.../models/{model}:method`."""
    return path.rpartition("/")[2].rpartition(":")[0] or None, fields


def _output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens for all candidates, None without one."""
    config = read_fields(fields, "generationConfig") or read_fields(fields, "generation_config")
    limit = read_count(config, "maxOutputTokens") or read_count(config, "max_output_tokens")
    count = read_count(config, "candidateCount") or read_count(config, "candidate_count") or 1
    return None if limit is None else limit * min(8, max(1, count))


GENERATE = ServedOperation(
    "generate_content",
    ":generateContent",
    dialect=DIALECT,
    is_generation=True,
    output_limit=_output_limit,
    streams=False,
    read_path=_read_path,
    client=SIDES,
    provider=SIDES,
    has_envelope=False,
)
STREAM = ServedOperation(
    "generate_content",
    ":streamGenerateContent",
    dialect=DIALECT,
    is_generation=True,
    output_limit=_output_limit,
    streams=True,
    events_by=EVENTS,
    read_path=_read_path,
    whole_form=GENERATE,
    client=SIDES,
)
COUNT = ServedOperation(
    "count_tokens",
    ":countTokens",
    dialect=DIALECT,
    streams=False,
    read_path=_read_path,
    counting=_COUNTING,
)

OPERATIONS = (GENERATE, STREAM, COUNT)
