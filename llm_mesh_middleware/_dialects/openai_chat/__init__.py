"""OpenAI's chat completions, with text completions and embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core.dialect import ServedOperation
from ..._core.later import later
from ..._core.values.payload import Fields, raw, read_count, read_text

if TYPE_CHECKING:
    from .dialect import OpenAIChat
    from .translation import ChatSides

__all__ = ["CHAT", "DIALECT", "EMBEDDINGS", "OPERATIONS", "SIDES"]

DIALECT: OpenAIChat = later(
    __name__, ".dialect", "DIALECT", name="openai.chat", key_field=b"authorization"
)
SIDES: ChatSides = later(__name__, ".translation", "SIDES", name="openai.chat")

_DEPLOYMENTS = "/openai/deployments/"


def _read_path(path: str, fields: Fields) -> tuple[str | None, Fields]:
    """Return the model of the body, or the deployment that a path of Azure's names instead."""
    requested = read_text(fields, "model")
    if _DEPLOYMENTS not in path:
        return requested, fields
    named = path.partition(_DEPLOYMENTS)[2].partition("/")[0]
    if not named or named == requested:
        return requested, fields
    return named, {**fields, "model": raw(named)}


def _output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens for all choices, None without one."""
    if "max_completion_tokens" not in fields and "max_tokens" not in fields:
        return None
    limit = read_count(fields, "max_completion_tokens")
    if limit is None:
        limit = read_count(fields, "max_tokens")
    if limit is None or "n" not in fields:
        return limit
    return limit * min(128, max(1, read_count(fields, "n") or 1))


CHAT = ServedOperation(
    "chat",
    "/chat/completions",
    dialect=DIALECT,
    is_generation=True,
    has_two_forms=True,
    output_limit=_output_limit,
    read_path=_read_path,
    client=SIDES,
    provider=SIDES,
)
EMBEDDINGS = ServedOperation("embeddings", "/embeddings", dialect=DIALECT, read_path=_read_path)

# The first suffix that ends a path is selected: `/chat/completions` also ends with `/completions`.
OPERATIONS = (
    CHAT,
    ServedOperation(
        "text_completion",
        "/completions",
        dialect=DIALECT,
        is_generation=True,
        has_two_forms=True,
        output_limit=_output_limit,
        read_path=_read_path,
    ),
    EMBEDDINGS,
)
