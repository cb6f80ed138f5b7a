"""`InferencePool` documents as backends: one provider with an endpoint for each server.

A server is called over plain HTTP by the paths of OpenAI. Health, ejection and retries are those of
each endpoint, as for any provider that has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from ..._core.provider.endpoints import StaticEndpoints
from ..._core.provider.servers.picker import EndpointPicker
from ..._core.provider.servers.rewrites import ModelRewrites
from ..._core.provider.servers.watch import ServerWatch
from ..._core.provider.upstream import Upstream
from ..._core.values.endpoint import Endpoint
from ..._manifest import Manifest, Resource
from ..._process.files import FileVersion
from ...config import (
    BackendRef,
    InferencePool,
    InferencePoolRef,
    InferencePoolSpec,
    LLMProvider,
    LLMProviderSpec,
    ObjectMeta,
)
from ...exceptions import Problem
from ..pricing.book import PriceBook
from ..providers import CompiledProvider
from .pickers import Fault, compile_picker
from .rewrites import rewrites_of, rewriting

__all__ = ["CompiledPool", "Pools"]

_GROUPS = ("inference.networking.k8s.io", "inference.networking.x-k8s.io")


class CompiledPool:
    """A pool, resolved for the rules that refer to it."""

    def __init__(
        self,
        resource: Resource,
        spec: InferencePoolSpec,
        prices: PriceBook,
        rewrites: ModelRewrites | None,
    ) -> None:
        self._rewrites = rewrites
        self.host = f"{resource.name}.{resource.namespace}"
        self.spec = spec
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
        """Return the pool for a rule, with the endpoints of `port` or of all ports."""
        made = self._provider.upstream(rule, model=model, host_rewrite=host_rewrite)
        ports = self.spec.ports if port is None else (port,)
        endpoints = dict.fromkeys(self._endpoints(ports))
        watch = replace(made.watch or ServerWatch(), metrics_path="/metrics")
        if (metrics := self.spec.metrics) is not None:
            path = metrics.path or watch.metrics_path
            watch = replace(watch, metrics_path=path, metrics_port=metrics.port)
        return replace(
            made,
            endpoints=StaticEndpoints(tuple(endpoints)),
            watch=watch,
            rewrites=self._rewrites,
        )

    def _endpoints(self, ports: Iterable[int]) -> Iterator[Endpoint]:
        for text in self.spec.endpoints:
            parts = urlsplit(f"//{text}")
            for port in ports if parts.port is None else (parts.port,):
                yield Endpoint(self.host, "http", parts.hostname or text, port, self.host)


class Pools:
    """The pools of a manifest by namespace and name."""

    def __init__(
        self, manifest: Manifest, prices: PriceBook, files: MutableMapping[str, FileVersion]
    ) -> None:
        """Compile the pools of a manifest; files that are read are added to `files`."""
        self.problems: list[Problem] = []
        self._files = files
        self._pools: dict[tuple[str, str], CompiledPool] = {}
        for resource in manifest.resources:
            if not isinstance(resource.model, InferencePool):
                continue
            spec, name = resource.model.spec, (resource.namespace, resource.name)
            rewrites = rewrites_of(manifest, name)
            self._pools[name] = CompiledPool(resource, spec, prices, rewrites)
            if not spec.endpoints:
                message = "has no endpoints and no cluster to find them in, so it serves nothing"
                if "endpoints" in spec.model_fields_set:
                    message = "selects no ready server, so it serves nothing until there is one"
                self.problems.append(resource.problem(("spec",), message, severity="warning"))

        for resource, name in rewriting(manifest):
            if name not in self._pools:
                message = f"no InferencePool is named {'/'.join(name)}, so this rewrites nothing"
                path = ("spec", "poolRef", "name")
                self.problems.append(resource.problem(path, message, severity="warning"))

    def target(
        self, ref: BackendRef, pool_ref: InferencePoolRef, rule: str | None, namespace: str
    ) -> tuple[Upstream, Resource] | Fault:
        """Return the pool that a backendRef names, or the fault of the reference.

        Args:
            ref: the reference.
            pool_ref: its `backendRef`.
            rule: the name of its rule.
            namespace: the route's namespace.
        """
        pool = self._find(pool_ref, namespace)
        if isinstance(pool, str):
            return (), pool
        rewrite, port = ref.host_rewrite, pool_ref.port
        upstream = pool.upstream(rule, model=ref.model, host_rewrite=rewrite, port=port)
        if pool_ref.picker == "epp":
            picker = compile_picker(pool_ref, pool.spec, pool.resource.namespace, self._files)
            if not isinstance(picker, EndpointPicker):
                return picker
            upstream = replace(upstream, picker=picker)
        return upstream, pool.resource

    def _find(self, ref: InferencePoolRef, namespace: str) -> CompiledPool | str:
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
