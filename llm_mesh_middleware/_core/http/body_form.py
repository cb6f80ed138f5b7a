"""Detects the form of a body from its first bytes, because media types are often wrong."""

from __future__ import annotations

from enum import Enum

__all__ = ["BodyForm", "body_form"]


class BodyForm(Enum):
    """The form of a body."""

    EVENTS = "events"
    JSON = "json"
    OTHER = "other"


# Enums look their members up by name, at the price of a call.
_EVENTS, _JSON, _OTHER = BodyForm.EVENTS, BodyForm.JSON, BodyForm.OTHER

_BOM = b"\xef\xbb\xbf"

# Possible beginnings of a line in an event stream (WHATWG HTML 9.2.6).
_FIELDS = (b"data", b"event", b"id", b"retry")
_JSON_STARTS = b'{["'


def body_form(begin: bytes) -> BodyForm | None:
    """Return the form of a body that begins with `begin`; None if more bytes are needed."""
    if begin[:1] == b"{":  # the common case
        return _JSON
    text = begin.removeprefix(_BOM).lstrip(b" \t\r\n")
    if _BOM.startswith(text):
        return None
    if text[:1] == b":":
        return _EVENTS
    if text[0] in _JSON_STARTS:
        return _JSON
    for field in _FIELDS:
        if text.startswith(field) and text[len(field) : len(field) + 1] in (b":", b"\n", b"\r"):
            return _EVENTS
        if field.startswith(text) or text == field:
            return None
    return _OTHER
