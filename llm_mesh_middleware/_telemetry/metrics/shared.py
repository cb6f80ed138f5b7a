"""One set of instruments per meter provider, whatever the number of meshes that report to it.

An SDK takes a second observable instrument of one name for the first, and never asks it.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from ..._process.forks import ForkLock
from ..owned.registry import adopted_bank
from .instruments import MeshMetrics, wanted_generations

__all__ = ["SCOPE", "shared_metrics"]

SCOPE = "llm_mesh_middleware"
"""The name of the instrumentation scope."""


class _Global:
    """The process's own provider; it may be set up after the first mesh is made."""


_global = _Global()
_made: WeakKeyDictionary[object, MeshMetrics] = WeakKeyDictionary()
_lock = ForkLock()


def shared_metrics(version: str, provider: MeterProvider | None) -> MeshMetrics:
    """The instruments of `provider`, or of the global one; they go when the provider goes."""
    is_global = provider is None or provider is metrics.get_meter_provider()
    owner: object = _global if is_global else provider
    with _lock.of_process:
        made = _made.get(owner)
        if made is None:
            meter = metrics.get_meter(SCOPE, version, provider)
            bank = adopted_bank(provider or metrics.get_meter_provider())
            made = _made[owner] = MeshMetrics(meter, generations=wanted_generations(), bank=bank)
    return made
