"""What an API server does with an object and a structural schema: check, and prune the unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["faults", "flaws", "pruned"]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_ANYTHING, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
_KEYWORDS = {"description", "enum", "format", "items", "maximum", "maxLength", "minimum"}
_KEYWORDS |= {"additionalProperties", "maxProperties", "minItems", "minLength", "minProperties"}
_KEYWORDS |= {"pattern", "properties", "required", "type", _ANYTHING, _INT_OR_STRING}
_KEYWORDS |= {"x-kubernetes-list-type", "x-kubernetes-list-map-keys"}


def flaws(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Why a schema is not structural (the rules of apiextensions.k8s.io/v1)."""
    for keyword in schema.keys() - _KEYWORDS:
        yield f"{at}: {keyword} is no keyword"
    if ("type" in schema) == bool(schema.get(_INT_OR_STRING)) and not schema.get(_ANYTHING):
        yield f"{at}: one type, or {_INT_OR_STRING}"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{at}: properties and additionalProperties exclude each other"
    if schema.get("additionalProperties") is False:
        yield f"{at}: additionalProperties: false is forbidden"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{at}: an array needs items"
    for name, inner in schema.get("properties", {}).items():
        yield from flaws(inner, f"{at}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from flaws(schema[name], f"{at}.{name}")


def faults(value: Any, schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Where an object would be refused, or lose a field."""
    kinds = (int, str) if schema.get(_INT_OR_STRING) else _TYPES.get(schema.get("type", ""))
    if kinds is None:
        return
    is_odd_boolean = isinstance(value, bool) and bool not in kinds
    if is_odd_boolean or not isinstance(value, kinds):
        yield f"{at}: {value!r} is of another type"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: pattern"
    if "minimum" in schema and not schema["minimum"] <= value <= schema.get("maximum", value):
        yield f"{at}: out of range"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: too short"
        for index, item in enumerate(value):
            yield from faults(item, schema["items"], f"{at}[{index}]")
    if isinstance(value, dict):
        yield from _faults_within(value, schema, at)


def _faults_within(value: dict[str, Any], schema: dict[str, Any], at: str) -> Iterator[str]:
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 10**6):
        yield f"{at}: another number of fields"
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: {name} is missing"
    for name, inner in value.items():
        known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if known is not None:
            yield from faults(inner, known, f"{at}.{name}")
        elif not schema.get(_ANYTHING):
            yield f"{at}.{name}: pruned"


def pruned(value: Any, schema: dict[str, Any]) -> Any:
    """A copy without the fields that the schema does not know."""
    if isinstance(value, list):
        return [pruned(item, schema.get("items", {_ANYTHING: True})) for item in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    others = schema.get("additionalProperties")
    if others is None and schema.get(_ANYTHING):
        others = {_ANYTHING: True}
    kept = {name: known.get(name, others) for name in value}
    return {name: pruned(value[name], inner) for name, inner in kept.items() if inner is not None}
