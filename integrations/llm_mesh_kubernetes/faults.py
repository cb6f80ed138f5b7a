"""Faults of calls to an API server, and the pause before the next try."""

from __future__ import annotations

import random

__all__ = ["APIFault", "Expired", "pause_s"]

_LATER = frozenset((408, 410, 429))
_LONGEST_ADVICE_S = 60.0


class APIFault(Exception):
    """No response (status 0), or one that is an error; its text has no secret."""

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 0.0) -> None:
        self.status = status
        self.retry_after_s = min(retry_after_s, _LONGEST_ADVICE_S)
        super().__init__(message)

    @property
    def is_refusal(self) -> bool:
        """Whether waiting does not help, so that somebody must fix it."""
        return 400 <= self.status < 500 and self.status not in _LATER


class Expired(APIFault):
    """The API server no longer has the changes since the known version (410 Gone): list again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=410)


def pause_s(failures: int, *, backoff_s: tuple[float, float], fault: APIFault) -> float:
    """Return the pause, doubled with each failure in a row, with half of it random."""
    first, longest = backoff_s
    pause = min(longest, first * 2.0 ** min(failures, 32))
    return max(fault.retry_after_s, pause * (0.5 + random.random() / 2))
