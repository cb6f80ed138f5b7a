"""Events that differ from an earlier one in nothing but one text, as most events of a stream do.

    data: {"id":"c-1","choices":[{"delta":{"content":" word"},"finish_reason":null}]}
    |<-- head ------------------------------------->|text |<-- tail -------------->|

Such an event is not decoded. Up to the text it is the same JSON, the text is one string, and what
follows is the same again: so it has the same members, and its text has the same place.
"""

from __future__ import annotations

import msgspec

from ...dialect import TextForm
from ...http.sse import event_data

__all__ = ["UsualEvent", "learn_usual"]

_decode = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PROBE = "\u2603 probe"


class UsualEvent(msgspec.Struct, frozen=True):
    """What such events have in common; `key` is that of the text, which is in quotes."""

    head: bytes
    tail: bytes
    key: object

    def text(self, event: bytes) -> str | None:
        """Return the text of an event, None if it is not one of these."""
        head, tail = self.head, self.tail
        if not event.startswith(head) or not event.endswith(tail):
            return None
        try:
            # One string in JSON: it has no quote and no line end that is not escaped.
            return _decode_text(event[len(head) : -len(tail)])
        except _UNREADABLE:
            return None


def learn_usual(event: bytes, text: str, key: object, texts: TextForm) -> UsualEvent | None:
    """Return what an event has in common with others in which only the text is another one.

    Whether the place is the right one is tried out: the event is read with another text in it.
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
    return UsualEvent(head, tail, key) if found_key == key and place.text == _PROBE else None
