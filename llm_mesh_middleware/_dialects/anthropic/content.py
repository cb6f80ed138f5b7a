"""Messages, for records of content."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.content import Message, RequestContent
from ..._core.values.payload import Fields
from ..objects import objects_in, read_object
from ..recording import parts_of, read_member, role_of

__all__ = ["read_request_content", "read_messages"]


def read_request_content(fields: Fields) -> RequestContent:
    """Return the content of a request."""
    return RequestContent(
        [_message(each) for each in objects_in(read_member(fields, "messages"))],
        parts_of(read_member(fields, "system")) if "system" in fields else None,
        objects_in(read_member(fields, "tools")) if "tools" in fields else None,
    )


def read_messages(body: bytes) -> list[Message]:
    """Return the message of a whole response."""
    message = read_object(body)
    return [_message(message)] if "content" in message else []


def _message(message: dict[str, Any]) -> Message:
    return Message(role_of(message), tuple(parts_of(message.get("content"))))
