"""Limits log lines to one a minute for each cause."""

from __future__ import annotations

__all__ = ["Seldom"]

_EVERY_S = 60.0
# Clients choose the causes, so their number and length are limited.
_MAX_CAUSES = 256
_MAX_TEXT = 128


class Seldom:
    """Allows something once a minute for each cause; a race of two threads may allow both."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def allows(self, cause: str, now: float) -> bool:
        """Return whether `cause` was not allowed within the last minute; `now` is in seconds."""
        cause = cause[:_MAX_TEXT]
        last = self._last.get(cause)
        if last is not None and now - last < _EVERY_S:
            return False
        if len(self._last) >= _MAX_CAUSES:
            self._last = {each: at for each, at in list(self._last.items()) if now - at < _EVERY_S}
            if len(self._last) >= _MAX_CAUSES:  # a client invents causes
                return False
        self._last[cause] = now
        return True
