"""Placeholders for masked values of one request, which the reply can be restored from.

A value has the same placeholder in every turn, so a repeated conversation is masked in the same
way, and its cache entries are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .finding import Finding
from .outlines import Outlines

__all__ = ["Placeholders"]

# Models write Markdown: they escape the underscore, or change the case.
_PLACEHOLDER = re.compile(r"\[ ?[A-Za-z]{1,24}(?:\\{0,2}_[A-Za-z]{1,24}){0,3}\\{0,2}_\d{1,6} ?\]")
_HELD = re.compile(r"\[[A-Za-z0-9_\\ ]{0,120}\Z")
_LONGEST = 128
# A text without a bracket has no placeholder, and holds none back.
_OUTLINES = Outlines(lambda text, begin: -1 if "[" in text else len(text))
_TAKEN = re.compile(rb"\[[A-Z_]{1,99}_(\d{1,6})\]")


class Placeholders:
    """Numbers the values of one exchange; no other object may keep them."""

    outlines = _OUTLINES

    def __init__(self, body: bytes) -> None:
        """Begin above the number of every placeholder that `body` already contains."""
        self._next = 1 + max((int(number) for number in _TAKEN.findall(body)), default=0)
        self._numbers: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Placeholders({len(self._values)})"  # never the values

    def __bool__(self) -> bool:
        return bool(self._values)

    def of(self, entity: str, value: str) -> str:
        """Return the placeholder of `value`."""
        key = entity, value.lower() if entity == "EMAIL" else value
        name = self._numbers.get(key)
        if name is None:
            name = self._numbers[key] = f"[{entity}_{self._next}]"
            self._next += 1
            self._values[name] = value
        return name

    def value(self, placeholder: str) -> str | None:
        """Return what a placeholder stands for, None if it is not one of this exchange."""
        return self._values.get(placeholder.replace("\\", "").replace(" ", "").upper())

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield each placeholder of this exchange."""
        if "[" not in text:
            return
        for match in _PLACEHOLDER.finditer(text):
            if self.value(match[0]) is not None:
                yield Finding(match.start(), match.end(), "")

    def held_from(self, text: str) -> int:
        """Return the start of the last text that could become a placeholder."""
        held = _HELD.search(text, max(0, len(text) - _LONGEST)) if "[" in text else None
        return len(text) if held is None else held.start()
