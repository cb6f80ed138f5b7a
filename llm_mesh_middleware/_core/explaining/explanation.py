"""`Explanation`: what `Mesh.explain` returns, with its forms for programs and for people."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from .findings import Findings
from .text import make_sections, render

__all__ = ["Explanation"]


class Explanation(Findings, frozen=True):
    """How a request would be routed if every provider were healthy.

    Fields beyond the point where a request is refused are empty.
    """

    @property
    def is_served(self) -> bool:
        """Whether the request would be sent to a provider."""
        return self.refusal is None

    def as_dict(self) -> dict[str, object]:
        """Return plain dicts, lists, text and numbers, ready for JSON."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def to_text(self) -> str:
        """Return lines for a person, without colours."""
        return render(make_sections(self))


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return {name: _plain(each) for name, each in asdict(value).items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return sorted(value) if isinstance(value, frozenset) else value
