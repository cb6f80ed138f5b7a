"""Server-sent events by bytes (WHATWG HTML 9.2.6): cutting a stream into events, reading one.

Events are cut out, never put together anew, so whatever is passed on is the provider's own bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["EventCutter", "EventTooLong", "event_data", "make_event"]

# The end of a line and an empty line. The groups are atomic: CR LF is one end, not two.
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event has no end within the bytes that are held for it."""


class EventCutter:
    """Cuts a stream into whole events, each with the empty line that ends it.

    A chunk that ends between CR and LF may give the LF to the next event; an empty line more or
    less means nothing, and the bytes stay in order. Comment lines are given out as they come: they
    are what keeps a silent connection open.
    """

    __slots__ = ("_held", "_max_bytes", "_seen")

    def __init__(self, max_bytes: int) -> None:
        self._held = bytearray()
        self._seen = 0
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The events that `data` completes.

        Raises:
            EventTooLong: more than `max_bytes` without an end.
        """
        if self._held:
            self._held += data
            data = bytes(self._held)
            start = max(0, self._seen - 3)
        else:
            start = 0
        begin = 0
        while (start := _event_end(data, start)) > 0:
            yield data[begin:start]
            begin = start
        if data[begin : begin + 1] == b":":
            for line in _LINE_END.finditer(data, begin):
                yield data[begin : line.end()]
                begin = line.end()
                if data[begin : begin + 1] != b":":
                    break
        self._held = bytearray(data[begin:])
        self._seen = len(self._held)
        if self._seen > self._max_bytes:
            raise EventTooLong

    def rest(self) -> bytes:
        """What came after the last whole event; the cutter is empty afterwards."""
        held, self._held, self._seen = bytes(self._held), bytearray(), 0
        return held


def _event_end(data: bytes, start: int) -> int:
    """Where the event ends that `start` lies in; 0 if its end is not there yet."""
    if b"\r" not in data:  # nearly every provider; `find` is ten times faster than the pattern
        found = data.find(b"\n\n", start)
        return found + 2 if found >= 0 else 0
    match = _EVENT_END.search(data, start)
    return match.end() if match is not None else 0


def event_data(event: bytes) -> bytes:
    """The value of the event's `data` fields, joined by LF; empty if it has none."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]  # one line of data, as nearly every provider writes it
    values = []
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        name, _, value = line.partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
    return b"\n".join(values)


def make_event(data: bytes) -> bytes:
    """An event of one line of data."""
    return b"data: " + data + b"\n\n"
