"""The health of every provider that a process has called.

Health is kept by provider and endpoint, across rules and versions of the configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import partial

from ..values.endpoint import Endpoint
from .health import ProviderHealth, ProviderStatus
from .identity import ProviderIdentity
from .outliers import HealthChange
from .upstream import Upstream

__all__ = ["HealthRegistry", "ignore_change"]


def ignore_change(host: str, change: HealthChange) -> None:
    """Ignore a change."""


class HealthRegistry:
    """Creates the health of a provider on first use."""

    def __init__(
        self,
        make_lock: Callable[[], AbstractContextManager[object]],
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

    def of(self, upstream: Upstream, endpoint: Endpoint) -> ProviderHealth:
        """Return the health of the provider behind `upstream` at one of its endpoints."""
        key = upstream.identity, endpoint
        health = self._providers.get(key)
        if health is None:
            with self._lock:
                health = self._providers.setdefault(
                    key,
                    ProviderHealth(
                        upstream.detection,
                        upstream.max_concurrency,
                        self._make_lock(),
                        partial(self._on_change, upstream.host),
                    ),
                )
        return health

    def keep(
        self,
        identities: Collection[ProviderIdentity],
        endpoints: Collection[Endpoint] | None = None,
    ) -> None:
        """Drop all other providers, and other endpoints; running calls are not affected."""
        with self._lock:
            self._providers = {
                key: health
                for key, health in self._providers.items()
                if key[0] in identities and (endpoints is None or key[1] in endpoints)
            }

    def statuses(self, now: float) -> Mapping[str, ProviderStatus]:
        """Return the state of every provider called so far, by provider host; where a provider has
        several endpoints, by host and address."""
        providers = list(self._providers.items())  # another thread may add one
        counted = Counter(identity for (identity, _), _ in providers)
        return {
            identity.host
            if counted[identity] == 1
            else f"{identity.host}/{end.address}:{end.port}": health.status(now)
            for (identity, end), health in providers
        }
