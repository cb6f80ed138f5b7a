"""A stream of events as guards let it pass.

    event ── no text ──────────────> passed on, behind those that are held
          ── as the last one, but for a text: not decoded, as below
          ── text, all decided ────> passed on: its own bytes, or masked
          ── text, may go on ──────> held, and all events behind it, until it is decided
    finding of a guard that denies > `ContentBlocked`; what is held is dropped

Events keep their order, and the bytes of those without a mask are the provider's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from ....exceptions import ContentBlocked
from ...dialect import EventTexts, TextForm, TextPlace
from ...http.sse import EventCutter, event_data, event_name, make_event
from ..window import Inspection, Window, inspect
from .usual import UsualEvent, learn_usual

__all__ = ["MAX_HELD_BYTES", "GuardedStream", "Held"]

# The most that one stream holds back; a longer one is refused.
MAX_HELD_BYTES = 4 * 2**20
# A text that has not gone on for so many events has ended: some dialects do not say so.
_MAX_BEHIND = 64
# So often a stream tries to learn what most of its events have in common.
_CHANCES = 4

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.encode


class Held(msgspec.Struct):
    """An event, and the places in it that are parts of texts."""

    event: bytes
    name: bytes = b""
    value: object = None
    # Where each begins and ends in its text; the place is None in a usual event, not read so far.
    parts: list[tuple[Window, int, int, TextPlace | None]] = []
    is_changed: bool = False
    is_unread: bool = False


class GuardedStream:
    """Takes the bytes of a client's stream, and returns those that may be sent."""

    # Whether events are passed that have not been decoded.
    has_usual = True

    def __init__(self, texts: TextForm, inspection: Inspection) -> None:
        """Inspect the texts that `texts` finds in events."""
        self._texts = texts
        self._inspection = inspection
        self._cutter = EventCutter()
        self._windows: dict[object, Window] = {}
        self._grown: dict[object, int] = {}
        self._held: deque[Held] = deque()
        self._held_bytes = 0
        self._count = 0
        self._usual: UsualEvent | None = None
        self._usual_window: Window | None = None  # None while another text is open
        self._chances = _CHANCES

    @property
    def events(self) -> int:
        """How many events have been read."""
        return self._count

    def feed(self, data: bytes) -> bytes:
        """Return what may be sent now.

        Raises:
            ContentBlocked: a guard denies what follows.
        """
        out: list[bytes] = []
        if self._usual_window is not None and self._cutter.is_between and self._take_usual(data):
            self._release(out)  # it is one whole event, as most pieces of a stream are
            return out[0] if len(out) == 1 else b"".join(out)
        events = (data,) if self._is_one_event(data) else self._cutter.feed(data)
        for event in events:
            if self._usual_window is None or not self._take_usual(event):
                self._take(event)
            self._release(out)
        return out[0] if len(out) == 1 else b"".join(out)

    def _take_usual(self, event: bytes) -> bool:
        """Take an event that continues the only open text, and is otherwise known."""
        usual, window = self._usual, self._usual_window
        text = usual.text(event) if usual is not None else None
        if usual is None or window is None or not text:
            return False
        self._count += 1
        self._grown[usual.key] = self._count
        self._chances = _CHANCES  # what was learnt is of use
        begin = window.size
        window.feed(text)
        self._held.append(Held(event, parts=[(window, begin, window.size, None)]))
        self._held_bytes += len(event)
        self._check_held()
        return True

    def finish(self) -> bytes:
        """Return the rest; every text has ended."""
        out: list[bytes] = []
        rest = self._cutter.rest()
        if rest:
            self._take(rest)
        self._end_texts(lambda key: True)
        self._release(out)
        return b"".join(out)

    def _is_one_event(self, data: bytes) -> bool:
        """Return whether the bytes are one whole event, as most pieces of a stream are."""
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
            self._count += 1
            try:
                held.value = _decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
            self._grown[key] = self._count
        for place in event.wholes:
            self._read_whole(held, place)
        if event.ends is not None:
            self._end_texts(event.ends)
        if len(self._grown) > 1:
            oldest = self._count - _MAX_BEHIND
            self._end_texts(lambda key: self._grown.get(key, oldest) < oldest)
        if self.has_usual:
            self._note_usual(held, event)

    def _note_usual(self, held: Held, event: EventTexts) -> None:
        """Learn from an event, and see whether only one text is open."""
        if len(held.parts) == 1 and not event.wholes and self._chances:
            self._chances -= 1
            key, place = event.parts[0]
            self._usual = learn_usual(held.event, place.text, key, self._texts)
        self._usual_window = None
        if self._usual is not None:
            own = self._windows[self._usual.key]
            if all(each is own or each.decided == each.size for each in self._windows.values()):
                self._usual_window = own

    def _begin(self, place: TextPlace) -> Window:
        """Return the window of a text that comes in parts."""
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
        """Move what has been decided from the front of what is held to `out`."""
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
                    place = self._place_of_usual(held)
                text = window.left_of(start, place.text)
                if text != place.text:
                    place.put(text)
                    held.is_changed = True
            out.append(held.event if not held.is_changed else self._changed(held))

    def _place_of_usual(self, held: Held) -> TextPlace:
        """Decode an event after all: something in it is to be masked."""
        held.name, held.value = event_name(held.event), _decode(event_data(held.event))
        ((_, place),) = self._texts.read_event(held.value).parts
        return place

    def _changed(self, held: Held) -> bytes:
        if held.is_unread:
            raise ContentBlocked("the response has an event that cannot be masked")
        self._texts.drop_repetitions(held.value)
        return make_event(_encode(held.value), held.name)
