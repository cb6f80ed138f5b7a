"""Faults of calls to an API server, and the pause before the next try."""

from __future__ import annotations

import random

__all__ = ["APIFault", "Expired", "pause_s"]

_LATER = frozenset((408, 410, 429))
_LONGEST_ADVICE_S = 60.0


class APIFault(Exception):
    """No answer (status 0) or one that is not a success; its text holds no secret."""

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 0.0) -> None:
        self.status = status
        self.retry_after_s = min(retry_after_s, _LONGEST_ADVICE_S)
        super().__init__(message)

    @property
    def is_refusal(self) -> bool:
        """Whether a person must fix it: waiting alone will not help."""
        return 400 <= self.status < 500 and self.status not in _LATER


class Expired(APIFault):
    """The API server no longer has the changes since our version (410 Gone): list again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=410)


def pause_s(failures: int, *, backoff_s: tuple[float, float], fault: APIFault) -> float:
    """Twice as long with each failure in a row, half of it left to chance."""
    first, longest = backoff_s
    pause = min(longest, first * 2.0 ** min(failures, 32))
    return max(fault.retry_after_s, pause * (0.5 + random.random() / 2))
