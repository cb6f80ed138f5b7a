"""Server-sent events by bytes (WHATWG HTML 9.2.6): cutting a stream into events, reading one.

Events are cut out, never put together anew, so whatever is passed on is the provider's own bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = [
    "EventCutter",
    "EventTooLong",
    "before_last_events",
    "event_data",
    "event_name",
    "make_event",
    "on_one_line",
    "plain_data",
]

# The end of a line and an empty line. The groups are atomic: CR LF is one end, not two.
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"

# A line that starts with one of these is whole by itself: a comment, an empty line.
_LONE = b":\r\n"

# A run of such lines, as one piece: a flood of empty lines must not cost an event for each.
_LONE_LINES = re.compile(rb"(?>(?>:[^\r\n]*)?(?>\r\n|\n|\r))+")


_LONE_BEGINNINGS = frozenset((b":", b"\r", b"\n"))


class EventTooLong(ValueError):
    """An event has no end within the bytes that are held for it."""


class EventCutter:
    """Cuts a stream into whole events, each with the empty line that ends it.

    Comments and empty lines between events are given out as they come: they are what keeps a silent
    connection open. The LF of a CR LF that two pieces share is given out by itself.
    """

    __slots__ = ("_ended_in_cr", "_held", "_max_bytes", "_searched")

    def __init__(self, max_bytes: int) -> None:
        self._held = bytearray()
        self._searched = 0
        self._ended_in_cr = False
        self._max_bytes = max_bytes

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins an event."""
        return not (self._held or self._ended_in_cr)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The events that `data` completes.

        Raises:
            EventTooLong: more than `max_bytes` without an end.
        """
        if not data:
            return
        if self._held:
            self._held += data
            if not self._has_end():
                self._hold()
                return
            data = self.rest()
        begin = 0
        if self._ended_in_cr and data[:1] == b"\n":
            begin = 1
            yield b"\n"
        size, has_cr = len(data), b"\r" in data
        while begin < size:
            end = _end(data, begin, has_cr=has_cr)
            if not end:
                break
            yield data[begin:end]
            begin = end
        self._ended_in_cr = begin == size and data[-1:] == b"\r"
        if begin < size:
            self._held = bytearray(data[begin:])
            self._hold()

    def rest(self) -> bytes:
        """What came after the last whole event; the cutter is empty afterwards."""
        held, self._held, self._searched = bytes(self._held), bytearray(), 0
        return held

    def _has_end(self) -> bool:
        """Whether an end is in what is held; looks only at what it has not looked at before."""
        end = _LINE_END if self._held[0] in _LONE else _EVENT_END
        return end.search(self._held, max(0, self._searched - 3)) is not None

    def _hold(self) -> None:
        self._searched = len(self._held)
        if self._searched > self._max_bytes:
            raise EventTooLong


def _end(data: bytes, begin: int, *, has_cr: bool) -> int:
    """Where the event or comment ends that starts at `begin`; 0 if its end is not there yet."""
    if data.startswith(_BOM, begin):  # by itself, so that it does not go with an event that goes
        return begin + len(_BOM)
    if data[begin] in _LONE:
        match = _LONE_LINES.match(data, begin)
    elif has_cr:
        match = _EVENT_END.search(data, begin)
    else:  # nearly every provider; `find` is ten times faster than the pattern
        found = data.find(b"\n\n", begin)
        return found + 2 if found >= 0 else 0
    return match.end() if match is not None else 0


def event_data(event: bytes) -> bytes:
    """The value of the event's `data` fields, joined by LF; empty if it has none."""
    if event[:1] in _LONE_BEGINNINGS:  # comments and empty lines are cut by themselves
        return b""
    if event.startswith(b"data: "):  # one line of data, as nearly every provider writes it
        size, lf, cr = len(event), event.find(b"\n"), event.find(b"\r")
        if lf == size - 2 and cr < 0:
            return event[6:-2]
        if lf == size - 3 and cr == size - 4:
            return event[6:-4]
    values = []
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        name, _, value = line.partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
    return b"\n".join(values)


def event_name(event: bytes) -> bytes:
    """Return the value of the event's last `event` field; empty if it has none."""
    if event.startswith(b"data: ") and b"\nevent" not in event and b"\revent" not in event:
        return b""
    found = b""
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        name, _, value = line.partition(b":")
        if name == b"event":
            found = value.removeprefix(b" ")
    return found


def plain_data(data: bytes) -> bytes | None:
    """The data of the events as one JSON array, if `data` is events of one `data: {...}` line each.

    The short way for what nearly every piece of a stream is; None says to take the long way.
    """
    if not data.startswith(b"data: {") or not data.endswith(b"}\n\n") or b"\r" in data:
        return None
    objects = data[6:-2].replace(b"}\n\ndata: {", b"},{")
    return None if b"\n" in objects else b"[%b]" % objects


def before_last_events(data: bytes, count: int) -> bytes:
    """The events that come before the last `count` whole ones and a part of another."""
    end = len(data)
    for _ in range(count + 1):
        end = data.rfind(b"\n\n", 0, end)
        if end < 0:
            return b""
    return data[: end + 2]


def make_event(data: bytes, name: bytes = b"") -> bytes:
    """An event of one line of data, and of a name if it has one."""
    return (b"event: " + name + b"\n" if name else b"") + b"data: " + data + b"\n\n"


def on_one_line(json: bytes) -> bytes:
    """Return a JSON text without line ends, which within it can only stand between tokens."""
    return json.replace(b"\r", b"").replace(b"\n", b"")
