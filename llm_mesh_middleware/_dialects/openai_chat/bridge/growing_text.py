"""Text that arrives in pieces."""

from __future__ import annotations

__all__ = ["Text"]


class Text:
    """Text that grows; no piece of it is empty."""

    __slots__ = ("pieces",)

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)

    def plain(self) -> str:
        """Return the whole text."""
        return "".join(self.pieces)

    def endswith(self, end: str) -> bool:
        """Return whether the last piece ends with `end`."""
        return self.pieces[-1].endswith(end)
