"""One set of instruments per meter provider, whatever the number of meshes that report to it.

An SDK takes a second observable instrument of the same name for the first, and never calls it.
"""

from __future__ import annotations

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from ..._process.forks import ForkLock
from ..by_identity import ByIdentity
from ..owned.registry import adopted_bank
from .instruments import MeshMetrics, metric_generations

__all__ = ["SCOPE", "shared_metrics"]

SCOPE = "llm_mesh_middleware"
"""The name of the instrumentation scope."""


class _Global:
    """Stands for the global provider, which may be set up after the first mesh is created."""


_global = _Global()
_made: ByIdentity[MeshMetrics] = ByIdentity()
_lock = ForkLock()


def shared_metrics(version: str, provider: MeterProvider | None) -> MeshMetrics:
    """Return the instruments of `provider`, or of the global one; they live as long as it does."""
    is_global = provider is None or provider is metrics.get_meter_provider()
    owner: object = _global if is_global else provider
    with _lock.of_process:
        made = _made.get(owner)
        if made is None:
            meter = metrics.get_meter(SCOPE, version, provider)
            bank = adopted_bank(provider or metrics.get_meter_provider())
            made = MeshMetrics(meter, generations=metric_generations(), bank=bank)
            _made.set(owner, made)
    return made
