"""The responses that a fake provider gives, in order; safe between threads."""

from __future__ import annotations

import threading
from collections import deque

from ._answers import AnswerValue, Scripted
from ._requests import RecordedRequest

__all__ = ["Script"]


class Script:
    """A queue of answers, each for one request, and the answer to all others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Scripted] = deque()
        self._standing: Scripted | None = None

    def add(self, *answers: Scripted) -> None:
        """Queue answers."""
        for answer in answers:
            _check(answer)
        with self._lock:
            self._queue.extend(answers)

    def stand(self, answer: Scripted | None) -> None:
        """Set the answer to requests without a queued one; None for the provider's own."""
        if answer is not None:
            _check(answer)
        with self._lock:
            self._standing = answer

    def clear(self) -> None:
        """Remove all answers."""
        with self._lock:
            self._queue.clear()
            self._standing = None

    def take(self, request: RecordedRequest) -> AnswerValue | None:
        """Return the response to `request`; None stands for the provider's own."""
        with self._lock:
            scripted = self._queue.popleft() if self._queue else self._standing
        answer = scripted(request) if callable(scripted) else scripted
        if answer is not None:
            _check(answer)
        return answer


def _check(answer: object) -> None:
    # A class is callable too, but `script(Cut)` is a slip for `script(Cut())`.
    if isinstance(answer, type) or not (callable(answer) or isinstance(answer, AnswerValue)):
        raise TypeError(
            f"an answer is Answer, Stream, Raw, Cut, Drip or a callable, not {answer!r}"
        )
