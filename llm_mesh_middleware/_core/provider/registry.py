"""The health of every provider that a process has called.

Health is kept by provider and endpoint; all rules share it, and it survives reloads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial

from ..values.endpoint import Endpoint
from .health import Lock, ProviderHealth, ProviderStatus
from .identity import ProviderIdentity
from .outliers import HealthChange
from .servers.metrics_page import ServerLoad
from .upstream import Upstream

__all__ = ["HealthRegistry", "ignore_change"]


_MAX_KNOWN = 1024


def ignore_change(host: str, change: HealthChange) -> None:
    """Ignore a change."""


class HealthRegistry:
    """Creates the health of a provider on first use."""

    def __init__(
        self,
        make_lock: Callable[[], Lock],
        on_change: Callable[[str, HealthChange], None] = ignore_change,
    ) -> None:
        """Create an empty registry.

        Args:
            make_lock: creates locks; calls may come from several threads.
            on_change: called with the provider host for each ejection and each return.
        """
        self._make_lock = make_lock
        self._on_change = on_change
        self._lock = make_lock()
        self._providers: dict[tuple[ProviderIdentity, Endpoint], ProviderHealth] = {}
        # The same by the objects of a routing table: hashing their identity takes longer.
        self._known: dict[tuple[int, int], tuple[ProviderHealth, Upstream, Endpoint]] = {}

    def of(self, upstream: Upstream, endpoint: Endpoint) -> ProviderHealth:
        """Return the health of the provider behind `upstream` at one of its endpoints."""
        known = self._known.get((id(upstream), id(endpoint)))
        return self._find(upstream, endpoint) if known is None else known[0]

    def _find(self, upstream: Upstream, endpoint: Endpoint) -> ProviderHealth:
        with self._lock:
            health = self._providers.setdefault(
                (upstream.identity, endpoint),
                ProviderHealth(
                    upstream.detection,
                    upstream.max_concurrency,
                    self._make_lock(),
                    partial(self._on_change, upstream.host),
                ),
            )
            if len(self._known) >= _MAX_KNOWN:
                self._known = {}
            # The value holds both objects, so that no others can get their ids.
            self._known[id(upstream), id(endpoint)] = health, upstream, endpoint
            return health

    def keep(
        self,
        identities: Collection[ProviderIdentity],
        endpoints: Collection[Endpoint] | None = None,
    ) -> None:
        """Drop all other providers, and other endpoints; running calls are not affected."""
        with self._lock:
            self._known = {}
            self._providers = {
                key: health
                for key, health in self._providers.items()
                if key[0] in identities and (endpoints is None or key[1] in endpoints)
            }

    def servers(self, now: float) -> Mapping[str, tuple[ProviderStatus, ServerLoad | None]]:
        """Return the state and the load of servers, by provider host and address.

        These are the servers of providers with several, and servers that report their load.
        """
        providers = list(self._providers.items())
        counted = Counter(identity for (identity, _), _ in providers)
        return {
            f"{identity.host}/{end.address}:{end.port}": (health.status(now), load)
            for (identity, end), health in providers
            if (load := health.server.load(now)) is not None or counted[identity] > 1
        }

    def statuses(self, now: float) -> Mapping[str, ProviderStatus]:
        """Return the state of every provider called so far, by provider host.

        A provider with several endpoints has one entry for each, by host and address.
        """
        providers = list(self._providers.items())  # another thread may add one
        counted = Counter(identity for (identity, _), _ in providers)
        return {
            identity.host
            if counted[identity] == 1
            else f"{identity.host}/{end.address}:{end.port}": health.status(now)
            for (identity, end), health in providers
        }
