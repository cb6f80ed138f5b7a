"""The findings of remote verdicts, in the form of a recogniser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..finding import Finding

__all__ = ["VerdictFindings"]


class VerdictFindings:
    """The findings in one text so far.

    `size` is the length of the text so far, `submitted` the part that was sent to the inspector,
    `judged` the part whose findings are final.
    """

    outlines = None

    __slots__ = ("submitted", "findings", "judged", "size")

    def __init__(self, findings: Sequence[Finding] = (), *, size: int = 0) -> None:
        """Begin with the findings of a judged text, or with an empty text."""
        self.findings: Sequence[Finding] = findings
        self.size = self.submitted = self.judged = size

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield what was found in `text`, which is the end of the whole text."""
        offset = self.size - len(text)
        for each in self.findings:
            if each.start >= offset:
                yield Finding(each.start - offset, each.end - offset, each.entity)

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return False: only a verdict can decide."""
        return False

    def held_from(self, text: str) -> int:
        """Return the start of the text without a verdict."""
        return min(len(text), max(0, self.judged - (self.size - len(text))))

    def clear_until(self, text: str, begin: int) -> int:
        """Return -1: only a verdict can decide."""
        return -1

    def answer(self, findings: Iterable[Finding], *, start: int, judged: int) -> None:
        """Take the findings in the text from `start` on; up to `judged` they are final."""
        self.findings = [
            Finding(start + each.start, start + each.end, each.entity) for each in findings
        ]
        # Findings in the overlap are kept: if nothing follows, they are final after all.
        self.submitted = self.size
        self.judged = max(self.judged, judged)
