"""Putting the deltas of a stream together: text grows, lists grow, indexed items are continued.

What grows is kept in parts until the end, so that an answer costs its length and not its square.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Items", "Json", "encode", "merge"]

Json = dict[str, Any]

# Members that name a thing rather than continue it: some providers repeat them in every delta.
_NAMING = frozenset(("id", "index", "role", "type"))


class Text:
    """Text that grows."""

    __slots__ = ("parts",)

    def __init__(self, *parts: str) -> None:
        self.parts = list(parts)

    def plain(self) -> str:
        """The whole text."""
        return "".join(self.parts)


class Items:
    """A list that grows; items with an `index` are continued by later parts with the same one."""

    __slots__ = ("_items", "_open")

    def __init__(self, parts: list[Any]) -> None:
        self._items: list[Any] = []
        self._open: dict[int, Json] = {}
        self.extend(parts)

    def extend(self, parts: list[Any]) -> None:
        """Add further parts."""
        for part in parts:
            index = part.get("index") if isinstance(part, dict) else None
            if not isinstance(index, int):
                self._items.append(part)
                continue
            known = self._open.get(index)
            if known is None or _is_another_call(known, part):
                self._open[index] = known = {}
                self._items.append(known)
            merge(known, part)

    def plain(self) -> list[Any]:
        """The items, those with an index in its order."""
        if not self._open:
            return self._items
        return sorted(self._items, key=_index)


def merge(whole: Json, part: Json) -> None:
    """Continue `whole` with `part`, of which nothing is kept that could change later."""
    for name, value in part.items():
        known = whole.get(name)
        if known is None:
            whole[name] = _growing(value)
        elif isinstance(value, str):
            whole[name] = _continued(name, known, value)
        elif isinstance(known, Items) and isinstance(value, list):
            known.extend(value)
        elif isinstance(known, dict) and isinstance(value, dict):
            merge(known, value)
        elif value is not None:
            whole[name] = _growing(value)


def encode(value: Json) -> bytes:
    """As JSON, with everything that has grown in one piece.

    Raises:
        msgspec.MsgspecError: a string in it is no Unicode text.
    """
    return msgspec.json.encode(value, enc_hook=lambda grown: grown.plain())


def _growing(value: Any) -> Any:
    if isinstance(value, list):
        return Items(value)
    if isinstance(value, dict):
        grown: Json = {}
        merge(grown, value)
        return grown
    return value


def _continued(name: str, known: Any, value: str) -> Any:
    if isinstance(known, Text):
        known.parts.append(value)
        return known
    if not isinstance(known, str):
        return value
    if name in _NAMING:
        return known or value
    if name == "name":  # a function's; short, and repeated more often than continued
        return known if known == value else known + value
    return Text(known, value)


def _is_another_call(known: Json, part: Json) -> bool:
    """Some providers number every parallel tool call 0; a new id with a new name tells."""
    function = part.get("function")
    return (
        isinstance(function, dict)
        and bool(function.get("name"))
        and bool(part.get("id"))
        and bool(known.get("id"))
        and part["id"] != known["id"]
    )


def _index(item: Any) -> int:
    index = item.get("index", 0) if isinstance(item, dict) else 0
    return index if isinstance(index, int) else 0
