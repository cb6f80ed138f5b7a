"""The line of a setting in the file that is converted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

__all__ = ["line_of"]

_PARTS = re.compile(r"[^.\[\]]+")


def line_of(root: yaml.Node | None, place: str) -> int:
    """Return the line of `a[0].b`, or of as much of it as the document has."""
    line, node = 1, root
    for part in _PARTS.findall(place):
        found = next((one for one in _members(node) if one[0] == part), None)
        if found is None:
            break
        _, line, node = found
    return line


def _members(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield the name, the line and the value of each member of a mapping or a list."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield str(index), item.start_mark.line + 1, item
