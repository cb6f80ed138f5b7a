"""Identifies the calls of a stream, of which each chunk has parts.

    a part belongs to the call with
    its id; otherwise its index; otherwise, without an index or without id and name, its position

Providers number every parallel call 0, repeat names and ids in every part, or send neither. Hence a
part with another name, or with a new id and a name, begins another call whatever its index is; a
part without a name never does.

Every look-up is in a dict, so that time is linear in the number of parts.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

__all__ = ["CallPart", "KnownCall", "KnownCalls"]


class KnownCall(Protocol):
    """The identifying members of a call."""

    @property
    def id(self) -> str:
        """Its id, empty if there is none yet."""

    @property
    def name(self) -> str:
        """The name of its function, empty if there is none yet."""

    @property
    def is_whole(self) -> bool:
        """Whether its arguments look complete."""


class CallPart(msgspec.Struct, frozen=True, gc=False):
    """The identifying members of a part of a call."""

    id: str
    index: int | None
    name: str
    arguments: str


Call = TypeVar("Call", bound=KnownCall)


class KnownCalls(Generic[Call]):
    """The calls of one stream so far."""

    __slots__ = ("_by_id", "_by_index", "_by_position")

    def __init__(self) -> None:
        self._by_id: dict[str, Call] = {}
        self._by_index: dict[int, Call] = {}
        self._by_position: dict[int, Call] = {}

    def find(self, part: CallPart, position: int) -> Call | None:
        """Return the call that a part, at a position in its chunk, continues; None for none."""
        id, index, name = part.id, part.index, part.name
        if id and (known := self._by_id.get(id)) is not None:
            return known
        call = None if index is None else self._by_index.get(index)
        if call is None and (index is None or not (id or name)):
            call = self._by_position.get(position)
        if call is None or (name and _is_another(call, part)):
            return None
        return call

    def note(self, call: Call, part: CallPart, position: int) -> None:
        """Record the identities of a call."""
        if part.id:
            self._by_id[part.id] = call
        if part.index is not None:
            self._by_index[part.index] = call
        self._by_position[position] = call


def _is_another(known: KnownCall, part: CallPart) -> bool:
    """Return whether a part with a name begins another call than `known`."""
    if not known.name:
        return bool(part.id and known.id)
    if part.name != known.name or (part.id and known.id):
        return True
    # The same function again without an id: whole arguments cannot be continued.
    return known.is_whole and part.arguments.startswith("{")
