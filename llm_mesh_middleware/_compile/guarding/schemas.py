"""JSON Schemas of `LLMPolicy` documents, compiled by the library jsonschema-rs.

Validation takes time linear in schema and value: the library caches the results of references that
recur and matches patterns without backtracking, and the size of an expanded schema is limited here.
Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec

from ..._core.guarding.shape import Fits
from ..._manifest import Resource
from ...exceptions import Problem
from .references import foreign_references, unroll

__all__ = ["compile_schema"]

_Path = tuple[str | int, ...]
_MAX_BYTES, _MAX_PARTS = 256 * 1024, 20_000
_MISSING = "needs jsonschema-rs: pip install 'llm-mesh-middleware[schema]'"


def compile_schema(
    resource: Resource, schema: Mapping[str, Any], path: _Path, problems: list[Problem]
) -> Fits | None:
    """Return the validator of a schema, or None if the schema cannot be used.

    Args:
        resource: the document.
        schema: the schema as written.
        path: its place in the document.
        problems: gets its faults.
    """
    try:
        library: Any = import_module("jsonschema_rs")
    except ImportError:
        problems.append(resource.problem(path, _MISSING))
        return None
    for place in foreign_references(schema):
        message = "must begin with #: other documents are not fetched"
        problems.append(resource.problem((*path, *place), message))
        return None
    unrolled = unroll(schema, most=_MAX_PARTS)
    if unrolled.parts > _MAX_PARTS or len(msgspec.json.encode(schema)) > _MAX_BYTES:
        message = f"is too large: more than {_MAX_BYTES // 1024} KiB, or {_MAX_PARTS} parts"
        problems.append(resource.problem(path, f"{message} with its references expanded"))
        return None
    try:
        validator = library.validator_for(
            schema, pattern_options=library.RegexOptions(), retriever=_refuse
        )
    except library.ValidationError as error:
        place = tuple(error.instance_path)
        message = f"is not valid in a JSON Schema: {error.message}"
        problems.append(resource.problem((*path, *place), message[:300]))
        return None
    except ValueError as error:  # deeper than the library follows
        problems.append(resource.problem(path, f"cannot be used as a JSON Schema: {error}"))
        return None
    return _Fits(validator, library.ValidationError, tells_place=not unrolled.recurs)


class _Fits:
    """Validates a value; names the place of a fault only if no references recur.

    While it looks for the place, the library does not cache their results.
    """

    def __init__(self, validator: Any, fault: type[Exception], *, tells_place: bool) -> None:
        self._validator = validator
        self._fault = fault
        self._tells_place = tells_place

    def __call__(self, value: object) -> str | None:
        try:
            if self._validator.is_valid(value):
                return None
            if self._tells_place:
                self._validator.validate(value)
        except self._fault as error:
            # The place in the schema is the operator's own; the message repeats the value.
            place: list[str | int] = error.schema_path  # type: ignore[attr-defined]
            return f"{'/'.join(map(str, place))} in its schema"
        except ValueError:  # deeper than the library follows
            return "it is nested too deeply"
        return "a schema with references to itself"


def _refuse(uri: str) -> object:
    raise ValueError(f"{uri} is not fetched")
