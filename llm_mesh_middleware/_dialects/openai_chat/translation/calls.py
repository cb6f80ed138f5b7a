"""The calls of a chat completion's stream so far."""

from __future__ import annotations

import msgspec

from ....exceptions import UpstreamProtocolError
from ..call_identity import CallPart, KnownCalls
from .text_members import Arguments, arguments_text

__all__ = ["CallPiece", "FunctionPiece", "OpenCall", "OpenCalls"]

_MAX_CALLS = 512


class FunctionPiece(msgspec.Struct, gc=False):
    """The part of a function's call."""

    name: str | None = None
    arguments: Arguments | None = None

    @property
    def text(self) -> str:
        """The JSON of the arguments, or a part of it."""
        return arguments_text(self.arguments)


class CallPiece(msgspec.Struct, gc=False):
    """The part of a call that one chunk has."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None
    extra_content: msgspec.Raw = msgspec.Raw()


class OpenCall:
    """A call that may grow. Until id and name are known, its arguments are held."""

    __slots__ = ("extra", "held", "id", "is_started", "is_whole", "key", "name")

    def __init__(self, key: int) -> None:
        self.key = key
        self.id = self.name = ""
        self.is_started = False
        self.is_whole = False
        self.extra = msgspec.Raw()
        self.held: list[str] = []


class OpenCalls:
    """All calls of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[OpenCall] = []
        self._known: KnownCalls[OpenCall] = KnownCalls()

    def take(self, piece: CallPiece, position: int) -> OpenCall:
        """Return the call that a piece, at a position in its chunk, belongs to."""
        function = piece.function
        name = (function and function.name) or ""
        arguments = "" if function is None else function.text
        part = CallPart(piece.id or "", piece.index, name, arguments)
        call = self._known.find(part, position)
        if call is None:
            if len(self.all) >= _MAX_CALLS:
                raise UpstreamProtocolError(f"called more than {_MAX_CALLS} tools at once")
            call = OpenCall(len(self.all))
            self.all.append(call)
        call.id, call.name = call.id or part.id, call.name or name
        call.extra = call.extra or piece.extra_content
        if arguments:
            call.is_whole = arguments.endswith("}")
        self._known.note(call, part, position)
        return call
