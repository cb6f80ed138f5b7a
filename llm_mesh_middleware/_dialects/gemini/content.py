"""Contents, for records of content."""

from __future__ import annotations

from typing import Any

import msgspec

from ..._core.conversation.content import CalledTool, Message, Part, RequestContent
from ..._core.values.payload import Fields
from ..objects import object_in, objects_in, read_object
from ..recording import read_member

__all__ = ["read_request_content", "read_messages"]

_ROLES = {"model": "assistant"}


def read_request_content(fields: Fields) -> RequestContent:
    """Return the content of a request."""
    instructions = read_member(fields, "systemInstruction")
    system = _parts(instructions) if isinstance(instructions, dict) else None
    return RequestContent(
        [_message(each, "user") for each in objects_in(read_member(fields, "contents"))],
        None if system is None else [each for each in system if isinstance(each, Part)],
        objects_in(read_member(fields, "tools")) if "tools" in fields else None,
    )


def read_messages(body: bytes) -> list[Message]:
    """Return the messages of a whole response."""
    candidates = objects_in(read_object(body).get("candidates"))
    return [_message(object_in(each, "content"), "assistant") for each in candidates]


def _message(content: dict[str, Any], usual: str) -> Message:
    role = str(content.get("role", usual))
    return Message(_ROLES.get(role, role), tuple(_parts(content)))


def _parts(content: dict[str, Any]) -> list[Part | CalledTool]:
    return [_part(each) for each in objects_in(content.get("parts"))]


def _part(part: dict[str, Any]) -> Part | CalledTool:
    if isinstance(part.get("text"), str):
        return Part("text", part["text"])
    if isinstance(call := part.get("functionCall"), dict):
        arguments = msgspec.json.encode(call.get("args", {})).decode()
        return CalledTool(call.get("id"), call.get("name"), arguments)
    return Part(next(iter(part), "text"))
