"""`v1/List`: what `kubectl get -o yaml` writes, one document that holds others."""

from __future__ import annotations

from .._schema.wording import Path
from .nodes import Mapping, Scalar, Sequence, find, place
from .reader import Document, Flaw

__all__ = ["unfold"]

_ITEMS: Path = ("items",)


def unfold(document: Document) -> tuple[tuple[Document, ...], tuple[Flaw, ...]]:
    """The documents in a list, or the document itself; and what is wrong with the list."""
    root = document.root
    if not isinstance(root, Mapping) or not _is_list(root):
        return (document,), ()
    items = find(root, _ITEMS)
    # Of an item that could not be read at all nothing is left that could say so.
    flaws = tuple(f for f in document.flaws if f.path[:1] == _ITEMS and len(f.path) <= 2)
    if items is None or (isinstance(items, Scalar) and items.value is None):
        return (), flaws
    if not isinstance(items, Sequence):
        return (), (*flaws, Flaw(*place(root, _ITEMS), "must be a list", _ITEMS))
    return tuple(_item(document, items, index) for index in range(len(items.items))), flaws


def _is_list(root: Mapping) -> bool:
    wanted = {"kind": "List", "apiVersion": "v1"}
    found = {name: find(root, (name,)) for name in wanted}
    return all(
        isinstance(node, Scalar) and node.value == wanted[name] for name, node in found.items()
    )


def _item(document: Document, items: Sequence, index: int) -> Document:
    """One item with the flaws that are below it, their paths counted from there."""
    own = [
        Flaw(flaw.line, flaw.column, flaw.message, flaw.path[2:])
        for flaw in document.flaws
        if flaw.path[:2] == (*_ITEMS, index) and len(flaw.path) > 2
    ]
    return Document(items.items[index], tuple(own), document.is_complete or not own)
