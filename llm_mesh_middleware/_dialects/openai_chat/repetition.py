"""Recognises events that only differ from an earlier one in their text, without decoding them.

    learnt    data: {"id":"a","choices":[{"delta":{"content":"Hel"}}]}      decoded once
    begin     data: {"id":"a","choices":[{"delta":{"content":"
    end                                                        "}}]}
    later     begin lo end begin ! end                          the texts alone are read

If the texts are JSON strings, too, such an event has the same facts as the learnt one. Decoding it
would take ten times as long, for every word of every stream.
"""

from __future__ import annotations

import msgspec

__all__ = ["Repetition"]

# Members whose texts are new in each event.
_MEMBERS = ("content", "reasoning_content", "reasoning", "text", "arguments")

# Each ends with the quote that begins a text, so any text can follow without changing the meaning
# of the rest of the event.
_BEFORE_TEXTS = tuple(
    b'"%b":%b"' % (name.encode(), gap) for name in _MEMBERS for gap in (b"", b" ")
)

# How many events are learnt: providers may write a new value into each event.
_MAX_LEARNT = 16

# A JSON string cannot contain a line end, so the texts of two events are never read as one.
_BETWEEN = b'"\n,"'

_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_text = msgspec.json.Decoder(str).decode
(_LF,) = b"\n"  # a number is found in bytes at a quarter of the price of other bytes


class Repetition:
    """The common bytes of the events of one stream."""

    __slots__ = ("_after", "_before", "_begin", "_between", "_end", "_may_learn", "_text")

    def __init__(self) -> None:
        self._begin = self._end = self._between = b""
        self._before = self._after = b""  # the same without the quotes of the text
        self._text = slice(0)  # where the text is in an event without its empty line
        self._may_learn = _MAX_LEARNT

    def count(self, data: bytes) -> int:
        """Return the number of events in `data`; 0 if one of them differs in more than its text."""
        begin = self._before
        if not begin or (rest := data.removeprefix(begin)) is data:
            return 0
        text = rest.removesuffix(self._after)  # with its quotes, if it is a text
        if text is rest:
            return 0
        try:
            if _LF not in text:
                _decode_text(text)
                return 1
            found = self._texts(data)
            texts = _decode_texts(b'["%b"]' % _BETWEEN.join(found))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 0
        return len(found) if len(found) == len(texts) else 0

    def _texts(self, data: bytes) -> list[bytes]:
        """Return the texts of the events in `data`, none if they differ in anything else."""
        where, events = self._text, data.split(b"\n\n")
        del events[-1]  # empty
        found = [event[where] for event in events]
        # Faster than checking each event, or splitting by a long separator.
        is_alike = self._begin + self._between.join(found) + self._end == data
        return found if is_alike else []

    @property
    def may_learn(self) -> bool:
        """Whether `learn` may still learn anything."""
        return self._may_learn > 0

    def learn(self, data: bytes) -> bool:
        """Learn the last event of `data`, whole events that were read and only continue a text.

        Returns:
            Whether later events are compared with it.
        """
        if not self._may_learn:
            return False
        self._may_learn -= 1
        begin = data.rfind(b"\n\n", 0, -2)
        event = data[begin + 2 :] if begin >= 0 else data
        for before in _BEFORE_TEXTS:
            if (at := event.find(before)) >= 0:
                start = at + len(before)
                stop = _end_of_text(event, start)
                if stop > start:  # the text may be in another member if this one is empty
                    self._begin, self._end = event[:start], event[stop:]
                    self._before, self._after = self._begin[:-1], self._end[1:]
                    self._between = self._end + self._begin
                    self._text = slice(start, stop - len(event) + 2)
                    return True
        return False


def _end_of_text(event: bytes, start: int) -> int:
    """Return where the JSON string that begins at `start` ends, before its quote."""
    stop = event.find(b'"', start)
    while event[start:stop].endswith(b"\\"):
        before = event[start:stop]
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            break
        stop = event.find(b'"', stop + 1)
    return stop
