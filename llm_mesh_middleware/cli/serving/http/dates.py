"""The header fields of every reply of `serve`: the date, and those configured in uvicorn."""

from __future__ import annotations

__all__ = ["DATES", "Dates"]


class Dates:
    """The fields of every reply as bytes; uvicorn makes a new list of them each second."""

    def __init__(self) -> None:
        self._fields: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def lines(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        """Return the lines of `fields`."""
        if fields is not self._fields:
            self._fields = fields
            self._lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        return self._lines


DATES = Dates()
