"""A template of events: most events of a stream differ from an earlier one only in one text.

    data: {"id":"c-1","choices":[{"delta":{"content":" word"},"finish_reason":null}]}
    |<-- head ------------------------------------->|text |<-- tail -------------->|

An event that matches is not decoded. The JSON before and after the text is the same, and the text
is one string: so the event has the same members, and its text has the same place.
"""

from __future__ import annotations

import msgspec

from ...dialect import TextForm
from ...http.sse import event_data

__all__ = ["EventTemplate", "learn_template"]

_decode = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PROBE = "\u2603 probe"


class EventTemplate(msgspec.Struct, frozen=True):
    """The bytes before and after the text, which is in quotes; `key` is the key of the text."""

    head: bytes
    tail: bytes
    key: object

    def text(self, event: bytes) -> str | None:
        """Return the text of an event, None if it does not match."""
        head, tail = self.head, self.tail
        if not event.startswith(head) or not event.endswith(tail):
            return None
        try:
            # This accepts exactly one JSON string, so the text has no unescaped quote or line end.
            return _decode_text(event[len(head) : -len(tail)])
        except _UNREADABLE:
            return None


def learn_template(event: bytes, text: str, key: object, texts: TextForm) -> EventTemplate | None:
    """Return the template of an event, None if its text cannot be located safely.

    To verify the position, the event is read once with another text in its place.
    """
    written = b'"%b"' % text.encode("utf-8", "surrogatepass")
    at = event.find(written)
    if at < 0 or event.find(written, at + 1) >= 0:
        return None
    head, tail = event[:at], event[at + len(written) :]
    try:
        found = texts.read_event(_decode(event_data(b'%b"%b"%b' % (head, _PROBE.encode(), tail))))
    except _UNREADABLE:
        return None
    if len(found.parts) != 1 or any(True for _ in found.wholes):
        return None
    ((found_key, place),) = found.parts
    return EventTemplate(head, tail, key) if found_key == key and place.text == _PROBE else None
