"""Several recognisers as one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .entities.card import Card
from .entities.email import Email
from .entities.iban import Iban
from .entities.ip_address import IPAddress
from .entities.phone import Phone
from .entities.secret import Secret
from .entities.tails import common_tail
from .finding import Finding
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
_SIGN = re.compile(r"[0-9@]").search


class Scanner:
    """Finds what any of its recognisers finds, in the order of the text."""

    def __init__(self, recognisers: Sequence[Entity]) -> None:
        """Of findings that begin at one place, and are of one length, the first one's is taken."""
        self._recognisers = tuple(recognisers)
        self._quiet = [each.quiet_until for each in recognisers]
        self._tail = _wordy_tail(recognisers)
        self._opened = frozenset().union(*(each.opened for each in recognisers))

    @classmethod
    def of_entities(cls, names: Sequence[str]) -> Scanner:
        """Return a scanner for the entities of these names."""
        return cls([make() for name, make in ENTITIES.items() if name in names])

    def find(self, text: str, *, is_final: bool = True) -> list[Finding]:
        """Return all findings, by where they begin, the longest first; they may overlap."""
        view, found = View(text), list[Finding]()
        for recogniser in self._recognisers:
            found += recogniser.find_in(view)
        if len(found) > 1:
            found.sort(key=lambda finding: (finding.start, -finding.end))
        return found

    def held_from(self, text: str) -> int:
        """Return where the text begins that must wait for what follows."""
        return min(recogniser.held_from(text) for recogniser in self._recognisers)

    def quiet_until(self, text: str, begin: int) -> int:
        """Return `held_from` at a glance, or -1, as `Recogniser` says."""
        if self._tail is not None and self._is_wordy(text, begin):
            held = self._tail(text, begin)
            if held >= 0:
                return held
        lowest = len(text)
        for quiet_until in self._quiet:
            held = quiet_until(text, begin)
            if held < lowest:
                if held < 0:
                    return -1
                lowest = held
        return lowest

    def _is_wordy(self, text: str, begin: int) -> bool:
        """Return whether nothing but words is behind `begin`: no number, address or private key."""
        if _SIGN(text, begin) is not None or text.find("-----", begin) >= 0:
            return False
        return text[-1:] not in self._opened


def _wordy_tail(recognisers: Sequence[Entity]) -> Callable[[str, int], int] | None:
    """Return what finds where a wordy text is held from; None if words are not held at all."""
    runs = [each.run for each in recognisers if each.run is not None]
    longest = max((each.longest for each in recognisers if each.run is not None), default=0)
    return common_tail(runs, longest) if runs else None
