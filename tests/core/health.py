"""A provider's health in the hands of a test: calls that end at once, and an ejection."""

from __future__ import annotations

import threading

from llm_mesh_middleware._core.provider.health import Lease, ProviderHealth
from llm_mesh_middleware._core.provider.outlier_detection import OutlierDetection
from llm_mesh_middleware._core.provider.outliers import Result
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.provider.upstream import Upstream


def health(max_concurrency: int | None = None, **detection: float) -> ProviderHealth:
    """A provider's health; five failures eject it for five seconds unless told otherwise."""
    return ProviderHealth(
        OutlierDetection(**detection),  # type: ignore[arg-type]
        max_concurrency,
        threading.Lock(),
    )


def call(provider: ProviderHealth, result: Result, now: float, wish_s: float = 0.0) -> None:
    """One call that ends at once."""
    taken(provider, now).end(result, now, retry_after_s=wish_s)


def taken(provider: ProviderHealth, now: float) -> Lease:
    lease = provider.lease(now)
    assert lease is not None
    return lease


def eject(provider: ProviderHealth, now: float) -> float:
    """Fail until it is out of service; how long it will be."""
    while provider.is_available(now):
        call(provider, "failure", now)
    return provider.available_in_s(now)


def health_of(registry: HealthRegistry, upstream: Upstream) -> ProviderHealth:
    """The health of a provider that has one endpoint."""
    (endpoint,) = upstream.endpoints.now()
    return registry.of(upstream, endpoint)
