"""Finds the item of a list that a later delta continues.

| kind | an item is continued by a part with |
|---|---|
| `Calls` | its id; otherwise its index; otherwise its position in the delta (`call_identity`) |
| `Blocks` | its id; otherwise its type and index; otherwise its type, if it is first in a delta |
| `Numbered` | its index, unless the types differ |
| `Separate` | nothing: every part is a new item |

Every look-up is in a dict, so that time is linear in the length of a list.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..call_identity import CallPart, KnownCalls
from .growing_text import Text

__all__ = ["Blocks", "Calls", "Identity", "Json", "Numbered", "Separate", "index_of"]

Json = dict[str, Any]

# Members of a block that are continued, rather than set, by its later parts.
_TEXTS = ("text", "thinking", "summary")


class Identity(Protocol):
    """The identities of one list's items."""

    def find(self, part: Json, position: int) -> Json | None:
        """Return the item that `part`, at `position` in its delta, continues; None for none."""

    def note(self, item: Json, part: Json, position: int) -> None:
        """Record that `part` was merged into `item`."""


def index_of(value: object) -> int | None:
    """Return the number of an item or a choice, also from a float or a text, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) < 10 and value.isascii() and value.isdigit():
        return int(value)
    return None


class Separate:
    """Items that are never continued."""

    __slots__ = ()

    def find(self, part: Json, position: int) -> Json | None:
        """Return None."""
        return None

    def note(self, item: Json, part: Json, position: int) -> None:
        """Do nothing."""


class Numbered:
    """Items of an unknown kind, continued by their index."""

    __slots__ = ("_by_index",)

    def __init__(self) -> None:
        self._by_index: dict[int, Json] = {}

    def find(self, part: Json, position: int) -> Json | None:
        """Return the item with the same index, unless it is of another type."""
        index = index_of(part.get("index"))
        known = None if index is None else self._by_index.get(index)
        return known if known is not None and _same_type(known, part) else None

    def note(self, item: Json, part: Json, position: int) -> None:
        """Record the index of the item."""
        index = index_of(part.get("index"))
        if index is not None:
            self._by_index[index] = item


class Calls:
    """Tool calls."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: KnownCalls[_JoinedCall] = KnownCalls()

    def find(self, part: Json, position: int) -> Json | None:
        """Return the call that `part` continues."""
        known = self._known.find(_call_part(part), position)
        return None if known is None else known.item

    def note(self, item: Json, part: Json, position: int) -> None:
        """Record the identities of the call."""
        self._known.note(_JoinedCall(item), _call_part(part), position)


class _JoinedCall:
    """A call as joined so far."""

    __slots__ = ("item",)

    def __init__(self, item: Json) -> None:
        self.item = item

    @property
    def id(self) -> str:
        return str(self.item.get("id") or "")

    @property
    def name(self) -> str:
        return _name(self.item)

    @property
    def is_whole(self) -> bool:
        arguments = _called(self.item).get("arguments")
        return isinstance(arguments, str | Text) and arguments.endswith("}")


class Blocks:
    """Blocks of content or of reasoning."""

    __slots__ = ("_by_id", "_by_index", "_last")

    def __init__(self) -> None:
        self._by_id: dict[str, Json] = {}
        self._by_index: dict[int, Json] = {}
        self._last: Json | None = None

    def find(self, part: Json, position: int) -> Json | None:
        """Return the block that `part` continues."""
        id, index = _text(part, "id"), index_of(part.get("index"))
        if id and (known := self._by_id.get(id)) is not None:
            return known if _may_continue(known, part) else None
        if index is not None:
            known = self._by_index.get(index)
            if known is None or (id and known.get("id")) or not _may_continue(known, part):
                return None
            return known
        known = self._last
        if position or id or known is None or not _grows(known, part):
            return None
        return known if _may_continue(known, part) else None

    def note(self, item: Json, part: Json, position: int) -> None:
        """Record the identities of the block."""
        index = index_of(part.get("index"))
        if id := _text(part, "id"):
            self._by_id[id] = item
        if index is not None:
            self._by_index[index] = item
        self._last = item


def _text(part: Json, name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""


def _same_type(known: Json, part: Json) -> bool:
    return not part.get("type") or not known.get("type") or known["type"] == part["type"]


def _may_continue(known: Json, part: Json) -> bool:
    """Return False for another type, and for a second piece of `data`, which has only one."""
    return _same_type(known, part) and not (known.get("data") and part.get("data"))


def _grows(known: Json, part: Json) -> bool:
    """Return whether neighbours without an id or index are one block: unsigned text of one type."""
    if known.get("signature") or known.get("closed") or known.get("type") != part.get("type"):
        return False
    return any(known.get(name) for name in _TEXTS) and any(
        part.get(name) for name in (*_TEXTS, "signature")
    )


def _called(call: Json) -> Json:
    """Return the function or custom tool of a call."""
    for name in ("function", "custom"):
        value = call.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _name(part: Json) -> str:
    return _text(_called(part), "name")


def _call_part(part: Json) -> CallPart:
    called = _called(part)
    name, arguments = _text(called, "name"), _text(called, "arguments")
    return CallPart(_text(part, "id"), index_of(part.get("index")), name, arguments)
