"""The state of mirrors between requests: copies in flight, and ejected providers.

It is separate from the health of the same providers as backends: a failed copy never changes how a
client is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from ...provider.health import Lock, ProviderHealth
from ...routing.mirror import Mirror

__all__ = ["MirrorStates"]


class MirrorStates:
    """Creates the health of a mirror on first use; its slots are those of `maxConcurrency`."""

    def __init__(self, make_lock: Callable[[], Lock]) -> None:
        self._make_lock = make_lock
        self._lock = make_lock()
        self._states: dict[tuple[object, ...], ProviderHealth] = {}

    def of(self, mirror: Mirror) -> ProviderHealth:
        """Return the health of a mirror; the same one in later versions of the configuration."""
        key = _key(mirror)
        state = self._states.get(key)
        if state is None:
            with self._lock:
                made = ProviderHealth(
                    mirror.upstream.detection, mirror.max_concurrency, self._make_lock()
                )
                state = self._states.setdefault(key, made)
        return state

    def lock(self) -> AbstractContextManager[object]:
        """Return a new lock for state that the thread of a copy shares with that of its client."""
        return self._make_lock()

    def keep(self, mirrors: Iterable[Mirror]) -> None:
        """Drop all other mirrors, which are no longer configured."""
        keys = set(map(_key, mirrors))
        with self._lock:
            self._states = {key: kept for key, kept in self._states.items() if key in keys}


def _key(mirror: Mirror) -> tuple[object, ...]:
    return mirror.upstream.identity, mirror.upstream.model, mirror.max_concurrency
