"""Members of both of OpenAI's APIs: tools, tool choice, schema, cache marks, user."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Literal

import msgspec

from ..._core.conversation.request import Conversation, OutputFormat, Tool, ToolChoice
from ..translation.requests import malformed
from ..translation.texts import without_none
from ..translation.tools import offered_tools

__all__ = [
    "Breakpoint",
    "cache_of",
    "read_mode",
    "shares_files",
    "short_user",
    "write_schema",
    "write_tools",
]

_MODES: dict[str, Literal["auto", "required", "none"]] = {
    "auto": "auto",
    "required": "required",
    "none": "none",
}
# The longest user name that OpenAI accepts.
_MAX_USER = 64


class Breakpoint(msgspec.Struct, gc=False):
    """The end of a prefix to cache, and its minimum time to live, `30m` or `12h`."""

    ttl: str | None = None


def cache_of(mark: Breakpoint | None) -> str | None:
    """Return a mark in the neutral form: an hour is the longest time to live of others."""
    return None if mark is None else "1h" if mark.ttl else ""


def read_mode(choice: str) -> ToolChoice:
    """Return a choice that is one word.

    Raises:
        MalformedRequest: It is another word.
    """
    if choice not in _MODES:
        raise malformed("tool_choice", f"{choice!r} is none of {', '.join(_MODES)}")
    return ToolChoice(_MODES[choice])


def shares_files(conversation: Conversation) -> bool:
    """Return whether the client's file ids are of OpenAI, like the provider's."""
    return conversation.dialect.startswith("openai.")


def write_tools(
    conversation: Conversation,
    write: Callable[[Tool], dict[str, Any]],
    name: Callable[[str], dict[str, Any]],
) -> dict[str, Any]:
    """Return the members for tools; none if there are no tools.

    Args:
        conversation: the tools, and the choice among them.
        write: returns a tool in the form of the API.
        name: returns the choice of one tool by its name.
    """
    choice, tools = conversation.tool_choice, offered_tools(conversation)
    if not tools:
        return {}
    members: dict[str, Any] = {"tools": list(map(write, tools))}
    if choice is not None:
        members["tool_choice"] = name(choice.name) if choice.mode == "tool" else choice.mode
    if conversation.parallel_tool_calls is not None:
        members["parallel_tool_calls"] = conversation.parallel_tool_calls
    return members


def write_schema(output: OutputFormat) -> dict[str, Any]:
    """Return a schema with its name, which OpenAI requires."""
    return without_none(
        name=output.name or "output",
        description=output.description or None,
        schema=msgspec.Raw(output.schema),
        strict=output.strict,
    )


def short_user(user: str) -> str:
    """Return a name that OpenAI accepts; a longer one is replaced by its hash."""
    return user if len(user) <= _MAX_USER else sha256(user.encode("utf-8", "replace")).hexdigest()
