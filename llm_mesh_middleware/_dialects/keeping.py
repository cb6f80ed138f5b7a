"""Requests whose responses must not be repeated: they change something, or are no texts."""

from __future__ import annotations

from typing import Any

import msgspec

from .._core.values.payload import Fields, read_bool
from .._core.values.usage import Usage

__all__ = ["NotRepeated", "asks_for_more_than_text", "is_true"]

# Tools that a provider runs itself: their results are of the moment.
_FUNCTIONS = frozenset(("function", "custom", None))


def is_true(fields: Fields, name: str) -> bool:
    """Return whether a member is `true`."""
    return read_bool(fields, name) is True


def asks_for_more_than_text(fields: Fields) -> bool:
    """Return whether a provider's own tools, sound or web results are asked for."""
    tools = _value(fields, "tools")
    if isinstance(tools, list) and any(
        not isinstance(tool, dict) or not (tool.get("type") in _FUNCTIONS or "input_schema" in tool)
        for tool in tools
    ):
        return True
    modalities = _value(fields, "modalities")
    return (
        bool(_value(fields, "audio") or _value(fields, "web_search_options"))
        or (isinstance(modalities, list) and modalities != ["text"])
        or bool(_value(fields, "mcp_servers") or _value(fields, "container"))
    )


def _value(fields: Fields, name: str) -> Any:
    held = fields.get(name)
    try:
        return None if held is None else msgspec.json.decode(held)
    except (msgspec.MsgspecError, RecursionError):
        return True  # unknown: better not repeated


class NotRepeated:
    """For dialects whose responses are not kept."""

    has_two_forms = False

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return False."""
        return False

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return False."""
        return False

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return None."""
        return None

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return the body."""
        return body
