"""Combines several recognisers into one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from .entities.card import Card
from .entities.email import Email
from .entities.iban import Iban
from .entities.ip_address import IPAddress
from .entities.phone import Phone
from .entities.secret import Secret
from .entities.tails import common_tail, words_tail
from .finding import Finding
from .outlines import Outlines
from .view import Entity, View

__all__ = ["ENTITIES", "Scanner"]

ENTITIES: dict[str, type[Entity]] = {
    "SECRET": Secret,
    "EMAIL": Email,
    "IBAN": Iban,
    "CREDIT_CARD": Card,
    "PHONE": Phone,
    "IP_ADDRESS": IPAddress,
}
_NEVER = "(?!)"
# Separates texts that are searched together.
_BETWEEN = "\n\x00\n"
_DIGIT = re.compile(r"[0-9]").search


class Scanner:
    """Returns the findings of all its recognisers, in the order of the text."""

    def __init__(self, recognisers: Sequence[Entity]) -> None:
        """Of equal spans, the finding of the first recogniser wins."""
        self._recognisers = tuple(recognisers)
        self._clear_checks = [each.clear_until for each in recognisers]
        runs = [each.run for each in recognisers if each.run is not None]
        self._tail = common_tail(runs).match if runs else None
        self._words = words_tail(runs).match if runs else None
        self._longest = max((each.longest for each in recognisers), default=0)
        # Texts up to this length may be held back for any of them.
        self._short = min((each.longest for each in recognisers), default=0)
        self._has_sign = _any_of(each.sign for each in recognisers)
        self._numbers = _any_of(each.tail for each in recognisers)
        self._opened = frozenset().union(*(each.opened for each in recognisers))
        self.outlines = Outlines(self.clear_until)

    @classmethod
    def of_entities(cls, names: Sequence[str]) -> Scanner:
        """Return a scanner for the entities of these names."""
        return cls([make() for name, make in ENTITIES.items() if name in names])

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether there is no finding in any of these texts, by one pass over all of them.

        No finding spans a line end or depends on the text beyond one, except a private key, which
        can only become longer.
        """
        view = View(texts[0] if len(texts) == 1 else _BETWEEN.join(texts))
        if view.is_plain:
            return True
        # A generator would cost more than the loop.
        for recogniser in self._recognisers:  # noqa: SIM110
            if recogniser.find_in(view):
                return False
        return True

    def find(self, text: str, *, is_final: bool = True) -> list[Finding]:
        """Return all findings, by where they begin, the longest first; they may overlap."""
        view, found = View(text), list[Finding]()
        if view.is_plain:
            return found
        for recogniser in self._recognisers:
            found += recogniser.find_in(view)
        if len(found) > 1:
            found.sort(key=lambda finding: (finding.start, -finding.end))
        return found

    def held_from(self, text: str) -> int:
        """Return the start of the text that must wait for what follows."""
        return min(recogniser.held_from(text) for recogniser in self._recognisers)

    def clear_until(self, text: str, begin: int) -> int:
        """Return a quick `held_from` or -1, as specified in `Recogniser`."""
        if self._words is not None and text[-1:] not in self._opened:
            plain = self._words(text, begin)
            if plain is not None:
                held, least = plain.end(1), len(text) - self._longest
                return held if held > least else least
        if self._tail is not None and text.find("@", begin) < 0 and text.find("-----", begin) < 0:
            words = self._tail(text, begin)
            if words is not None:
                held = max(words.end(1), len(text) - self._longest)
                if _DIGIT(text, begin) is None:
                    if text[-1:] not in self._opened:
                        return held
                elif len(text) - begin <= self._short and self._has_sign(text, begin) is None:
                    numbers = self._numbers(text, begin)
                    return held if numbers is None else min(held, numbers.start())
        return self._closer(text, begin)

    def _closer(self, text: str, begin: int) -> int:
        """Return the same by calling every recogniser."""
        lowest = len(text)
        for clear_until in self._clear_checks:
            held = clear_until(text, begin)
            if held < lowest:
                if held < 0:
                    return -1
                lowest = held
        return lowest


def _any_of(expressions: Iterable[str]) -> Callable[[str, int], re.Match[str] | None]:
    """Return a search for the leftmost match of any expression; empty expressions are skipped."""
    written = "|".join(f"(?:{each})" for each in expressions if each)
    return re.compile(written or _NEVER, re.ASCII).search
