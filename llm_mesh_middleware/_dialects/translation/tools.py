"""Tools for dialects without custom tools: functions with a schema of their arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..._core.conversation.answer import FinishReason
from ..._core.conversation.parts import ToolCall, ToolResult
from ..._core.conversation.request import Conversation, Tool
from ...exceptions import UpstreamProtocolError
from .texts import arguments_of, json_object

__all__ = [
    "called_object",
    "describe",
    "named_tools",
    "object_schema",
    "offered_tools",
    "schema_of",
]

# The schema of a custom tool for a provider that knows functions only.
_CUSTOM = b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
_NOTHING = b'{"type":"object","properties":{}}'

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Grammar(msgspec.Struct):
    syntax: str
    definition: str


_decode_grammar = msgspec.json.Decoder(_Grammar).decode


def offered_tools(conversation: Conversation) -> tuple[Tool, ...]:
    """Return the tools that may be called: all, unless the choice narrows them."""
    choice = conversation.tool_choice
    if choice is None or not choice.allowed:
        return conversation.tools
    return tuple(tool for tool in conversation.tools if tool.name in choice.allowed)


def named_tools(conversation: Conversation) -> tuple[Tool, ...]:
    """Return the tools that the history names, for providers that require their declaration."""
    return tuple(map(Tool, dict.fromkeys(_names(conversation))))


def _names(conversation: Conversation) -> Iterator[str]:
    for turn in conversation.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall | ToolResult) and part.name:
                yield part.name


def called_object(call: ToolCall, finish: FinishReason) -> msgspec.Raw:
    """Return the arguments of a model's call; `{}` if the token limit cut them off.

    Raises:
        UpstreamProtocolError: They are not a JSON object.
    """
    arguments = json_object(arguments_of(call))
    if arguments is None and finish != "length":
        raise UpstreamProtocolError(
            f"called {call.name!r} with arguments that are not a JSON object"
        )
    return msgspec.Raw(b"{}") if arguments is None else arguments


def describe(tool: Tool) -> str | None:
    """Return the description of a tool; a custom tool's includes the grammar of its input."""
    if not (tool.is_custom and tool.grammar):
        return tool.description or None
    try:
        grammar = _decode_grammar(tool.grammar)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"{tool.description}\nThe input has this form: {tool.grammar.decode()}"
    form = f"The input follows this grammar ({grammar.syntax}):\n{grammar.definition}"
    return f"{tool.description}\n{form}"


def schema_of(tool: Tool) -> msgspec.Raw:
    """Return the schema of a tool's arguments."""
    return msgspec.Raw(_CUSTOM if tool.is_custom else tool.schema or _NOTHING)


def object_schema(tool: Tool) -> msgspec.Raw | dict[str, Any]:
    """Return the schema of a tool's arguments; a missing `type` is set to `object`."""
    schema = schema_of(tool)
    try:
        members = _decode_members(schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(_NOTHING)
    return schema if "type" in members else {"type": "object", **members}
