"""Reads message parts for content records; each dialect knows where its messages are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from .._core.conversation.content import Part
from .._core.values.payload import Fields

__all__ = ["parts_of", "read_member", "role_of"]

_AS_IT_IS: Mapping[str, str] = MappingProxyType({})


def read_member(fields: Fields, name: str) -> Any:
    """Return a member as a plain value; None if it is absent or cannot be read."""
    try:
        return msgspec.json.decode(fields[name])
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def role_of(message: Mapping[str, Any]) -> str:
    """Return the role of a message; the model's if it has none."""
    return str(message.get("role", "assistant"))


def parts_of(content: Any, kinds: Mapping[str, str] = _AS_IT_IS) -> list[Part]:
    """Return the parts of a content that is a text, a typed object, or a list of them.

    Args:
        content: a member of a message.
        kinds: the recorded kinds of parts, by the dialect's own types.
    """
    pieces = content if isinstance(content, list) else [content]
    return [_part(piece, kinds) for piece in pieces if piece is not None]


def _part(piece: Any, kinds: Mapping[str, str]) -> Part:
    if not isinstance(piece, dict):
        return Part("text", str(piece))
    kind, text = str(piece.get("type", "text")), piece.get("text")
    if not isinstance(text, str):
        return Part(kind)
    return Part(kinds.get(kind, kind), text)
