"""Reads JSON objects as plain values, for code that needs only some members."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["object_in", "objects_in", "read_object", "text_in"]


def read_object(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; anything else has none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def objects_in(items: object) -> list[dict[str, Any]]:
    """Return the items of a list that are objects."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def object_in(value: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that is an object; an empty one otherwise."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def text_in(value: dict[str, Any], name: str) -> str:
    """Return a member that is a text; an empty one otherwise."""
    found = value.get(name)
    return found if isinstance(found, str) else ""
