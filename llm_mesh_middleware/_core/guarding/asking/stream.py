"""A stream of events as a guard that asks lets it pass.

    text, at most `window` characters ──> held, with all events behind it
    window full, or the texts have ended ─> a question about everything that is held
    verdict ──> passed on, but for the last `overlap` characters of a text that goes on

The overlap is asked about again, together with what follows: a finding that is not longer is seen
whole before any part of it is passed on.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ...texts import TextForm, TextPlace
from ..events.stream import GuardedStream, Held
from ..finding import Finding
from ..window import Inspection, Window
from .answered import Answered
from .verdict import AskingGuard, Verdict

__all__ = ["AskedStream", "AskedWindow"]

# How many characters of verdicts are remembered: dialects repeat whole texts at their ends.
_MAX_KNOWN = 2**20


class AskedWindow(Window):
    """A text that is decided by verdicts on parts of it."""

    __slots__ = ("_answered", "_overlap", "is_ended", "is_whole")

    def __init__(self, inspection: Inspection, asking: AskingGuard, place: TextPlace) -> None:
        """Begin an empty text; findings are treated as the guard says."""
        self._answered = Answered()
        guard = replace(asking.guard, scanner=self._answered)
        super().__init__(replace(inspection, guards=(guard,)), is_json=place.is_json)
        self._overlap = asking.overlap
        self.is_ended = self.is_whole = False

    @property
    def unasked(self) -> int:
        """How many characters no question was about."""
        return self._answered.size - self._answered.asked

    def feed(self, text: str, *, is_final: bool = False) -> None:
        """Take more of the text, which waits for a verdict."""
        self._grow(text, is_final=is_final)
        self._answered.size = self._offset + len(self._buffer)
        # A text without a verdict is not decided by its end.
        self.is_ended = is_final
        self._decide(is_final=is_final and not self.unasked)

    def answer(self, findings: Sequence[Finding]) -> None:
        """Take what was found in the undecided part.

        Raises:
            ContentBlocked: the guard denies it.
        """
        size = self._answered.size
        judged = size if self.is_ended else size - self._overlap
        self._answered.answer(findings, start=self._plain_decided, judged=judged)
        self.feed("", is_final=self.is_ended)


class AskedStream(GuardedStream):
    """Takes the bytes of a client's stream; says when to ask, and returns what may be sent."""

    has_usual = False  # a question names the event that a text is from

    def __init__(self, texts: TextForm, inspection: Inspection, asking: AskingGuard) -> None:
        """Inspect the texts that `texts` finds in events by the verdicts on them."""
        super().__init__(texts, inspection)
        self._asking = asking
        self._open: list[AskedWindow] = []
        self._known: dict[str, Sequence[Finding]] = {}
        self._known_chars = 0
        self._has_finished = False

    def finish(self) -> bytes:
        """End every text; the rest waits for the last verdict."""
        self._has_finished = True
        return super().finish()

    def question(self) -> list[AskedWindow]:
        """Return the texts to ask about now, each as far as it is undecided; none for later."""
        self._open = [each for each in self._open if not each.is_ended or each.unasked]
        held = [each for each in self._open if each.unasked]
        if self._has_finished:
            return held
        # Complete texts can wait: many repeat what the parts say, and its verdict is theirs.
        parts = [each for each in held if not each.is_whole]
        if parts and all(each.is_ended for each in parts):
            return held
        window = self._asking.window
        is_full = window is not None and sum(each.unasked for each in held) >= window
        return held if is_full else []

    def answer(self, held: Sequence[AskedWindow], verdict: Verdict, texts: Sequence[str]) -> bytes:
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

    def _begin(self, place: TextPlace) -> AskedWindow:
        window = AskedWindow(self._inspection, self._asking, place)
        self._open.append(window)
        return window

    def _read_whole(self, held: Held, place: TextPlace) -> None:
        """Have a complete text wait for the verdict on it, unless it is known."""
        window = self._begin(place)
        window.is_whole = True
        held.parts.append((window, 0, len(place.text), place))
        window.feed(place.text, is_final=True)
        known = self._known.get(window.undecided)
        if known is not None:
            window.answer(known)
