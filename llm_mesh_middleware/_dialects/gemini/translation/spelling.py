"""The spelling of members: `snake_case` is allowed, and Google's SDK mixes it with `camelCase`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ...._core.values.payload import Fields, raw

__all__ = ["camel", "camel_case"]

# Inside these, names are the client's own, or belong to a schema, and are not converted.
_OWN = frozenset(
    (
        *("args", "labels", "parameters", "parametersJsonSchema"),
        *("response", "responseJsonSchema", "responseSchema"),
    )
)
_in_snake = re.compile(rb'"[a-z]+(?:_[a-z]+)+"[ \t\r\n]*:').search


def camel_case(fields: Fields) -> Fields:
    """Return the members of a request in `camelCase`."""
    if not any("_" in name or _in_snake(value) for name, value in fields.items()):
        return fields
    return {camel(name): raw(_respelled(msgspec.json.decode(v))) for name, v in fields.items()}


def camel(name: str) -> str:
    """Return one name in `camelCase`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others)) if others else name


def _respelled(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_respelled, value))
    if not isinstance(value, dict):
        return value
    members = ((camel(name), inner) for name, inner in value.items())
    return {name: inner if name in _OWN else _respelled(inner) for name, inner in members}
