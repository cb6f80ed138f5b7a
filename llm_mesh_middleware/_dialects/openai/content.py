"""Messages of OpenAI's APIs, for records of content."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.content import CalledTool, Message, Part, RequestContent
from ..._core.values.payload import Fields
from ..objects import object_in, objects_in
from ..recording import parts_of, read_member, role_of

__all__ = ["message_of", "read_request_content"]

_KINDS = {"input_text": "text", "output_text": "text"}


def message_of(message: dict[str, Any]) -> Message:
    """Return a message in its parts, with the tools that it calls."""
    calls = (_call(each) for each in objects_in(message.get("tool_calls")))
    images = (Part("image_url") for _ in objects_in(message.get("images")))
    content = parts_of(message.get("content"), _KINDS)
    return Message(role_of(message), (*content, *images, *calls))


def _call(call: dict[str, Any]) -> CalledTool:
    function = object_in(call, "function")
    return CalledTool(call.get("id"), function.get("name"), str(function.get("arguments", "")))


def read_request_content(fields: Fields) -> RequestContent:
    """Return the content of a request of any of the APIs."""
    tools = objects_in(read_member(fields, "tools")) if "tools" in fields else None
    instructions = None
    if "instructions" in fields:
        instructions = parts_of(read_member(fields, "instructions"), _KINDS)
    return RequestContent(_messages(fields), instructions, tools)


def _messages(fields: Fields) -> list[Message] | None:
    for name in ("prompt", "input"):  # text completions; responses and embeddings
        given = read_member(fields, name) if name in fields else {}
        if not isinstance(given, dict):  # an object only names a prompt that the provider stores
            items = given if isinstance(given, list) else [given]
            return [message_of(i if isinstance(i, dict) else _user(i)) for i in items]
    if "messages" not in fields:
        return None
    return [message_of(each) for each in objects_in(read_member(fields, "messages"))]


def _user(text: object) -> dict[str, Any]:
    return {"role": "user", "content": str(text)}
