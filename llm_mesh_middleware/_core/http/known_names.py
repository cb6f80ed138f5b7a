"""A test of names of fields or members, whose results are cached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["KnownNames"]

# Clients and providers choose the names, so the cache is limited.
_MAX_NAMES, _MAX_NAME = 1024, 64


Name = TypeVar("Name", bytes, str)


class KnownNames(dict[Name, bool]):
    """Whether `holds` is true for a name; a dict, because a call for each field would cost more.

    At most 1,024 names of 64 bytes are kept. For longer names it is false.
    """

    __slots__ = ("_holds",)

    _holds: Callable[[Name], bool]

    def __init__(self, holds: Callable[[Name], bool]) -> None:
        super().__init__()
        self._holds = holds

    def __missing__(self, name: Name) -> bool:
        if len(name) > _MAX_NAME:
            return False
        if len(self) >= _MAX_NAMES:
            self.clear()
        found = self[name] = self._holds(name)
        return found
