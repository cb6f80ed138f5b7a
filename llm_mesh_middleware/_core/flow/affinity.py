"""Affinity: a request that continues a stored response goes to the provider that stores it.

Responses are stored by one provider: a request that continues one (`previous_response_id`) fails at
any other.

    remember   in this process, and in the store that processes share, if there is one
    recall     from this process, otherwise from the store

The store gets hashes of ids. While it is unavailable, lookups miss, and no request waits for it.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from ..caching.entry import Found, Lookup, Save
from ..caching.store import CacheStore
from ..provider.identity import ProviderIdentity
from ..values.steps import Ask, Steps

__all__ = ["Affinity"]

# Clients determine the number of responses, providers the length of their ids.
_MAX_RESPONSES = 16 * 1024
_MAX_ID = 128

_KEPT_S = 24 * 3600.0


class Affinity:
    """Remembers the providers of the last responses of each route, for at most a day."""

    __slots__ = ("_responses", "_shared")

    def __init__(self, shared: CacheStore | None = None) -> None:
        """`shared` is the store that processes share."""
        self._responses: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._shared = shared

    def remember(self, route: str, response: str, provider: ProviderIdentity, now: float) -> Steps:
        """Record that the response with this id came from `provider`."""
        self.note(route, response, provider, now)
        if self._shared is not None:
            key, document = _key(route, response), provider.document
            yield Ask(self._shared, Save(key, document.encode(), _KEPT_S))

    def note(self, route: str, response: str, provider: ProviderIdentity, now: float) -> None:
        """Record it in this process only, without waiting."""
        self._note(_key(route, response), provider.document, now)

    def recall(self, route: str, response: str, now: float) -> Steps:
        """Return the document of the provider that `response` came from, None if it is unknown."""
        key = _key(route, response)
        document, until = self._responses.get(key, (None, 0.0))
        if now < until:
            return document
        if self._shared is None:
            return None
        found = yield Ask(self._shared, Lookup(key))
        if not isinstance(found, Found):
            return None
        document = found.data.decode("utf-8", "replace")
        self._note(key, document, now - found.age_s)
        return document

    def _note(self, key: str, document: str, now: float) -> None:
        self._responses[key] = document, now + _KEPT_S
        self._responses.move_to_end(key)
        while len(self._responses) > _MAX_RESPONSES:
            self._responses.popitem(last=False)


def _key(route: str, response: str) -> str:
    text = f"{len(route)}:{route}{response[:_MAX_ID]}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
