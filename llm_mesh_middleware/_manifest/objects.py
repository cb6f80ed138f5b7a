"""Documents that are JSON values rather than text, as an API server returns them.

Their nodes have no place: line 0, for which problems show the source alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from .nodes import Document, Entry, Node, Scalar, Sequence
from .nodes import Mapping as MappingNode

__all__ = ["document_of"]


def document_of(value: Mapping[str, object]) -> Document:
    """Return a JSON object as a document without flaws."""
    return Document(_node(value), (), is_complete=True)


def _node(value: object) -> Node:
    if isinstance(value, Mapping):
        entries = {str(key): Entry(0, 0, _node(item)) for key, item in value.items()}
        return MappingNode(0, 0, entries, 1 + sum(e.value.size for e in entries.values()))
    if isinstance(value, list | tuple):
        items = tuple(map(_node, value))
        return Sequence(0, 0, items, 1 + sum(item.size for item in items))
    if isinstance(value, str):
        return Scalar(0, 0, value, value)
    if value is None or isinstance(value, bool | int | float):
        return Scalar(0, 0, value, "" if value is None else json.dumps(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")
