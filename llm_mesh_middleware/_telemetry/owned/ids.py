"""Random ids of traces and spans, drawn many at once: one by one, they take ten times as long."""

from __future__ import annotations

import os

from ..._process.forks import follow_forks

__all__ = ["Ids"]

_COUNT = 64
_BYTES = 24
_ZEROS = bytes(8)


class Ids:
    """Ids like those of the SDK's generator; a forked child draws its own."""

    def __init__(self) -> None:
        self._drawn: list[bytes] = []
        follow_forks(self)

    def _begin_process(self) -> None:
        self._drawn = []

    def new(self) -> bytes:
        """Return 16 bytes of a trace and 8 of a span, neither of them zero."""
        try:
            return self._drawn.pop()
        except IndexError:
            return self._draw()

    def _draw(self) -> bytes:
        data = _ZEROS
        while data.find(_ZEROS) >= 0:
            data = os.urandom(_BYTES * _COUNT)
        self._drawn += [data[at : at + _BYTES] for at in range(_BYTES, len(data), _BYTES)]
        return data[:_BYTES]
