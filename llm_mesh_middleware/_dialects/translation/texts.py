"""Conversions of texts, ids and arguments that several dialects use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from ..._core.conversation.parts import Document, Part, Refusal, Text, ToolCall
from ..._core.conversation.request import Conversation

__all__ = [
    "arguments_of",
    "called_with",
    "custom_arguments",
    "custom_input",
    "custom_names",
    "data_url",
    "document_text",
    "flat_parts",
    "json_object",
    "marked_error",
    "read_data_url",
    "safe_id",
    "text_of",
    "without_none",
]

_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_ID_LENGTH = 64

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Input(msgspec.Struct):
    input: str


_decode_input = msgspec.json.Decoder(_Input).decode


def safe_id(id: str) -> str:
    """Return an id of letters, digits, `_` and `-`, at most 64 of them.

    The result depends only on the id, so that a call and its result agree without a record.
    """
    if id and len(id) <= _ID_LENGTH and _ID_CHARACTERS.issuperset(id):
        return id
    return "call_" + sha256(id.encode("utf-8", "replace")).hexdigest()[:32]


def json_object(text: str) -> msgspec.Raw | None:
    """Return a text's JSON object unchanged; `{}` for an empty text; None if it is not one."""
    if text.strip() in ("", "null"):
        return msgspec.Raw(b"{}")
    try:
        _decode_object(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.Raw(text.encode())


def called_with(arguments: msgspec.Raw) -> str:
    """Return the arguments of a provider's call as JSON text; null stands for none."""
    text = bytes(arguments).decode()
    return "{}" if text == "null" else text


def custom_arguments(input: str) -> str:
    """Return a function's arguments with the free text of a custom tool."""
    return msgspec.json.encode({"input": input}).decode()


def custom_input(arguments: str) -> str:
    """Return the free text in a function's arguments; the arguments if there is none."""
    try:
        return _decode_input(arguments).input
    except (msgspec.DecodeError, UnicodeDecodeError):
        return arguments


def custom_names(conversation: Conversation) -> frozenset[str]:
    """Return the names of the client's custom tools, whose calls have a separate form."""
    return frozenset(tool.name for tool in conversation.tools if tool.is_custom)


def read_data_url(url: str) -> tuple[str, str] | None:
    """Return media type and base64 data of a `data:` URL, or None for another URL."""
    if not url.startswith("data:"):
        return None
    head, _, data = url.partition(",")
    media_type, _, coding = head.removeprefix("data:").partition(";")
    return (media_type.lower(), data) if coding.endswith("base64") else None


def data_url(media_type: str, data: str) -> str:
    """Return base64 data as a URL."""
    return f"data:{media_type};base64,{data}"


def text_of(parts: Iterable[Part], separator: str = "") -> str:
    """Return the texts among the parts, joined."""
    return separator.join([part.text for part in parts if isinstance(part, Text | Refusal)])


def flat_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield the parts; a document with parts is replaced by them."""
    for part in parts:
        if isinstance(part, Document) and part.parts:
            yield from flat_parts(part.parts)
        else:
            yield part


def document_text(document: Document) -> str:
    """Return a plain document as text that shows where it begins and ends."""
    title = f" title={msgspec.json.encode(document.title).decode()}" if document.title else ""
    return f"<document{title}>\n{document.text}\n</document>"


def arguments_of(call: ToolCall) -> str:
    """Return a call's arguments as JSON text, also those of a custom call."""
    return custom_arguments(call.arguments) if call.is_custom else call.arguments


def marked_error(text: str) -> str:
    """Return the text of a failed call with a prefix, for APIs without a member for failures."""
    return text if text.lower().startswith("error") else f"[tool error] {text}"


def without_none(**members: Any) -> dict[str, Any]:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
