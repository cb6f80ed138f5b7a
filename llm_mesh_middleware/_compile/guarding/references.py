"""References in a JSON Schema: their targets, and the schema's size with all of them expanded.

A circle of references is expanded once. The others may double the schema with each step, so the
size is checked before the schema is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["Unrolled", "foreign_references", "unroll"]

_Path = tuple[str | int, ...]
_REFERENCES = frozenset(("$ref", "$dynamicRef", "$recursiveRef"))
_ANCHORS = frozenset(("$anchor", "$dynamicAnchor"))
# Members that hold values, which are not schemas whatever they look like.
_VALUES = frozenset(("const", "default", "enum", "examples"))


class Unrolled:
    """The number of parts of an expanded schema, and whether references recur in it."""

    __slots__ = ("parts", "recurs")

    def __init__(self) -> None:
        self.parts = 0
        self.recurs = False


def foreign_references(schema: object) -> Iterator[_Path]:
    """Yield the places of references to other documents."""
    for path, part in _parts(schema):
        for name in _REFERENCES & part.keys():
            if isinstance(part[name], str) and not part[name].startswith("#"):
                yield (*path, name)


def unroll(schema: Mapping[str, Any], *, most: int) -> Unrolled:
    """Expand the references of a schema; stop when there are more than `most` parts."""
    anchors = {
        part[name]: part
        for _, part in _parts(schema)
        for name in _ANCHORS & part.keys()
        if isinstance(part[name], str)
    }
    found = Unrolled()
    pending: list[tuple[object, frozenset[str]]] = [(schema, frozenset(("#",)))]
    while pending and found.parts <= most:
        here, inside = pending.pop()
        if isinstance(here, list):
            pending += [(each, inside) for each in here]
        if not isinstance(here, Mapping):
            continue
        found.parts += 1
        for name, value in here.items():
            if name in _REFERENCES and isinstance(value, str):
                if value in inside:
                    found.recurs = True
                else:
                    pending.append((_target(schema, value, anchors), inside | {value}))
            elif name not in _VALUES:
                pending.append((value, inside))
    return found


def _parts(schema: object) -> Iterator[tuple[_Path, Mapping[str, Any]]]:
    pending: list[tuple[_Path, object]] = [((), schema)]
    while pending:
        path, here = pending.pop()
        if isinstance(here, Mapping):
            yield path, here
            pending += [((*path, key), each) for key, each in here.items() if key not in _VALUES]
        elif isinstance(here, list):
            pending += [((*path, index), each) for index, each in enumerate(here)]


def _target(schema: object, reference: str, anchors: Mapping[str, object]) -> object:
    """Return the target of a reference, or None if it does not exist (reported elsewhere)."""
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        return anchors.get(pointer)
    here: Any = schema
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping):
            here = here.get(name)
        elif isinstance(here, list) and name.isdigit() and int(name) < len(here):
            here = here[int(name)]
        else:
            return None
    return here
