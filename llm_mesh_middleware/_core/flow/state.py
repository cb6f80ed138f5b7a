"""The state of a process between requests; it survives reloads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import cast

from ..caching.flights import Flights
from ..caching.store import CacheStore
from ..limiting.claims import QuickStore, Store
from ..limiting.estimate import Learned
from ..limiting.warnings import Warnings
from ..provider.health import Lock
from ..provider.identity import ProviderIdentity
from ..provider.outliers import HealthChange
from ..provider.registry import HealthRegistry, ignore_change
from ..routing.mirror import Mirror
from ..values.decision import Decision
from ..values.endpoint import Endpoint
from ..values.steps import AsyncPort, Port
from .affinity import Affinity
from .attempts.retrying import RetryBudget
from .mirrors.state import MirrorStates
from .servers.page import ServerLog, ignore_server

__all__ = ["MeshState"]


def _ignore_decision(decision: Decision) -> None:
    """Do nothing."""


class MeshState:
    """The health of the providers, each route's retry budget, and the state of policies.

    `store` holds the limits; it is also the `quick_store` if it never waits. `learned` corrects
    estimates of tokens, `affinity` maps responses to their providers, `mirrors` has the copies in
    flight.
    """

    __slots__ = (
        "_budgets",
        "affinity",
        "cache",
        "flights",
        "health",
        "learned",
        "mirrors",
        "quick_store",
        "store",
        "warnings",
        "on_server",
        "pickers",
    )

    def __init__(
        self,
        make_lock: Callable[[], Lock],
        store: Store,
        *,
        on_change: Callable[[str, HealthChange], None] = ignore_change,
        cache: CacheStore | None = None,
        on_budget: Callable[[Decision], None] = _ignore_decision,
        on_server: ServerLog = ignore_server,
        pickers: Port | AsyncPort | None = None,
        responses: CacheStore | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            make_lock: as for `HealthRegistry`.
            store: holds the limits.
            on_change: as for `HealthRegistry`.
            cache: keeps responses; a configuration without caches needs none.
            on_budget: called when a threshold of a budget has been passed.
            on_server: called when a watched server fails, and when it is well again.
            pickers: the port of endpoint pickers.
            responses: the store by which processes share the providers of responses.
        """
        self.store = store
        is_quick = getattr(store, "answers_at_once", False)
        self.quick_store: QuickStore | None = cast(QuickStore, store) if is_quick else None
        self.cache = cache
        self.flights = Flights(make_lock)
        self.learned = Learned()
        self.warnings = Warnings(on_budget)
        self.health = HealthRegistry(make_lock, on_change)
        self.on_server = on_server
        self.pickers = pickers
        self.affinity = Affinity(responses)
        self.mirrors = MirrorStates(make_lock)
        self._budgets: dict[str, RetryBudget] = {}

    def budget(self, route: str) -> RetryBudget:
        """Return the retry budget of a route."""
        budget = self._budgets.get(route)
        return self._budgets.setdefault(route, RetryBudget()) if budget is None else budget

    def keep(
        self,
        *,
        providers: Collection[ProviderIdentity],
        routes: Collection[str],
        mirrors: Iterable[Mirror] = (),
        endpoints: Collection[Endpoint] | None = None,
    ) -> None:
        """Drop all other providers, routes, mirrors and endpoints; they are not configured."""
        self.health.keep(providers, endpoints)
        self.mirrors.keep(mirrors)
        self._budgets = {route: kept for route, kept in self._budgets.items() if route in routes}
