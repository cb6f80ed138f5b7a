"""Reads a stream of server-sent events as deltas."""

from __future__ import annotations

from collections.abc import Callable

from ..._core.conversation.answer import Delta, End
from ..._core.http.sse import MAX_EVENT_BYTES, EventCutter, EventTooLong, event_parts
from ...exceptions import UpstreamProtocolError
from .split_pairs import SplitPairs

__all__ = ["ServerSentReader"]

ReadEvent = Callable[[bytes, bytes, list[Delta]], None]


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
            UpstreamProtocolError: An event is too long, or cannot be read.
        """
        deltas: list[Delta] = []
        try:
            for event in self._cutter.feed(data):
                name, payload = event_parts(event)
                if payload:
                    self._read(self._join(payload), name, deltas)
        except EventTooLong:
            raise UpstreamProtocolError(
                f"sent an event of more than {MAX_EVENT_BYTES} bytes"
            ) from None
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
