"""The content of a call, for records; dialects read it from their JSON."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["RequestContent", "CalledTool", "Message", "Part"]


class Part(msgspec.Struct, frozen=True):
    """A part of a message: a text, or the kind of any other content."""

    kind: str
    text: str | None = None


class CalledTool(msgspec.Struct, frozen=True):
    """A call of a tool; `arguments` are JSON as a text."""

    id: object
    name: object
    arguments: str


class Message(msgspec.Struct, frozen=True):
    """A message in its parts."""

    role: str
    parts: tuple[Part | CalledTool, ...]


class RequestContent(msgspec.Struct, frozen=True):
    """The content of a request; None where it has no such member."""

    messages: list[Message] | None = None
    instructions: list[Part] | None = None
    tools: list[dict[str, Any]] | None = None
