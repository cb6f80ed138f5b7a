"""Which provider a stored response came from, so that a follow-up to it is sent there.

A provider keeps its responses for itself: a request that continues one (`previous_response_id`)
fails everywhere else. What is remembered is this process's own.
"""

from __future__ import annotations

from collections import OrderedDict

from ..provider.identity import ProviderIdentity

__all__ = ["Affinity"]

# Clients choose how many responses there are, providers what they are called.
_MAX_RESPONSES = 16 * 1024
_MAX_ID = 128

_KEPT_S = 24 * 3600.0


class Affinity:
    """Remembers the last responses of each route, for a day at most."""

    __slots__ = ("_responses",)

    def __init__(self) -> None:
        self._responses: OrderedDict[tuple[str, str], tuple[ProviderIdentity, float]] = (
            OrderedDict()
        )

    def remember(self, route: str, response: str, provider: ProviderIdentity, now: float) -> None:
        """Take note that `response`, by its id, came from `provider`."""
        key = route, response[:_MAX_ID]
        self._responses[key] = provider, now + _KEPT_S
        self._responses.move_to_end(key)
        while len(self._responses) > _MAX_RESPONSES:
            self._responses.popitem(last=False)

    def recall(self, route: str, response: str, now: float) -> ProviderIdentity | None:
        """Return the provider that `response` came from, or None if it is not known."""
        provider, until = self._responses.get((route, response[:_MAX_ID]), (None, 0.0))
        return provider if now < until else None
