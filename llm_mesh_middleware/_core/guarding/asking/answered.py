"""Findings of a service, as a recogniser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..finding import Finding

__all__ = ["Answered"]


class Answered:
    """What has been found in one text so far.

    `size` is how much of the text there is, `asked` how much of it a question was about, `judged`
    how much of it needs no further one.
    """

    __slots__ = ("asked", "findings", "judged", "size")

    def __init__(self, findings: Sequence[Finding] = (), *, size: int = 0) -> None:
        """Begin with findings in a text that is judged, or with none in an empty one."""
        self.findings: Sequence[Finding] = findings
        self.size = self.asked = self.judged = size

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield what was found in `text`, which is the end of the whole text."""
        offset = self.size - len(text)
        for each in self.findings:
            if each.start >= offset:
                yield Finding(each.start - offset, each.end - offset, each.entity)

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return False: nothing can be told without a verdict."""
        return False

    def held_from(self, text: str) -> int:
        """Return where the text begins that has no verdict."""
        return min(len(text), max(0, self.judged - (self.size - len(text))))

    def quiet_until(self, text: str, begin: int) -> int:
        """Return -1: nothing can be told at a glance."""
        return -1

    def answer(self, findings: Iterable[Finding], *, start: int, judged: int) -> None:
        """Take the findings in the text from `start` on; up to `judged` they are final."""
        self.findings = [
            Finding(start + each.start, start + each.end, each.entity) for each in findings
        ]
        # Findings in the overlap are kept: if nothing follows, they are final after all.
        self.asked = self.size
        self.judged = max(self.judged, judged)
