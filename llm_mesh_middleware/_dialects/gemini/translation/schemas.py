"""Converts Google's subset of OpenAPI to JSON Schema.

| OpenAPI | JSON Schema |
|---|---|
| `type: STRING` | `type: string` |
| `nullable: true` | `null` among the types |
| `any_of`, as Google's SDK writes it | `anyOf` |
| limits as text, like int64 in protobuf's JSON | numbers |
| `propertyOrdering`, `example` | dropped: strict readers reject unknown members |
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...translation.requests import malformed
from .spelling import camel

__all__ = ["json_schema"]

_MAX_DEPTH = 64
_DROPPED = frozenset(("example", "nullable", "propertyOrdering"))
# Members that hold one schema, several of them, or several by name.
_ONE, _SEVERAL, _NAMED = ("items", "additionalProperties"), ("anyOf",), ("properties", "$defs")
_LIMITS = frozenset(
    ("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties")
)


def json_schema(schema: bytes, where: str) -> bytes:
    """Return a schema as JSON Schema; `where` names it in the request.

    Raises:
        MalformedRequest: It is nested too deeply.
    """
    return msgspec.json.encode(_converted(msgspec.json.decode(schema), where, 0))


def _converted(schema: Any, where: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise malformed(where, f"is nested more than {_MAX_DEPTH} levels deep")
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for spelled, value in schema.items():
        name = camel(spelled)
        if name in _DROPPED:
            continue
        if name == "type" and isinstance(value, str):
            kind = value.lower()
            made[name] = [kind, "null"] if schema.get("nullable") is True else kind
        elif name in _ONE:
            made[name] = _converted(value, where, depth + 1)
        elif name in _SEVERAL and isinstance(value, list):
            made[name] = [_converted(one, where, depth + 1) for one in value]
        elif name in _NAMED and isinstance(value, dict):
            made[name] = {key: _converted(one, where, depth + 1) for key, one in value.items()}
        elif name in _LIMITS and isinstance(value, str) and value.isdecimal():
            made[name] = int(value)
        else:
            made[name] = value
    return made
