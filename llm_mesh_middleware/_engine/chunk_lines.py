"""The first lines of chunks (RFC 9112 7.1), of which a stream has few: what is read is remembered.

Providers choose them, so the memories are limited.
"""

from __future__ import annotations

import re

__all__ = ["FIRST_LINES", "MAX_LONE", "SIZES", "SIZE_LINE", "first_line"]

SIZE_LINE = rb"([0-9A-Fa-f]{1,15})(?:;[^\r\n]*|[ \t]*)\r\n"
"""The pattern of such a line; its group is the size."""

_MAX_SIZES, _MAX_LINE = 1024, 24


class _Sizes(dict[bytes, int]):
    """The size in a line, which is without its end; 0 if somebody else must judge it."""

    def __missing__(self, line: bytes) -> int:
        if len(line) > _MAX_LINE:
            return 0
        begin = re.fullmatch(SIZE_LINE, line + b"\r\n")
        found = 0 if begin is None else int(begin[1], 16)
        if len(self) >= _MAX_SIZES:
            self.clear()
        self[line] = found
        return found


SIZES = _Sizes()

MAX_LONE = 1024
FIRST_LINES = [b""] * MAX_LONE
"""The usual first line, by the size of its chunk with all its line ends; empty if not yet known."""


def first_line(total: int) -> bytes:
    """Return what belongs into `FIRST_LINES`, and put it there.

    Where no chunk has that size it is a longer line, so that nothing begins with it.
    """
    found = b"0" * (total + 1)
    for digits in (1, 2, 3):
        size = total - digits - 4
        if size > 0 and len(line := b"%x" % size) == digits:
            found = line + b"\r\n"
    FIRST_LINES[total] = found
    return found
