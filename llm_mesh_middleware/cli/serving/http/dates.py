"""The header fields of every reply of `serve`: the date, and those configured in uvicorn."""

from __future__ import annotations

__all__ = ["DATES", "Dates"]


class Dates:
    """The fields of every reply as bytes; uvicorn makes a new list of them each second."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.lines = b""

    def renewed(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        """Keep `fields`, and return their lines, each after a line break."""
        self.fields = fields
        self.lines = b"".join(b"\r\n%b: %b" % field for field in fields)
        return self.lines


DATES = Dates()
