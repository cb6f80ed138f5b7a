"""A JSON Schema validator of exactly the keywords that the documents' schemas use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["faults"]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "format", "writeOnly"}
_ANNOTATIONS |= {"x-extension"}
_KNOWN = _ANNOTATIONS | {"$ref", "type", "const", "enum", "anyOf", "oneOf", "pattern", "required"}
_KNOWN |= {"properties", "additionalProperties", "maxProperties", "items", "minItems"}
_KNOWN |= {"minimum", "maximum", "exclusiveMinimum"}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[str]:
    """Where `value` does not fit; an unknown keyword is an error of the test."""
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        yield from faults(value, root["$defs"][name], root, at)
    for keyword, least in (("anyOf", 1), ("oneOf", 1)):
        fitting = [one for one in schema.get(keyword, ()) if not any(faults(value, one, root, at))]
        if keyword in schema and (len(fitting) < least or (keyword == "oneOf" and fitting[1:])):
            yield f"{at}: {len(fitting)} of {keyword}"
    yield from _scalar_faults(value, schema, at)
    if isinstance(value, dict):
        yield from _object_faults(value, schema, root, at)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: too short"
        for index, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), root, f"{at}[{index}]")


def _scalar_faults(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    kinds = _TYPES.get(schema.get("type", ""), (object,))
    is_odd_boolean = isinstance(value, bool) and bool not in kinds and object not in kinds
    if not isinstance(value, kinds) or is_odd_boolean:
        yield f"{at}: no {schema['type']}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: pattern"
    if isinstance(value, int | float):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            yield f"{at}: out of range"
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            yield f"{at}: out of range"


def _object_faults(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: {name} is missing"
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{at}: too many"
    others = schema.get("additionalProperties", True)
    for name, inner in value.items():
        place = f"{at}.{name}"
        if name in properties:
            yield from faults(inner, properties[name], root, place)
        elif others is False:
            yield f"{place}: unknown"
        elif others is not True:
            yield from faults(inner, others, root, place)
