"""Merges the deltas of a stream: text grows, lists grow, items are continued.

| known | further | becomes |
|---|---|---|
| anything | null, empty text | the known value |
| text of a naming member | text | the further text; an id stays |
| other text | text | both, joined |
| list | list | both; items that are continued are merged (`item_identity`) |
| text and list, either way | | a list, the text as a part of it |
| object | object | merged, member by member |
| anything else | | the further value |

Growing values are kept in pieces until the end, so that time is linear in the length of a response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .growing_text import Text
from .item_identity import Blocks, Calls, Identity, Json, Numbered, Separate, index_of
from .sdk_json import encode_json

__all__ = ["Items", "Json", "append", "encode", "merge"]

# Members that name a thing rather than continue it: some providers repeat them in every delta.
_NAMING = frozenset(("format", "model", "name", "object", "role", "signature", "type"))

# Members that an item keeps: its parts may have different indexes or ids.
_KEPT = frozenset(("id", "index"))

# Lists by the name of their member; any other list has items that are continued by their index.
_LISTS: dict[str, Callable[[], Identity]] = {
    "content": Blocks,
    "images": Separate,  # each is whole; several servers give all of them the same index
    "reasoning": Blocks,
    "reasoning_content": Blocks,
    "reasoning_details": Blocks,
    "thinking": Blocks,
    "thinking_blocks": Blocks,
    "tool_calls": Calls,
}


class Items:
    """A list that grows."""

    __slots__ = ("_identity", "_items")

    def __init__(self, identity: Identity, parts: list[Any]) -> None:
        self._identity = identity
        self._items: list[Any] = []
        self.extend(parts)

    def extend(self, parts: list[Any]) -> None:
        """Add the parts of a delta, each to the item that it continues or as a new one."""
        for position, part in enumerate(parts):
            if not isinstance(part, dict):
                self._items.append(part)
                continue
            item = self._identity.find(part, position)
            if item is None:
                item = {}
                self._items.append(item)
            merge(item, part)
            self._identity.note(item, part, position)

    def plain(self) -> list[Any]:
        """Return the items, by their index if all have one."""
        indexes = [index_of(i.get("index")) if isinstance(i, dict) else None for i in self._items]
        if None in indexes:
            return self._items
        order = sorted(range(len(indexes)), key=indexes.__getitem__)  # type: ignore[arg-type]
        return [self._items[at] for at in order]


def merge(whole: Json, part: Json) -> None:
    """Merge `part` into `whole`; no mutable object of `part` is kept."""
    for name, value in part.items():
        known = whole.get(name)
        if known is None:
            whole[name] = _growing(name, value)
        elif name in _KEPT:
            whole[name] = known or value
        elif isinstance(value, str):
            if value:
                whole[name] = _with_text(whole, name, value)
        elif isinstance(value, list):
            whole[name] = _with_list(name, known, value)
        elif isinstance(value, dict):
            whole[name] = _with_object(name, known, value)
        elif value is not None:
            whole[name] = value


def append(whole: Json, part: Json) -> None:
    """Merge `part` into `whole`: lists are extended, other members are set.

    Zero, false and empty values do not replace a value.
    """
    for name, value in part.items():
        known = whole.get(name)
        if isinstance(known, Items) and isinstance(value, list):
            known.extend(value)
        elif value or name not in whole:
            whole[name] = Items(Separate(), value) if isinstance(value, list) else value


def encode(value: Json) -> bytes:
    """Encode as JSON, with the pieces of growing values joined."""
    return encode_json(value, lambda merged: merged.plain())


def _growing(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return Items(_LISTS.get(name, Numbered)(), value)
    if isinstance(value, dict):
        merged: Json = {}
        merge(merged, value)
        return merged
    return value


def _with_text(whole: Json, name: str, value: str) -> Any:
    known = whole[name]
    if isinstance(known, Text):
        known.pieces.append(value)
        return known
    if isinstance(known, Items):
        known.extend([_text_part(value)])
        return known
    if not known or not isinstance(known, str):
        return value
    if name not in _NAMING:
        return Text(known, value)
    # A function's name may arrive in pieces before its arguments begin.
    is_piece = name == "name" and whole.get("arguments", value) == ""
    return known + value if is_piece and not value.startswith(known) else value


def _with_list(name: str, known: Any, value: list[Any]) -> Any:
    if not value:
        return known
    if not isinstance(known, Items):
        text = known.plain() if isinstance(known, Text) else known
        parts = [_text_part(text)] if isinstance(text, str) and text else []
        known = _growing(name, parts)
    known.extend(value)
    return known


def _with_object(name: str, known: Any, value: Json) -> Any:
    if isinstance(known, dict):
        merge(known, value)
    elif isinstance(known, Items):
        known.extend([value])
    elif value:
        return _growing(name, value)
    return known


def _text_part(text: str) -> Json:
    return {"type": "text", "text": text}
