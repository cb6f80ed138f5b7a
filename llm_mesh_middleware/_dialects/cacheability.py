"""Decides which responses must not be cached: they have effects, or contain more than text."""

from __future__ import annotations

from typing import Any

import msgspec

from .._core.values.payload import Fields, read_bool

__all__ = ["requests_more_than_text", "is_true", "read_temperature"]

# The types of tools that the client runs; results of the provider's tools change with time.
_FUNCTIONS = frozenset(("function", "custom", None))
# Members that may request more than text.
_MORE = frozenset(
    ("audio", "container", "mcp_servers", "modalities", "tools", "web_search_options")
)


def is_true(fields: Fields, name: str) -> bool:
    """Return whether a member is `true`."""
    return read_bool(fields, name) is True


def read_temperature(fields: Fields) -> float | None:
    """Return the member `temperature` if it is a number."""
    held = fields.get("temperature")
    try:
        return None if held is None else msgspec.json.decode(held, type=float | None)
    except msgspec.MsgspecError:
        return None


def requests_more_than_text(fields: Fields) -> bool:
    """Return whether a request uses the provider's tools, sound or web results."""
    if _MORE.isdisjoint(fields):
        return False
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
        return True  # unreadable: do not cache the response
