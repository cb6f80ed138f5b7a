"""`Explanation`: what `Mesh.explain` returns, with its forms for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass

from .findings import Findings
from .text import make_sections, render

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation(Findings):
    """How a request would be routed if every provider were healthy.

    Fields beyond the point where a request is refused are empty.
    """

    @property
    def is_served(self) -> bool:
        """Whether the request would be sent to a provider."""
        return self.refusal is None

    def as_dict(self) -> dict[str, object]:
        """Return plain dicts, lists, text and numbers, ready for JSON."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}

    def to_text(self) -> str:
        """Return lines for a person, without colours."""
        return render(make_sections(self))


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return sorted(value) if isinstance(value, frozenset) else value
