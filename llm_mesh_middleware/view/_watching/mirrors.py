"""Mirrored requests of the last five minutes, for at most 500 mirrors."""

from __future__ import annotations

from ..._core.flow.mirrors.outcome import MirrorOutcome
from ..backends import MirrorReport
from .tally import Tally

__all__ = ["Mirrors"]

_MAX_MIRRORS = 500


class Mirrors:
    """The mirrors of one process; its owner holds a lock around each use."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str], dict[str, Tally]] = {}

    def add(self, host: str, rule: str, outcome: MirrorOutcome, second: int) -> None:
        """Count the outcome of a copy."""
        key = host, rule, outcome.provider
        tallies = self._tallies.get(key)
        if tallies is None:
            if len(self._tallies) >= _MAX_MIRRORS:
                del self._tallies[next(iter(self._tallies))]
            tallies = self._tallies[key] = {}
        names: list[str] = [outcome.result]
        for what, is_same in (
            ("finish", outcome.has_same_finish),
            ("content", outcome.has_same_content),
        ):
            if is_same is not None:
                names.append(f"{'same' if is_same else 'other'}_{what}")
        for name in names:
            tallies.setdefault(name, Tally()).add(second)

    def reports(self, second: int) -> list[MirrorReport]:
        """Return the mirrors that had copies lately."""
        found = []
        for key, tallies in self._tallies.items():
            counts = {name: tally.total(second) for name, tally in tallies.items()}
            if any(counts.values()):
                found.append(MirrorReport(key, {name: n for name, n in counts.items() if n}))
        return found
