"""Joins the halves of a surrogate pair that a provider cuts between two events.

    {"content": "a\\ud83d"}  ─►  {"content": "a"}               the half is held
    {"content": "\\ude00b"}  ─►  {"content": "\\ud83d\\ude00b"}

SDKs of the same dialect get both halves unchanged. A translated text is encoded as UTF-8, and half
a pair cannot be.
"""

from __future__ import annotations

import re

__all__ = ["SplitPairs"]

# The end and the beginning of a JSON string. An escaped backslash before it makes no escape.
_ENDS = re.compile(rb'(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2})"')
_BACKSLASH = b"\\"[0]
_BEGINS = re.compile(rb'(?<!\\)"(?=\\u[dD][c-fC-F][0-9a-fA-F]{2})')


class SplitPairs:
    """The pairs of one stream."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def join(self, data: bytes) -> bytes:
        """Return an event's data with the half from before it and without the one at its end."""
        if _BACKSLASH not in data:
            return data
        # A regular expression would take half a second for the megabytes of an image.
        if data.find(b"\\ud") < 0 and data.find(b"\\uD") < 0:
            return data
        if self._held and (begin := _BEGINS.search(data)) is not None:
            at = begin.end()
            data = data[:at] + self._held + data[at:]
            self._held = b""
        if (end := _ENDS.search(data)) is not None:
            self._held = end[2]
            data = data[: end.start(2)] + data[end.end(2) :]
        return data
