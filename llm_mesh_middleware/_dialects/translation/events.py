"""Reads a stream of server-sent events as deltas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..._core.conversation.answer import Delta, End
from ..._core.http.split_pairs import SplitPairs
from ..._core.http.sse import MAX_EVENT_BYTES, EventCutter, EventTooLong, event_parts
from ...exceptions import UpstreamProtocolError

__all__ = ["BrokenStream", "ServerSentReader"]

ReadEvent = Callable[[bytes, bytes, list[Delta]], None]


class BrokenStream(UpstreamProtocolError):
    """A stream cannot be read further; `deltas` are those of the same bytes before the fault."""

    def __init__(self, message: str, deltas: Sequence[Delta]) -> None:
        super().__init__(message)
        self.deltas = deltas


class ServerSentReader:
    """Cuts the events out of bytes; `read` adds the deltas of one to a list, given data and name.

    `close` is called at the end of the bytes: it adds the end, if the dialect may leave that out.
    """

    __slots__ = ("_close", "_cutter", "_join", "_read")

    def __init__(self, read: ReadEvent, close: Callable[[list[Delta]], None]) -> None:
        self._read = read
        self._close = close
        self._cutter = EventCutter()
        self._join = SplitPairs().join

    def feed(self, data: bytes) -> list[Delta]:
        """Return the deltas that `data` completes.

        Raises:
            BrokenStream: An event is too long, or cannot be read.
        """
        deltas: list[Delta] = []
        try:
            for event in self._cutter.feed(data):
                name, payload = event_parts(event)
                if payload:
                    self._read(self._join(payload), name, deltas)
        except EventTooLong:
            message = f"sent an event of more than {MAX_EVENT_BYTES} bytes"
            raise BrokenStream(message, deltas) from None
        except UpstreamProtocolError as exc:
            raise BrokenStream(exc.message, deltas) from exc
        return deltas

    def finish(self) -> list[Delta]:
        """Return the deltas that the end completes; half an event is dropped."""
        deltas: list[Delta] = []
        name, payload = event_parts(self._cutter.rest())
        if payload:
            try:
                self._read(self._join(payload), name, deltas)
            except UpstreamProtocolError:
                deltas.clear()
        if not (deltas and isinstance(deltas[-1], End)):
            self._close(deltas)
        return deltas
