"""Tells the calls of a stream apart, by the same rules as the bridge.

Providers number every parallel call 0, repeat names and ids in every piece, or give neither.
"""

from __future__ import annotations

import msgspec

from ....exceptions import UpstreamProtocolError
from .said import Arguments, arguments_text

__all__ = ["CallPiece", "FunctionPiece", "OpenCall", "OpenCalls"]

_MAX_CALLS = 512


class FunctionPiece(msgspec.Struct, gc=False):
    """The part of a function's call."""

    name: str | None = None
    arguments: Arguments | None = None

    @property
    def text(self) -> str:
        """The arguments' JSON, or the part of it."""
        return arguments_text(self.arguments)


class CallPiece(msgspec.Struct, gc=False):
    """The part of a call that one chunk has."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class OpenCall:
    """A call that may grow. Until id and name are known, its arguments are held."""

    __slots__ = ("held", "id", "is_started", "is_whole", "key", "name")

    def __init__(self, key: int) -> None:
        self.key = key
        self.id = self.name = ""
        self.is_started = False
        self.is_whole = False
        self.held: list[str] = []

    def is_another(self, id: str, name: str, arguments: str) -> bool:
        """Return whether a piece with a name begins another call than this one."""
        if not self.name:
            return bool(id and self.id)
        if name != self.name or (id and self.id):
            return True
        # The same function again without an id: whole arguments cannot be continued.
        return self.is_whole and arguments.startswith("{")


class OpenCalls:
    """All calls of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[OpenCall] = []
        self._by_id: dict[str, OpenCall] = {}
        self._by_index: dict[int, OpenCall] = {}
        self._by_position: dict[int, OpenCall] = {}

    def take(self, piece: CallPiece, position: int) -> OpenCall:
        """Return the call that a piece, at a position in its chunk, belongs to."""
        id, index, function = piece.id or "", piece.index, piece.function
        name = (function and function.name) or ""
        arguments = "" if function is None else function.text
        call = self._find(id, index, name, arguments, position)
        if call is None:
            if len(self.all) >= _MAX_CALLS:
                raise UpstreamProtocolError(f"called more than {_MAX_CALLS} tools at once")
            call = OpenCall(len(self.all))
            self.all.append(call)
        call.id, call.name = call.id or id, call.name or name
        if arguments:
            call.is_whole = arguments.endswith("}")
        if id:
            self._by_id[id] = call
        if index is not None:
            self._by_index[index] = call
        self._by_position[position] = call
        return call

    def _find(
        self, id: str, index: int | None, name: str, arguments: str, position: int
    ) -> OpenCall | None:
        if id and (known := self._by_id.get(id)) is not None:
            return known
        call = None if index is None else self._by_index.get(index)
        if call is None and (index is None or not (id or name)):
            call = self._by_position.get(position)
        if call is None or (name and call.is_another(id, name, arguments)):
            return None
        return call
