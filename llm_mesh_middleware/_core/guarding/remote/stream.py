"""A stream of events that a remote guard checks.

    text, at most `window` characters ──> held, with all events behind it
    window full, or the texts have ended ─> everything held is submitted in one question
    verdict ──> passed on, except the last `overlap` characters of a text that continues

The overlap is submitted again, together with what follows: a finding that is not longer than the
overlap is seen whole before any part of it is passed on.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ...texts import TextForm, TextPlace
from ..events.stream import GuardedStream, Held
from ..finding import Finding
from ..window import Inspection, Window
from .verdict import RemoteGuard, Verdict
from .verdict_findings import VerdictFindings

__all__ = ["RemoteGuardStream", "RemoteWindow"]

# The characters whose verdicts are cached: dialects repeat whole texts at the end of a stream.
_MAX_KNOWN = 2**20


class RemoteWindow(Window):
    """A text that is decided by remote verdicts on its parts."""

    __slots__ = ("_findings", "_overlap", "is_ended", "is_whole")

    def __init__(self, inspection: Inspection, remote: RemoteGuard, place: TextPlace) -> None:
        """Begin an empty text; the guard defines the action on findings."""
        self._findings = VerdictFindings()
        guard = replace(remote.guard, scanner=self._findings)
        super().__init__(replace(inspection, guards=(guard,)), is_json=place.is_json)
        self._overlap = remote.overlap
        self.is_ended = self.is_whole = False

    @property
    def unsubmitted(self) -> int:
        """The number of characters that were not submitted yet."""
        return self._findings.size - self._findings.submitted

    def feed(self, text: str, *, is_final: bool = False) -> None:
        """Take more of the text, which waits for a verdict."""
        self._grow(text, is_final=is_final)
        self._findings.size = self._offset + len(self._buffer)
        # The end of a text does not decide it: the verdict is still missing.
        self.is_ended = is_final
        self._decide(is_final=is_final and not self.unsubmitted)

    def answer(self, findings: Sequence[Finding]) -> None:
        """Apply the findings in the undecided part.

        Raises:
            ContentBlocked: the guard denies it.
        """
        size = self._findings.size
        judged = size if self.is_ended else size - self._overlap
        self._findings.answer(findings, start=self._plain_decided, judged=judged)
        self.feed("", is_final=self.is_ended)


class RemoteGuardStream(GuardedStream):
    """Takes the bytes of a client's stream, collects questions, and returns what may be sent."""

    uses_templates = False  # each text is tied to its event until the verdict

    def __init__(self, texts: TextForm, inspection: Inspection, remote: RemoteGuard) -> None:
        """Inspect the texts that `texts` finds in events by the verdicts on them."""
        super().__init__(texts, inspection)
        self._remote = remote
        self._open: list[RemoteWindow] = []
        self._known: dict[str, Sequence[Finding]] = {}
        self._known_chars = 0
        self._has_finished = False

    def finish(self) -> bytes:
        """End every text; the rest waits for the last verdict."""
        self._has_finished = True
        return super().finish()

    def question(self) -> list[RemoteWindow]:
        """Return the windows whose undecided texts must be submitted now."""
        self._open = [each for each in self._open if not each.is_ended or each.unsubmitted]
        held = [each for each in self._open if each.unsubmitted]
        if self._has_finished:
            return held
        # Complete texts can wait: many repeat the parts, whose verdict then holds for them.
        parts = [each for each in held if not each.is_whole]
        if parts and all(each.is_ended for each in parts):
            return held
        window = self._remote.window
        is_full = window is not None and sum(each.unsubmitted for each in held) >= window
        return held if is_full else []

    def answer(self, held: Sequence[RemoteWindow], verdict: Verdict, texts: Sequence[str]) -> bytes:
        """Return what may be sent after the verdict on `texts`, which are those of `held`.

        Raises:
            ContentBlocked: the guard denies it.
        """
        numbers = {text: number for number, text in enumerate(texts)}
        for window in held:
            text = window.undecided
            findings = verdict.findings.get(numbers[text], ())
            if self._known_chars + len(text) <= _MAX_KNOWN:
                self._known_chars += len(text)
                self._known[text] = findings
            window.answer(findings)
        out: list[bytes] = []
        self._release(out)
        return b"".join(out)

    def _begin(self, place: TextPlace) -> RemoteWindow:
        window = RemoteWindow(self._inspection, self._remote, place)
        self._open.append(window)
        return window

    def _read_whole(self, held: Held, place: TextPlace) -> None:
        """Hold a complete text until its verdict, unless that is cached."""
        window = self._begin(place)
        window.is_whole = True
        held.parts.append((window, 0, len(place.text), place))
        window.feed(place.text, is_final=True)
        known = self._known.get(window.undecided)
        if known is not None:
            window.answer(known)
