"""The gauge of ejected providers, over all meshes that report to one meter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..._core.provider.health import ProviderStatus
from ..._process.forks import ForkLock
from .. import semconv

__all__ = ["Ejections"]


class _Watched(Protocol):
    @property
    def health(self) -> Callable[[], Mapping[str, ProviderStatus]]:
        """Return the status of each provider, by provider host."""


class Ejections:
    """Reads the health of each watched mesh that still exists, whenever metrics are collected."""

    def __init__(self, meter: Meter) -> None:
        self._watched: WeakSet[_Watched] = WeakSet()
        self._lock = ForkLock()
        meter.create_observable_gauge(
            semconv.MESH_EJECTED, [self._observe], "{provider}", "1 while it is ejected"
        )

    def watch(self, mesh: _Watched) -> None:
        """Include the providers of `mesh`, for as long as something else holds it."""
        with self._lock.of_process:
            self._watched.add(mesh)

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock.of_process:
            meshes = list(self._watched)
        ejected: dict[str, bool] = {}
        for mesh in meshes:  # of two meshes that call one provider, one may have ejected it
            for host, status in mesh.health().items():
                ejected[host] = ejected.get(host, False) or status.state != "healthy"
        return [
            Observation(int(is_ejected), {semconv.SERVER_ADDRESS: host})
            for host, is_ejected in ejected.items()
        ]
