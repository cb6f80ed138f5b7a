"""The content of a call, as records tell it; dialects read it from their JSON."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Asked", "CalledTool", "Message", "Part"]


class Part(msgspec.Struct, frozen=True):
    """A piece of a message: a text, or only the kind of what is not one."""

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


class Asked(msgspec.Struct, frozen=True):
    """What a request says; None for what it has no member for."""

    messages: list[Message] | None = None
    instructions: list[Part] | None = None
    tools: list[dict[str, Any]] | None = None
