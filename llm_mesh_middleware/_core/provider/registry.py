"""The health of every provider that a process has called.

It belongs to the provider and its endpoint, not to a rule or to one version of the configuration.
"""

from __future__ import annotations

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
    """Do nothing with a change."""


class HealthRegistry:
    """Makes a provider's health when it is first asked for."""

    def __init__(
        self,
        make_lock: Callable[[], AbstractContextManager[object]],
        on_change: Callable[[str, HealthChange], None] = ignore_change,
    ) -> None:
        """Begin with no provider.

        Args:
            make_lock: makes locks, as calls may come from several threads.
            on_change: told the provider host of each ejection and each return.
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

    def keep(self, identities: Collection[ProviderIdentity]) -> None:
        """Forget all others; calls to them that are under way end as they would have."""
        with self._lock:
            self._providers = {
                key: health for key, health in self._providers.items() if key[0] in identities
            }

    def statuses(self, now: float) -> Mapping[str, ProviderStatus]:
        """Return the state of every provider that was called, by provider host."""
        providers = list(self._providers.items())  # another thread may add one
        return {identity.host: health.status(now) for (identity, _), health in providers}
