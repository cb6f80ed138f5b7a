"""Several recognisers as one."""

from __future__ import annotations

from collections.abc import Sequence

from .entities.card import Card
from .entities.email import Email
from .entities.iban import Iban
from .entities.ip_address import IPAddress
from .entities.phone import Phone
from .entities.secret import Secret
from .finding import Entity, Finding, shape_of

__all__ = ["ENTITIES", "Scanner"]

ENTITIES: dict[str, type[Entity]] = {
    "SECRET": Secret,
    "EMAIL": Email,
    "IBAN": Iban,
    "CREDIT_CARD": Card,
    "PHONE": Phone,
    "IP_ADDRESS": IPAddress,
}


class Scanner:
    """Finds what any of its recognisers finds, in the order of the text."""

    def __init__(self, recognisers: Sequence[Entity]) -> None:
        """Of findings that begin at one place, and are of one length, the first one's is taken."""
        self._recognisers = tuple(recognisers)

    @classmethod
    def of_entities(cls, names: Sequence[str]) -> Scanner:
        """Return a scanner for the entities of these names."""
        return cls([make() for name, make in ENTITIES.items() if name in names])

    def find(self, text: str, *, is_final: bool = True) -> list[Finding]:
        """Return all findings, by where they begin, the longest first; they may overlap."""
        shape = shape_of(text)
        found = [
            finding
            for recogniser in self._recognisers
            if recogniser.is_possible(shape)
            for finding in recogniser.find(text, is_final=is_final)
        ]
        if len(found) > 1:
            found.sort(key=lambda finding: (finding.start, -finding.end))
        return found

    def held_from(self, text: str) -> int:
        """Return where the text begins that must wait for what follows."""
        return min(recogniser.held_from(text) for recogniser in self._recognisers)
