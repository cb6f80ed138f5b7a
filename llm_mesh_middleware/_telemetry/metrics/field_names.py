"""The names of dropped fields that a metric may carry: clients could invent any number of them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["FieldNames"]

_OTHER = "_other"
_MAX_NAMES = 100
_MAX_TEXT = 64


class FieldNames:
    """The first 100 names of 64 characters; the others are one."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def shown(self, names: Iterable[str]) -> set[str]:
        """Return the labels of one call's fields; the items of a list are one field."""
        return {self._label(name.partition("[")[0]) for name in names}

    def _label(self, name: str) -> str:
        if name in self._known:
            return name
        if len(self._known) >= _MAX_NAMES or len(name) > _MAX_TEXT:
            return _OTHER
        self._known.add(name)
        return name
