"""The objects of a cluster that a mesh needs, followed in the background, as snapshots."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_mesh_middleware.sources import Secret, SecretName

from .connection import Connection, Object
from .faults import APIFault, pause_s
from .references.followed import Followed
from .references.pools import PodSelector, pods_of, pool_of, referred_pools, with_endpoints
from .references.secrets import decode, referred, unread
from .reflector import Reflector
from .resources import (
    ALL_NAMESPACES,
    CUSTOM,
    POLICIES,
    POOLS,
    PROVIDERS,
    REWRITES,
    ROUTES,
    Custom,
    custom_paths,
    pod_path,
    pool_paths,
    rewrite_paths,
    secret_path,
)
from .status import StatusWriter, Verdict

__all__ = ["Cluster", "ClusterOptions", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one moment: documents by their name in problems, and their Secrets."""

    objects: Mapping[str, Object] = field(repr=False)
    secrets: Mapping[SecretName, Secret] = field(repr=False)

    def is_as(self, other: Snapshot | None) -> bool:
        """Return whether a mesh sees no difference; it ignores status and managed fields."""
        if other is None or self.secrets != other.secrets:
            return False
        return _meanings(self) == _meanings(other)


def _meanings(snapshot: Snapshot) -> dict[str, tuple[object, object]]:
    return {
        name: (value.get("apiVersion"), value.get("spec"))
        for name, value in snapshot.objects.items()
    }


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """The options of `KubernetesSource`."""

    namespace: str | None
    kubeconfig: str | None
    context: str | None
    writes_status: bool
    backoff_s: tuple[float, float]


class Cluster:
    """Follows the resources of one cluster in the loop of `run`; other threads read.

    `published` is the generation with its snapshot, replaced together. `settled` is set once there
    is a snapshot, or a fault that waiting does not fix; `fault` says which.
    """

    def __init__(self, options: ClusterOptions, published: tuple[int, Snapshot | None]) -> None:
        self.published = published
        self.settled = threading.Event()
        self.fault = "the API server has not responded yet"
        self._options = options
        self._connection = Connection(options.kubeconfig, options.context)
        self._custom: dict[str, Reflector] = {}
        self._tasks = asyncio.TaskGroup()
        self._secrets = Followed[SecretName](self._tasks, self._secret)
        self._pools = Followed[tuple[str, str]](self._tasks, self._pool)
        self._rewrites = Followed[tuple[str, str]](self._tasks, self._rewrites_of)
        self._pods = Followed[PodSelector](self._tasks, self._pods_of)
        self._status = StatusWriter(self._connection, self._custom, options.backoff_s)
        if published[1] is not None:
            self.settled.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            await self._connect()
            namespace = self._options.namespace or self._connection.namespace
            for custom in CUSTOM:
                self._custom[custom.plural] = Reflector(
                    self._connection,
                    custom_paths(custom, namespace),
                    label=f"{custom.plural} of {_named(namespace)}",
                    changed=self._changed,
                    backoff_s=self._options.backoff_s,
                    is_optional=custom.is_optional,
                )
            async with self._tasks as tasks:
                for reflector in self._custom.values():
                    tasks.create_task(reflector.run())
                if self._options.writes_status:
                    tasks.create_task(self._status.run())
                try:
                    await asyncio.Event().wait()
                finally:
                    # Before the tasks end: they would wait for TLS shutdowns.
                    await self._connection.close()
        finally:
            await self._connection.close()

    def report(self, verdicts: Mapping[str, Verdict]) -> None:
        """Write the status of documents in the background; called in the loop."""
        self._status.want(verdicts)

    async def _connect(self) -> None:
        failures = 0
        while True:
            try:
                return await self._connection.open()
            except APIFault as fault:
                self._give_up_for_now(str(fault))
                pause = pause_s(failures, backoff_s=self._options.backoff_s, fault=fault)
                failures += 1
            await asyncio.sleep(pause)

    def _changed(self) -> None:
        if not all(reflector.is_synced for reflector in self._custom.values()):
            self._explain()
            return
        objects = {
            f"{plural}/{namespace}/{name}": value
            for plural, reflector in self._custom.items()
            for (namespace, name), value in sorted(reflector.objects.items())
        }
        naming = (*self._objects(PROVIDERS), *self._objects(POLICIES))
        self._secrets.follow(referred(naming))
        self._pools.follow(referred_pools(self._objects(ROUTES)))
        pools = {name: reflector.objects.get(name) for name, reflector in self._pools}
        self._rewrites.follow({(namespace, kind) for namespace, _ in pools for kind in REWRITES})
        self._pods.follow({pods for each in pools.items() if (pods := pods_of(*each))})
        if all(reflector.is_settled for reflector in self._referred()):
            secrets = {name: _read(name, each) for name, each in self._secrets}
            self._publish(Snapshot(objects | dict(self._served(pools)), secrets))
        else:
            self._explain()

    def _objects(self, custom: Custom) -> Collection[Object]:
        return self._custom[custom.plural].objects.values()

    def _referred(self) -> Iterator[Reflector]:
        for followed in (self._secrets, self._pools, self._rewrites, self._pods):
            yield from (reflector for _, reflector in followed)

    def _served(
        self, pools: Mapping[tuple[str, str], Object | None]
    ) -> Iterator[tuple[str, Object]]:
        """Yield the pools that are there, with the addresses of their pods, and their rewrites."""
        for name, pool in sorted(pools.items(), key=lambda item: item[0]):
            if pool is None:
                continue
            selector = pods_of(name, pool)
            reflector = self._pods.get(selector) if selector is not None else None
            pods = () if reflector is None else reflector.objects.values()
            yield f"{POOLS}/{'/'.join(name)}", with_endpoints(pool, pods)

        for (_, plural), reflector in self._rewrites:
            for name, value in sorted(reflector.objects.items(), key=lambda item: item[0]):
                if pool_of(name, value) in pools:
                    yield f"{plural}/{'/'.join(name)}", value

    # One watch for each Secret and pool, so that a Role may grant only these.

    def _secret(self, name: SecretName) -> Reflector:
        return self._one([secret_path(name[0])], f"Secret {'/'.join(name)}", name[1])

    def _pool(self, name: tuple[str, str]) -> Reflector:
        return self._one(pool_paths(name[0]), f"InferencePool {'/'.join(name)}", name[1])

    def _one(self, paths: Sequence[str], label: str, name: str) -> Reflector:
        return Reflector(
            self._connection,
            paths,
            label=label,
            changed=self._changed,
            backoff_s=self._options.backoff_s,
            field_selector=f"metadata.name={name}",
        )

    def _rewrites_of(self, kind: tuple[str, str]) -> Reflector:
        namespace, plural = kind
        return Reflector(
            self._connection,
            rewrite_paths(namespace, plural),
            label=f"{plural} of {_named(namespace)}",
            changed=self._changed,
            backoff_s=self._options.backoff_s,
            is_optional=True,
        )

    def _pods_of(self, selector: PodSelector) -> Reflector:
        namespace, labels = selector
        return Reflector(
            self._connection,
            [pod_path(namespace)],
            label=f"pods of {namespace} with {labels}",
            changed=self._changed,
            backoff_s=self._options.backoff_s,
            label_selector=labels,
        )

    def _publish(self, snapshot: Snapshot) -> None:
        generation, last = self.published
        if not snapshot.is_as(last):
            self.published = generation + 1, snapshot
        self.settled.set()

    def _explain(self) -> None:
        """Set the reason why there is no snapshot yet; settle if access is refused."""
        every = [*self._custom.values(), *self._referred()]
        faults = [reflector.fault for reflector in every if reflector.fault is not None]
        own = [reflector.fault for reflector in self._custom.values()]
        refusals = [fault for fault in own if fault is not None and fault.is_refusal]
        if refusals:
            self._give_up_for_now(_advised(refusals[0]))
        elif faults:
            self.fault = str(faults[0])

    def _give_up_for_now(self, fault: str) -> None:
        self.fault = fault
        self.settled.set()


def _read(name: SecretName, reflector: Reflector) -> Secret:
    if not reflector.is_synced and reflector.fault is not None:
        return unread(reflector.fault)
    return decode(reflector.objects.get(name))


def _named(namespace: str) -> str:
    return "all namespaces" if namespace == ALL_NAMESPACES else f"namespace {namespace}"


def _advised(fault: APIFault) -> str:
    if fault.status == 404:
        return f"{fault}; are the custom resource definitions installed?"
    if fault.status == 403:
        return f"{fault}; give the service account a Role that allows it"
    return str(fault)
