"""`InferencePool` documents as backends: one provider with an endpoint for each server.

A server is called over plain HTTP by the paths of OpenAI. Health, ejection and retries are those of
each endpoint, as for any provider that has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from urllib.parse import urlsplit

from .._core.provider.endpoints import StaticEndpoints
from .._core.provider.servers.picker import EndpointPicker
from .._core.provider.servers.rewrites import ModelRewrites
from .._core.provider.servers.watch import ServerWatch
from .._core.provider.upstream import Upstream
from .._core.values.endpoint import Endpoint
from .._manifest import Manifest, Resource
from ..config import (
    InferencePool,
    InferencePoolRef,
    InferencePoolSpec,
    LLMProvider,
    LLMProviderSpec,
    ObjectMeta,
)
from ..exceptions import Problem
from .pricing.book import PriceBook
from .providers import CompiledProvider
from .rewrites import rewrites_of, rewriting

__all__ = ["CompiledPool", "Pools"]

_PICKER_PORT = 9002
_GROUPS = ("inference.networking.k8s.io", "inference.networking.x-k8s.io")


class CompiledPool:
    """A pool ready to be pointed at."""

    def __init__(
        self,
        resource: Resource,
        spec: InferencePoolSpec,
        prices: PriceBook,
        rewrites: ModelRewrites | None,
    ) -> None:
        self._rewrites = rewrites
        self.host = f"{resource.name}.{resource.namespace}"
        self._spec = spec
        metadata = ObjectMeta(name=resource.name, namespace=resource.namespace)
        own = LLMProviderSpec(host=self.host, active_check=spec.active_check)
        model = LLMProvider(metadata=metadata, spec=own)
        self._provider = CompiledProvider(
            replace(resource, model=model), endpoints={}, environ={}, prices=prices
        )
        self.resource = self._provider.resource

    def upstream(
        self, rule: str | None, *, model: str | None, host_rewrite: str | None, port: int | None
    ) -> Upstream:
        """Return the pool as a rule uses it, with the endpoints of `port` or of all ports."""
        made = self._provider.upstream(rule, model=model, host_rewrite=host_rewrite)
        ports = self._spec.ports if port is None else (port,)
        endpoints = dict.fromkeys(self._endpoints(ports))
        watch = replace(made.watch or ServerWatch(), metrics_path="/metrics")
        if (metrics := self._spec.metrics) is not None:
            path = metrics.path or watch.metrics_path
            watch = replace(watch, metrics_path=path, metrics_port=metrics.port)
        return replace(
            made,
            endpoints=StaticEndpoints(tuple(endpoints)),
            watch=watch,
            rewrites=self._rewrites,
        )

    def picker(self) -> EndpointPicker | str:
        """Return the endpoint picker of the pool, or why it cannot be asked."""
        ref = self._spec.endpoint_picker_ref or self._spec.extension_ref
        address = self._spec.endpoint_picker
        if ref is None and address is None:
            return "has picker: epp, but the pool has no endpointPickerRef"
        if find_spec("grpc") is None:
            return "has picker: epp: install llm-mesh-middleware[epp] to ask endpoint pickers"
        if address is None and ref is not None:
            port = ref.port.number if ref.port is not None else ref.port_number
            address = f"{ref.name}.{self.resource.namespace}:{port or _PICKER_PORT}"
        fails_open = ref is not None and ref.failure_mode == "FailOpen"
        return EndpointPicker(address or "", fails_open)

    def _endpoints(self, ports: Iterable[int]) -> Iterator[Endpoint]:
        for text in self._spec.endpoints:
            parts = urlsplit(f"//{text}")
            for port in ports if parts.port is None else (parts.port,):
                yield Endpoint(self.host, "http", parts.hostname or text, port, self.host)


class Pools:
    """The pools of a manifest by namespace and name."""

    def __init__(self, manifest: Manifest, prices: PriceBook) -> None:
        self.problems: list[Problem] = []
        self._pools: dict[tuple[str, str], CompiledPool] = {}
        for resource in manifest.resources:
            if not isinstance(resource.model, InferencePool):
                continue
            spec, name = resource.model.spec, (resource.namespace, resource.name)
            rewrites = rewrites_of(manifest, name)
            self._pools[name] = CompiledPool(resource, spec, prices, rewrites)
            if not spec.endpoints:
                message = "has no endpoints, and no cluster is asked for them: it serves nothing"
                if "endpoints" in spec.model_fields_set:
                    message = (
                        "selects no server that is ready: it serves nothing until there is one"
                    )
                self.problems.append(resource.problem(("spec",), message, severity="warning"))

        for resource, name in rewriting(manifest):
            if name not in self._pools:
                message = f"no InferencePool is named {'/'.join(name)}: it rewrites nothing"
                path = ("spec", "poolRef", "name")
                self.problems.append(resource.problem(path, message, severity="warning"))

    def find(self, ref: InferencePoolRef, namespace: str) -> CompiledPool | str:
        """Return the pool that a backendRef of a route in `namespace` names, or why there is none.

        Args:
            ref: the reference.
            namespace: that of the route.
        """
        if ref.kind not in (None, "InferencePool"):
            return f"kind {ref.kind!r} is not supported; expected InferencePool"
        if ref.group not in (None, *_GROUPS):
            return f"group {ref.group!r} is not supported; expected {_GROUPS[0]}"
        name = f"{ref.namespace or namespace}/{ref.name}"
        pool = self._pools.get((ref.namespace or namespace, ref.name))
        if pool is not None:
            return pool
        known = ", ".join(sorted("/".join(key) for key in self._pools)) or "none"
        return f"no InferencePool is named {name}; known pools: {known}"
