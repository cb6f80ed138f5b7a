"""Lists: one document that holds others, as `kubectl get -o yaml` and API servers write them.

Items of a `v1/List` have their kind; those of an `LLMProviderList` may omit it.
"""

from __future__ import annotations

from .._schema.wording import Path
from .nodes import Document, Entry, Flaw, Mapping, Node, Scalar, Sequence
from .places import find, place

__all__ = ["unfold"]

_ITEMS: Path = ("items",)
_TYPED = ("LLMProviderList", "LLMRouteList", "LLMPolicyList")
_SUFFIX = "List"


def unfold(document: Document) -> tuple[tuple[Document, ...], tuple[Flaw, ...]]:
    """Return the documents in a list, or the document itself, and the flaws of the list."""
    root = document.root
    if not isinstance(root, Mapping) or not _is_list(root):
        return (document,), ()
    items = find(root, _ITEMS)
    # An item that could not be read at all has no document to report its flaws.
    flaws = tuple(f for f in document.flaws if f.path[:1] == _ITEMS and len(f.path) <= 2)
    if items is None or (isinstance(items, Scalar) and items.value is None):
        return (), flaws
    if not isinstance(items, Sequence):
        return (), (*flaws, Flaw(*place(root, _ITEMS), "must be a list", _ITEMS))
    return tuple(_item(document, items, index) for index in range(len(items.items))), flaws


def _is_list(root: Mapping) -> bool:
    kind, version = _text(root, "kind"), _text(root, "apiVersion")
    return (kind, version) == (_SUFFIX, "v1") or (kind in _TYPED and version is not None)


def _text(root: Mapping, name: str) -> str | None:
    node = find(root, (name,))
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


def _item(document: Document, items: Sequence, index: int) -> Document:
    """Return one item with its own flaws, their paths relative to it."""
    own = [
        Flaw(flaw.line, flaw.column, flaw.message, flaw.path[2:])
        for flaw in document.flaws
        if flaw.path[:2] == (*_ITEMS, index) and len(flaw.path) > 2
    ]
    item = _with_kind(items.items[index], document.root)
    return Document(item, tuple(own), document.is_complete or not own)


def _with_kind(item: Node, root: Node) -> Node:
    """Return the item with the kind and version of its list, if it has none of its own."""
    if not isinstance(item, Mapping) or not isinstance(root, Mapping):
        return item
    kind, version = _text(root, "kind"), root.entries["apiVersion"]
    if kind not in _TYPED:
        return item
    line, column = item.line, item.column
    kind = kind.removesuffix(_SUFFIX)
    own = Entry(line, column, Scalar(line, column, kind, kind))
    entries = {"apiVersion": version, "kind": own, **item.entries}
    return Mapping(line, column, entries, item.size)
