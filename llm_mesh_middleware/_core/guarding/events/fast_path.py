"""The fast path of a stream: events that match a template, and texts with nothing to find.

    data: {"choices":[{"delta":{"content":"   word   "}}]}
    |<-- head --------------------------->|     |   |<-- tail -->|
              outline of what is undecided + its outline = known ──> passed on, or held
                                                         = other ──> left to the stream

No event is decoded, and no text is searched: an event costs a few steps, whatever the recognisers.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..finding import MAX_CONTEXT
from ..outlines import ESCAPE, LONGEST, WRITTEN, Outlines, of_decoded
from .event_template import EventTemplate

__all__ = ["FastPath"]

_decode_text = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError)
# The stream holds back more events than these.
_MOST_HELD = 64
# Bytes of text that are kept: the context of what is held back, and that, which outlines bound.
_RECENT = 4 * MAX_CONTEXT + 3 * LONGEST
_MOST_RECENT = 2 * _RECENT


class FastPath:
    """Takes the bytes of whole events as long as nothing has to be searched.

    Attributes:
        events: how many were taken.
        waiting: the last ones, which are held back.
    """

    __slots__ = (
        "_head",
        "_head_size",
        "_judge",
        "_known",
        "_locate",
        "_outline",
        "_recent",
        "_tail",
        "_tail_size",
        "events",
        "waiting",
    )

    def __init__(
        self,
        template: EventTemplate,
        outlines: Outlines,
        *,
        before: str,
        waiting: Sequence[tuple[bytes, str]],
        outline: bytes,
    ) -> None:
        """Begin in the middle of a text.

        Args:
            template: the template of the events.
            outlines: judges their texts.
            before: the text before the events that are held back.
            waiting: those events, and their texts.
            outline: the outline of the undecided text, as `Outlines.judge` returns it.
        """
        self._locate = template.locate
        # Events with slots have no common length; no event begins as this one.
        has_slots = len(template.heads) + len(template.tails) > 2
        self._head = b"\0" if has_slots else template.heads[0]
        self._tail = template.tails[-1]
        self._known, self._judge, self._outline = outlines.known, outlines.judge, outline
        self._head_size, self._tail_size = len(self._head), len(self._tail)
        self.waiting = [event for event, _ in waiting]
        # The text up to now, as far back as a recogniser may look.
        self._recent = _encoded(before + "".join([text for _, text in waiting]))
        self.events = 0

    def texts(self) -> tuple[str, list[str]]:
        """Return the end of the text before the events that are held back, and their texts."""
        texts, size = list[str](), 0
        for event in self.waiting:
            begin, stop, _ = self._locate(event) or (0, 0, 0)
            written = event[begin:stop]
            text = _decoded(written) if ESCAPE not in written else _unescaped(written)
            size += len(written if ESCAPE not in written else _encoded(text))
            texts.append(text)
        return _decoded(self._recent[: len(self._recent) - size]), texts

    @property
    def undecided(self) -> int:
        """How many characters of those texts are undecided."""
        return len(self._outline.decode()) - 1

    def feed_one(self, data: bytes) -> bytes:
        """Take one event in the two common cases.

        Returns:
            the event before it, in whose place it is held back, or itself, if nothing is; nothing
            in any other case, and nothing is taken.
        """
        begin, stop = self._head_size, len(data) - self._tail_size
        text = data[begin:stop]
        outline = self._known.get(self._outline + text.translate(WRITTEN))
        if not (outline and text and data.startswith(self._head) and data.endswith(self._tail)):
            return b""
        held, waiting = len(outline) - 1, self.waiting
        if 0 < held <= len(text) and len(waiting) == 1:
            passed, waiting[0] = waiting[0], data
        elif held or waiting:
            return b""
        else:
            passed = data
        self._recent = recent = self._recent + text
        if len(recent) > _MOST_RECENT:
            self._recent = recent[-_RECENT:]
        self._outline = outline
        self.events += 1
        return passed

    def feed(self, data: bytes, out: list[bytes]) -> int:
        """Take events up to the first one whose text must be searched.

        Args:
            data: whole events.
            out: gets what may be sent.

        Returns:
            how many bytes were taken.
        """
        locate, known = self._locate, self._known
        at, size = 0, len(data)
        while at < size:
            place = locate(data, at)
            if place is None:
                break
            begin, stop, end = place
            if begin == stop:  # an empty text continues none
                break
            text = data[begin:stop]
            outline = known.get(self._outline + text.translate(WRITTEN))
            if not outline:
                text, outline = self._look(text)
                if not outline:
                    break
            event = data if end - at == size else data[at:end]
            if len(outline) <= len(text) + 1:  # what is undecided begins in this event
                out += self.waiting
                if len(outline) > 1:
                    self.waiting = [event]
                else:
                    self.waiting = []
                    out.append(event)
            elif self._is_longer(outline, text):
                self.waiting.append(event)
            else:
                break
            self._recent = (self._recent + text)[-_RECENT:]
            self._outline = outline
            self.events += 1
            at = end
        return at

    def _look(self, text: bytes) -> tuple[bytes, bytes]:
        """Return a text without the escapes of JSON, and the outline of what is undecided then."""
        if ESCAPE not in text:
            return text, self._judge(self._outline + text.translate(WRITTEN))
        try:
            text = _unescaped(text).encode()
        except _UNREADABLE:
            return text, b""
        return text, self._judge(self._outline + of_decoded(text))

    def _is_longer(self, outline: bytes, text: bytes) -> bool:
        """Return whether nothing is decided by a text, so that all that is held stays held."""
        is_all = len(outline) == len(self._outline) + len(text)
        return is_all and len(self.waiting) < _MOST_HELD


def _unescaped(text: bytes) -> str:
    return _decode_text(b'"%b"' % text)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
