"""Find the line and column of a field in a parsed document: the place that a problem names."""

from __future__ import annotations

from collections.abc import Iterator

from .._schema.wording import Path
from .nodes import Entry, Mapping, Node, Sequence

__all__ = ["find", "key_place", "place"]


def _walk(root: Node | None, path: Path) -> Iterator[Entry]:
    """Yield the steps along a path as far as it exists, each with the place of its key."""
    node = root
    for part in path:
        if isinstance(node, Mapping) and part in node.entries:
            entry = node.entries[str(part)]
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            item = node.items[part]
            entry = Entry(item.line, item.column, item)
        else:
            return
        yield entry
        node = entry.value


def find(root: Node, path: Path) -> Node | None:
    """Return the value at a path, or None."""
    steps = list(_walk(root, path))
    if len(steps) < len(path):
        return None
    return steps[-1].value if steps else root


def place(root: Node | None, path: Path) -> tuple[int, int]:
    """Return line and column of the value at a path, or of the nearest one around it."""
    steps = list(_walk(root, path))
    node = steps[-1].value if steps else root
    return (node.line, node.column) if node is not None else (0, 0)


def key_place(root: Node, path: Path) -> tuple[int, int]:
    """Return line and column of the last key of a path."""
    steps = list(_walk(root, path))
    return (steps[-1].line, steps[-1].column) if steps else (root.line, root.column)
