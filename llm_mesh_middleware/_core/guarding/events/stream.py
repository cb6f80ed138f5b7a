"""A stream of events, checked by guards.

    event ── no text ──────────────> passed on, behind those that are held
          ── like an earlier one, except for its text: not decoded, then as below;
             not even searched as long as `FastPath` takes them
          ── text, all decided ────> passed on: its own bytes, or masked
          ── text, may continue ───> held, and all events behind it, until it is decided
    finding of a guard that denies > `ContentBlocked`; held events are dropped

Events keep their order, and events without a mask keep the provider's bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from ....exceptions import ContentBlocked
from ...dialect import EventTexts, TextForm, TextPlace
from ...http.sse import EventCutter, event_data, event_name, make_event
from ..window import Inspection, Window, inspect
from .event_template import EventTemplate, learn_template, widen_template
from .fast_path import FastPath

__all__ = ["MAX_HELD_BYTES", "GuardedStream", "Held"]

# The most that one stream holds back; a longer one is refused.
MAX_HELD_BYTES = 4 * 2**20
# A text that did not continue for so many events has ended: some dialects do not mark its end.
_MAX_BEHIND = 64
# How often a stream tries to learn a template of its events.
_CHANCES = 4

_UNMASKABLE = "the response has an event that cannot be masked"
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.encode


class Held(msgspec.Struct):
    """An event that is held back, and the parts of texts in it."""

    event: bytes
    name: bytes = b""
    value: object = None
    # The window, start and end of each; the place is None in an event that was not decoded.
    parts: list[tuple[Window, int, int, TextPlace | None]] = []
    is_changed: bool = False
    is_unread: bool = False


class GuardedStream:
    """Takes the bytes of a client's stream, and returns those that may be sent.

    `released` are the events before one that is denied, if they came in the same piece.
    """

    # Whether events that match a template are passed on without decoding.
    uses_templates = True

    def __init__(self, texts: TextForm, inspection: Inspection) -> None:
        """Inspect the texts that `texts` finds in events."""
        self._texts = texts
        self._inspection = inspection
        self._cutter = EventCutter()
        self._windows: dict[object, Window] = {}
        self._grown_at: dict[object, int] = {}
        self._held: deque[Held] = deque()
        self._held_bytes = 0
        self._events = 0
        self._template: EventTemplate | None = None
        self._template_window: Window | None = None  # None while another text is open
        self._chances = _CHANCES
        self._fast: FastPath | None = None
        self.released = b""

    @property
    def events(self) -> int:
        """How many events have been read."""
        return self._events + (0 if self._fast is None else self._fast.events)

    def feed(self, data: bytes) -> bytes:
        """Return what may be sent now.

        Raises:
            ContentBlocked: a guard denies what follows.
        """
        fast = self._fast
        if fast is None or not self._cutter.is_between:
            return self._feed(data, [])
        passed = fast.feed_one(data)
        if passed:
            return passed
        out: list[bytes] = []
        taken = fast.feed(data, out)
        return self._feed(data[taken:], out) if taken < len(data) else b"".join(out)

    def _feed(self, data: bytes, out: list[bytes]) -> bytes:
        """Take bytes whose first event the fast path has not taken; `out` may be sent too."""
        self._leave_fast_path()
        events = (data,) if self._is_one_event(data) else self._cutter.feed(data)
        try:
            for event in events:
                self._feed_event(event, out)
        except ContentBlocked:
            self.released = b"".join(out)
            raise
        return out[0] if len(out) == 1 else b"".join(out)

    def _feed_event(self, event: bytes, out: list[bytes]) -> None:
        fast = self._fast
        if fast is not None:
            if fast.feed(event, out):
                return
            self._leave_fast_path()
        chances = self._chances
        is_templated = self._template_window is not None and self._take_templated(event)
        if not is_templated:
            self._take(event)
        self._release(out)
        if is_templated or self._chances < chances:  # the next one matches too, most likely
            self._open_fast_path()

    def _open_fast_path(self) -> None:
        """Have the fast path take the next events, if the only open text allows it."""
        template, window = self._template, self._template_window
        if template is None or window is None or window.outlines is None or window.has_masks:
            return
        if not template.tails[-1].endswith(b"\n"):
            return  # a piece of the stream ended between CR and LF
        waiting: list[tuple[bytes, str]] = []
        for held in self._held:
            text = template.text(held.event)
            if text is None:
                return
            waiting.append((held.event, text))
        outline = window.outline()
        if window.outlines.judge(outline) != outline:
            return  # it must be searched already
        before = window.before(sum(len(text) for _, text in waiting))
        self._fast = FastPath(
            template, window.outlines, before=before, waiting=waiting, outline=outline
        )
        self._held.clear()
        self._held_bytes = 0

    def _leave_fast_path(self) -> None:
        """Search the text again, from the events on that the fast path holds back."""
        fast, window, self._fast = self._fast, self._template_window, None
        if fast is None or window is None or self._template is None:
            return
        self._events += fast.events
        self._grown_at[self._template.key] = self._events
        before, texts = fast.texts()
        begin = window.go_on(before, "".join(texts), fast.undecided)
        for event, text in zip(fast.waiting, texts, strict=True):
            end = begin + len(text)
            self._held.append(Held(event, parts=[(window, begin, end, None)]))
            self._held_bytes += len(event)
            begin = end

    def _take_templated(self, event: bytes) -> bool:
        """Take an event that matches the template and continues the only open text."""
        template, window = self._template, self._template_window
        text = template.text(event) if template is not None else None
        if template is None or window is None or not text:
            return False
        self._events += 1
        self._grown_at[template.key] = self._events
        self._chances = _CHANCES  # the template is useful
        begin = window.size
        window.feed(text)
        self._held.append(Held(event, parts=[(window, begin, window.size, None)]))
        self._held_bytes += len(event)
        self._check_held()
        return True

    def finish(self) -> bytes:
        """Return the rest; every text has ended.

        Raises:
            ContentBlocked: a guard denies it.
        """
        out: list[bytes] = []
        self._leave_fast_path()
        rest = self._cutter.rest()
        if rest:
            self._take(rest)
        self._end_texts(lambda key: True)
        self._release(out)
        return b"".join(out)

    def _is_one_event(self, data: bytes) -> bool:
        """Return whether the bytes are exactly one whole event."""
        return (
            data.startswith(b"data: ")
            and self._cutter.is_between
            and data.find(b"\n\n") == len(data) - 2
            and b"\r" not in data
        )

    def _take(self, event: bytes) -> None:
        held = Held(event)
        data = event_data(event)
        if data:
            self._events += 1
            try:
                held.value = _decode(data)
            except _UNREADABLE:
                if data.strip() != b"[DONE]":
                    self._take_unread(held, data.decode("utf-8", "replace"))
                self._end_texts(lambda key: True)
            else:
                self._read(held, event_name(event))
        self._held.append(held)
        self._held_bytes += len(event)
        self._check_held()

    def _check_held(self) -> None:
        if self._held_bytes > MAX_HELD_BYTES:
            raise ContentBlocked("the response holds more than can be checked while it is streamed")

    def _take_unread(self, held: Held, text: str) -> None:
        """Inspect an event that is not JSON; nothing in it can be masked."""
        held.is_unread = True
        self._read_whole(held, TextPlace([text], 0))

    def _read(self, held: Held, name: bytes) -> None:
        held.name = name
        event = self._texts.read_event(held.value)
        for key, place in event.parts:
            window = self._windows.get(key)
            if window is None:
                window = self._windows[key] = self._begin(place)
            text, begin = place.text, window.size
            held.parts.append((window, begin, begin + len(text), place))
            window.feed(text)
            self._grown_at[key] = self._events
        for place in event.wholes:
            self._read_whole(held, place)
        if event.ends is not None:
            self._end_texts(event.ends)
        if len(self._grown_at) > 1:
            oldest = self._events - _MAX_BEHIND
            self._end_texts(lambda key: self._grown_at.get(key, oldest) < oldest)
        if self.uses_templates:
            self._learn_template(held, event)

    def _learn_template(self, held: Held, event: EventTexts) -> None:
        """Learn a template from an event, and check whether only one text is open."""
        if len(held.parts) == 1 and not event.wholes and self._chances:
            self._chances -= 1
            key, place = event.parts[0]
            old, new = self._template, learn_template(held.event, place.text, key, self._texts)
            wide = None if old is None or new is None else widen_template(old, new, self._texts)
            self._template = wide or new
        self._template_window = None
        if self._template is not None:
            own = self._windows[self._template.key]
            if all(each is own or each.decided == each.size for each in self._windows.values()):
                self._template_window = own

    def _begin(self, place: TextPlace) -> Window:
        """Return the window of a text that arrives in parts."""
        return Window(self._inspection, is_json=place.is_json)

    def _read_whole(self, held: Held, place: TextPlace) -> None:
        """Inspect a text that is complete."""
        text = inspect(place.text, self._inspection, is_json=place.is_json)
        if text != place.text:
            place.put(text)
            held.is_changed = True

    def _end_texts(self, is_ended: Callable[[object], bool]) -> None:
        for key, window in self._windows.items():
            if window.decided < window.size and is_ended(key):
                window.feed("", is_final=True)

    def _release(self, out: list[bytes]) -> None:
        """Move decided events from the front of the queue to `out`."""
        queue = self._held
        while queue:
            held = queue[0]
            for window, _, end, _ in held.parts:
                if window.decided < end:
                    return
            queue.popleft()
            self._held_bytes -= len(held.event)
            for window, start, _, place in held.parts:
                if not window.has_masks:
                    continue
                if place is None:
                    place = self._decoded_place(held)
                text = window.left_of(start, place.text)
                if text != place.text:
                    place.put(text)
                    held.is_changed = True
            out.append(held.event if not held.is_changed else self._changed(held))

    def _decoded_place(self, held: Held) -> TextPlace:
        """Decode an event after all: something in it is to be masked."""
        try:
            held.name, held.value = event_name(held.event), _decode(event_data(held.event))
        except _UNREADABLE:
            raise ContentBlocked(_UNMASKABLE) from None
        ((_, place),) = self._texts.read_event(held.value).parts
        return place

    def _changed(self, held: Held) -> bytes:
        if held.is_unread:
            raise ContentBlocked(_UNMASKABLE)
        self._texts.drop_repetitions(held.value)
        return make_event(_encode(held.value), held.name)
